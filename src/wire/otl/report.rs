//! The report: what every UPLINK and RESYNC says about the terminal itself.

use core::num::NonZeroU32;

use nom::number::complete::{be_u8, be_u32};

use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::span::{Parsed, Span, field, ranged};
use crate::wire::varint::varint;
use crate::wire::writer::Writer;

use super::registry::commands::Outcome;
use super::stamp::{Stamp, stamp};

/// The terminal's now, its record store, and the end of its last command.
// spec: REC-1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// The terminal's now.
    pub stamp: Stamp,
    /// The random number that names this life of the record store.
    // spec: REC-2
    pub epoch: NonZeroU32,
    /// Wake slot and frames that follow.
    pub slots: Slots,
    /// The last command that was executed or refused; none if there was none yet.
    pub command: Option<CommandEnd>,
}

impl Report {
    /// The report at the head of a verified plaintext, whatever follows it; none if it cannot be
    /// read.
    #[must_use]
    pub fn at_head_of(plaintext: &[u8]) -> Option<Self> {
        report(Span::new(plaintext, 0))
            .ok()
            .map(|(_, report)| report)
    }
}

/// The wake slot version in force, 0 to 15, and how many frames of the batch follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slots(u8);

impl Slots {
    /// A wake slot version and a number of frames, each 0 to 15; 15 frames are 15 or more.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 16 and above.
    pub const fn new(wake_slot_version: u8, frames_following: u8) -> Result<Self, OutOfRange> {
        if wake_slot_version <= 15 && frames_following <= 15 {
            Ok(Self(wake_slot_version << 4 | frames_following))
        } else {
            Err(OutOfRange("wake slot version and frames, 0 to 15"))
        }
    }

    /// The wake slot version in force, 0 if the server has given none.
    #[must_use]
    pub const fn wake_slot_version(self) -> u8 {
        self.0 >> 4
    }

    /// Frames that follow in this batch; 15 stands for 15 or more.
    #[must_use]
    pub const fn frames_following(self) -> u8 {
        self.0 & 0x0F
    }
}

impl core::fmt::Display for Slots {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "wake slot version {}, {} frames follow",
            self.wake_slot_version(),
            self.frames_following()
        )
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandEnd {
    /// The command sequence.
    pub sequence: NonZeroU32,
    /// What became of it.
    pub outcome: Outcome,
}

impl Report {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u32(self.epoch.get())?;
        out.u8(self.slots.0)?;
        match self.command {
            None => out.varint(0),
            Some(end) => {
                out.varint(u64::from(end.sequence.get()))?;
                out.u8(end.outcome.code())
            }
        }
    }
}

/// Reads a store epoch, which is never 0.
// spec: REC-2
#[inline(always)]
pub(crate) fn epoch<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, NonZeroU32> {
    field(name, ranged(be_u32, NonZeroU32::new))
}

/// Reads a report.
#[inline(always)]
pub(crate) fn report(input: Span<'_>) -> Parsed<'_, Report> {
    let (rest, stamp) = stamp(input)?;
    let (rest, epoch) = epoch("store epoch")(rest)?;
    let (rest, slots) = field("slots", ranged(be_u8, |octet| Some(Slots(octet))))(rest)?;
    let (rest, sequence) = field("last command", varint(u64::from(u32::MAX)))(rest)?;
    let sequence = u32::try_from(sequence).ok().and_then(NonZeroU32::new);
    let (rest, command) = match sequence {
        None => (rest, None),
        Some(sequence) => {
            let (rest, outcome) = outcome(rest)?;
            (rest, Some(CommandEnd { sequence, outcome }))
        }
    };
    let report = Report {
        stamp,
        epoch,
        slots,
        command,
    };
    Ok((rest, report))
}

/// Reads an outcome; one that is not registered is kept.
#[inline(always)]
pub(crate) fn outcome(input: Span<'_>) -> Parsed<'_, Outcome> {
    field(
        "outcome",
        ranged(be_u8, |code| Some(Outcome::from_code(code))),
    )(input)
}
