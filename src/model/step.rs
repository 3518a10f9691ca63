//! A session step as the log keeps it: what one verified frame of a terminal made durable.
//!
//! The frame itself is kept whole, as its clear header and its verified plaintext, so that history
//! can be decoded again after a fix, and after its key was withdrawn. What the server decided about
//! it (which records were new, what it flagged, what it handed over) is kept beside it: replaying a
//! step needs no key, no clock and no decoder of records.
//!
//! # Octets (version 1, big-endian)
//!
//! ```text
//! u8   version, 1              u8   promoted link key version, 0 if none
//! [8]  utility                 u8   promoted mode, 255 if none
//! u8   security mode           u16  decoder version
//! u8   kept                    u32  store epoch, 0 if the report cannot be read
//! u16  step flags              u16  entries, each: u32 sequence, u8 record type, u16 record flags
//! u32  received, UTC seconds   u8   octets of the command that went with the answer, 0 if none
//! u32  frame counter           u8   observations, each: u8 meter, u8 unit, u8 bound,
//! [4]  digest of the tag            u32 UTC seconds, u64 register
//!                              u8   octets of the header, and the header
//!                              plaintext to the end
//! ```

use core::num::NonZeroU32;

use nom::Parser as _;
use nom::bytes::complete::take;
use nom::combinator::{all_consuming, rest};
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};

use crate::keyring::UtilityId;
use crate::session::otl::hand_over::{HandedOver, WaitingCommand};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::registry::commands::CommandKind;

/// The version of the octets that this server writes.
const STEP_VERSION: u8 = 1;
const NO_MODE: u8 = 0xFF;
const FIXED_LEN: usize = 40;
const ENTRY_LEN: usize = 7;
const OBSERVATION_LEN: usize = 15;

/// What decodes plaintexts today. It grows with each change that lets the same octets mean
/// something else, or lets more of them be understood.
pub const DECODER_VERSION: u16 = 1;

/// What is known about a step as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StepFlags(u16);

impl StepFlags {
    /// The report was that of the highest frame, and was taken.
    // spec: REP-9
    pub const TAKES_REPORT: Self = Self(1);
    /// The frame waited for an answer.
    pub const WANTS_ANSWER: Self = Self(1 << 1);
    /// The records came without a ticket.
    // spec: FRS-2
    pub const FRESHNESS_UNPROVEN: Self = Self(1 << 2);
    /// The terminal knew more than this server: it was restored from an older copy.
    // spec: ROL-1
    pub const ROLLBACK_SUSPECTED: Self = Self(1 << 3);
    /// The content cannot be read at all.
    // spec: REC-12
    pub const UNREADABLE: Self = Self(1 << 4);
    /// The frame came over TCP.
    pub const OVER_TCP: Self = Self(1 << 5);
    /// It was certain that nothing was kept in the step's epoch before.
    pub const NEW_EPOCH: Self = Self(1 << 6);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set, with `other` if `condition` holds.
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What ingest noted about a record. Nothing of it removes a record.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RecordFlags(u16);

impl RecordFlags {
    /// Known already, under this key or that of the epoch before: not kept again.
    // spec: REC-8
    pub const REPEAT: Self = Self(1);
    /// Contradicts a record of the same key: in quarantine, and never acknowledged.
    // spec: REC-9
    pub const CONFLICT: Self = Self(1 << 1);
    /// Its body cannot be decoded by this version.
    // spec: REC-12
    pub const UNDECODABLE: Self = Self(1 << 2);
    /// A register below an earlier one of the same meter.
    // spec: REC-27
    pub const REGISTER_STEPS_BACK: Self = Self(1 << 3);
    /// Measured far from when it was received, or in an order that cannot be.
    // spec: REC-27
    pub const TIME_JUMPS: Self = Self(1 << 4);
    /// Another unit than the meter had before.
    // spec: REC-27
    pub const UNIT_CHANGED: Self = Self(1 << 5);
    /// No meter table has bound the slot or the generation.
    // spec: REC-15
    pub const METER_UNBOUND: Self = Self(1 << 6);
    /// The terminal's clock was not set; the server dated the record from the time of receipt.
    // spec: REC-4
    pub const DATED_BY_SERVER: Self = Self(1 << 7);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::REPEAT, "repeat"),
        (Self::CONFLICT, "conflict"),
        (Self::UNDECODABLE, "undecodable"),
        (Self::REGISTER_STEPS_BACK, "register_steps_back"),
        (Self::TIME_JUMPS, "time_jumps"),
        (Self::UNIT_CHANGED, "unit_changed"),
        (Self::METER_UNBOUND, "meter_unbound"),
        (Self::DATED_BY_SERVER, "dated_by_server"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set, with `other` if `condition` holds.
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// This set less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as bits, as a step has it.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set of bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether the record is a new fact: neither a repeat nor a contradiction.
    #[must_use]
    pub const fn is_new(self) -> bool {
        self.0 & (Self::REPEAT.0 | Self::CONFLICT.0) == 0
    }

    /// The names of what is set, as in the outward form.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let is_set = move |(flag, _): &&(Self, &str)| self.has(*flag);
        Self::NAMES.iter().filter(is_set).map(|(_, name)| *name)
    }
}

/// One item of the frame, in the order of the frame: records that can be decoded first, then those
/// that cannot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StepEntry {
    /// The record sequence, 0 if even that cannot be read.
    pub sequence: u32,
    /// The number of the record's type.
    pub number: u8,
    /// What ingest noted.
    pub flags: RecordFlags,
}

/// The latest register of a meter in the frame, or that a meter table bound it: what the next
/// frame's plausibility is judged by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Observation {
    /// Slot and generation, as on the wire.
    pub meter: u8,
    /// The unit's code.
    pub unit: u8,
    /// Whether a meter table of this frame binds the meter.
    // spec: REC-15
    pub bound: bool,
    /// When it was measured, UTC seconds; 0 if the frame only binds the meter.
    pub at_utc_s: u32,
    /// The register in units of `unit`.
    pub register: u64,
}

/// A session step. `'a` borrows the frame it came in, or the log's buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionStep<'a> {
    /// The utility of the terminal when the frame came.
    pub utility: UtilityId,
    /// The security mode, 0 to 3.
    pub mode: u8,
    /// What the replay window knows of the frame: 0 safe, 1 conflict, 2 seen only.
    pub kept: u8,
    /// What is known of the step.
    pub flags: StepFlags,
    /// When it was received, UTC seconds.
    pub received_utc_s: u32,
    /// The frame counter.
    pub counter: u32,
    /// What stands for the tag in the replay window.
    pub digest: [u8; 4],
    /// A link key version that the frame proved.
    pub promoted_version: Option<u8>,
    /// A mode that the frame proved.
    pub promoted_mode: Option<u8>,
    /// What decoded the plaintext when it came.
    pub decoder: u16,
    /// The store epoch; none if the report cannot be read.
    pub epoch: Option<NonZeroU32>,
    /// The items of the frame.
    pub entries: Vec<StepEntry>,
    /// The command that was handed over by this step, as [`command_octets`] writes it.
    pub command: &'a [u8],
    /// What it shows of meters.
    pub observations: Vec<Observation>,
    /// The clear header.
    pub header: &'a [u8],
    /// The verified plaintext.
    pub plaintext: &'a [u8],
}

/// Why a step of the log cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StepError {
    /// A later server wrote it.
    #[error(
        "the session step has version {0}, and this server reads {STEP_VERSION}: read this log \
         with the server that wrote it, or a later one"
    )]
    Newer(u8),
    /// Its octets do not follow the form.
    #[error("the session step does not follow its form")]
    Malformed,
}

/// Why a step cannot be written: a bug of this server, since its parts have bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session step has more entries, command or header octets than its form can count")]
pub struct StepTooLong;

impl<'a> SessionStep<'a> {
    /// Writes the step.
    ///
    /// # Errors
    ///
    /// [`StepTooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, StepTooLong> {
        let variable = self.command.len() + self.header.len() + self.plaintext.len();
        let entries_len = self.entries.len().saturating_mul(ENTRY_LEN)
            + self.observations.len().saturating_mul(OBSERVATION_LEN);
        let mut out = Vec::with_capacity(FIXED_LEN.saturating_add(entries_len + variable));
        out.push(STEP_VERSION);
        out.extend_from_slice(&self.utility.octets());
        out.extend_from_slice(&[self.mode, self.kept]);
        out.extend_from_slice(&self.flags.0.to_be_bytes());
        out.extend_from_slice(&self.received_utc_s.to_be_bytes());
        out.extend_from_slice(&self.counter.to_be_bytes());
        out.extend_from_slice(&self.digest);
        out.push(self.promoted_version.unwrap_or(0));
        out.push(self.promoted_mode.unwrap_or(NO_MODE));
        out.extend_from_slice(&self.decoder.to_be_bytes());
        let epoch = self.epoch.map_or(0, NonZeroU32::get);
        out.extend_from_slice(&epoch.to_be_bytes());
        let count = u16::try_from(self.entries.len()).map_err(|_| StepTooLong)?;
        out.extend_from_slice(&count.to_be_bytes());
        for entry in &self.entries {
            out.extend_from_slice(&entry.sequence.to_be_bytes());
            out.push(entry.number);
            out.extend_from_slice(&entry.flags.0.to_be_bytes());
        }
        put_counted(&mut out, self.command)?;
        out.push(u8::try_from(self.observations.len()).map_err(|_| StepTooLong)?);
        for seen in &self.observations {
            out.extend_from_slice(&[seen.meter, seen.unit, u8::from(seen.bound)]);
            out.extend_from_slice(&seen.at_utc_s.to_be_bytes());
            out.extend_from_slice(&seen.register.to_be_bytes());
        }
        put_counted(&mut out, self.header)?;
        out.extend_from_slice(self.plaintext);
        Ok(out)
    }

    /// Reads a step.
    ///
    /// # Errors
    ///
    /// [`StepError`].
    pub fn decode(octets: &'a [u8]) -> Result<Self, StepError> {
        match octets.first() {
            Some(&STEP_VERSION) => {}
            Some(&version) if version > STEP_VERSION => return Err(StepError::Newer(version)),
            Some(_) | None => return Err(StepError::Malformed),
        }
        let parsed = all_consuming(step).parse(octets);
        parsed
            .map(|(_, step)| step)
            .map_err(|_| StepError::Malformed)
    }

    /// What ingest noted of the item at a place of the frame. It wrote its entries in this order; a
    /// decoder that understands more than the one of that day has another, and then type and
    /// sequence tell.
    #[must_use]
    pub fn noted(&self, place: usize, number: u8, sequence: u32) -> RecordFlags {
        let is_it = |entry: &&StepEntry| entry.number == number && entry.sequence == sequence;
        let entry = self.entries.get(place).filter(is_it);
        let entry = entry.or_else(|| self.entries.iter().find(is_it));
        entry.map_or_else(RecordFlags::default, |entry| entry.flags)
    }

    /// Whether the terminal goes on in the step's epoch although nothing is kept in it yet: what it
    /// sent, if anything, repeats what was kept before. A frame that comes late says nothing of
    /// that, and one that contradicts is not believed.
    #[must_use]
    pub fn begins_epoch_without_records(&self) -> bool {
        let is_repeat = |entry: &StepEntry| entry.flags.has(RecordFlags::REPEAT);
        self.flags.has(StepFlags::TAKES_REPORT)
            && self.flags.has(StepFlags::NEW_EPOCH)
            && self.entries.iter().all(is_repeat)
    }

    /// Whether an alarm notice is in it that is a new fact.
    #[must_use]
    pub fn has_new_alarm(&self) -> bool {
        let is_alarm = |entry: &StepEntry| entry.number == ALARM_NOTICE && entry.flags.is_new();
        self.entries.iter().any(is_alarm)
    }

    /// Whether anything but alarm notices is in it that is a new fact.
    #[must_use]
    pub fn has_new_bulk(&self) -> bool {
        let is_bulk = |entry: &StepEntry| entry.number != ALARM_NOTICE && entry.flags.is_new();
        self.entries.iter().any(is_bulk)
    }
}

/// The number of the alarm notice record.
pub(super) const ALARM_NOTICE: u8 = 0x05;

fn put_counted(out: &mut Vec<u8>, octets: &[u8]) -> Result<(), StepTooLong> {
    out.push(u8::try_from(octets.len()).map_err(|_| StepTooLong)?);
    out.extend_from_slice(octets);
    Ok(())
}

fn observations(input: &[u8]) -> nom::IResult<&[u8], Vec<Observation>> {
    let (mut input, count) = be_u8(input)?;
    let mut observations = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (rest, (meter, unit, bound)) = (be_u8, be_u8, be_u8).parse(input)?;
        let (rest, (at_utc_s, register)) = (be_u32, be_u64).parse(rest)?;
        input = rest;
        observations.push(Observation {
            meter,
            unit,
            bound: bound != 0,
            at_utc_s,
            register,
        });
    }
    Ok((input, observations))
}

fn octets_4(input: &[u8]) -> nom::IResult<&[u8], [u8; 4]> {
    be_u32.map(u32::to_be_bytes).parse(input)
}

fn counted(input: &[u8]) -> nom::IResult<&[u8], &[u8]> {
    let (input, len) = be_u8(input)?;
    take(len)(input)
}

fn entries(input: &[u8]) -> nom::IResult<&[u8], Vec<StepEntry>> {
    let (mut input, count) = be_u16(input)?;
    let mut entries = Vec::with_capacity(usize::from(count).min(input.len()));
    for _ in 0..count {
        let (rest, (sequence, number, flags)) = (be_u32, be_u8, be_u16).parse(input)?;
        input = rest;
        entries.push(StepEntry {
            sequence,
            number,
            flags: RecordFlags(flags),
        });
    }
    Ok((input, entries))
}

fn step(input: &[u8]) -> nom::IResult<&[u8], SessionStep<'_>> {
    let (input, (_, high, low)) = (be_u8, octets_4, octets_4).parse(input)?;
    let (input, (mode, kept, flags)) = (be_u8, be_u8, be_u16).parse(input)?;
    let (input, (received_utc_s, counter, digest)) = (be_u32, be_u32, octets_4).parse(input)?;
    let (input, (version, promoted_mode, decoder)) = (be_u8, be_u8, be_u16).parse(input)?;
    let (input, epoch) = be_u32(input)?;
    let (input, entries) = entries(input)?;
    let (input, (command, observations)) = (counted, observations).parse(input)?;
    let (input, (header, plaintext)) = (counted, rest).parse(input)?;
    let [a, b, c, d] = high;
    let [e, f, g, h] = low;
    let step = SessionStep {
        utility: UtilityId::new([a, b, c, d, e, f, g, h]),
        mode,
        kept,
        flags: StepFlags(flags),
        received_utc_s,
        counter,
        digest,
        promoted_version: (version != 0).then_some(version),
        promoted_mode: (promoted_mode != NO_MODE).then_some(promoted_mode),
        decoder,
        epoch: NonZeroU32::new(epoch),
        entries,
        command,
        observations,
        header,
        plaintext,
    };
    Ok((input, step))
}

/// What replay has to know of the command of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StepCommand {
    /// Its sequence and its class.
    pub handed_over: HandedOver,
    /// The mode that it offers, if it is a mode change.
    // spec: ROT-11
    pub offers_mode: Option<Mode>,
}

/// The octets of a command for a step: its sequence as u32, 1 if it is guarded, the version of its
/// key, kind, meter and precondition an octet each, `not_after` as u32, and its parameters.
#[must_use]
pub fn command_octets(command: &WaitingCommand) -> Vec<u8> {
    let mut octets = command.sequence.get().to_be_bytes().to_vec();
    octets.extend_from_slice(&[
        u8::from(command.is_guarded()),
        command.key_version.get(),
        command.kind.code(),
        command.meter.octet(),
        command.precondition.code(),
    ]);
    octets.extend_from_slice(&command.not_after_utc_s.to_be_bytes());
    octets.extend_from_slice(&command.parameters);
    octets
}

/// Reads what [`command_octets`] wrote; none for no command.
#[must_use]
pub fn command_of(octets: &[u8]) -> Option<StepCommand> {
    let [
        a,
        b,
        c,
        d,
        guarded,
        _,
        kind,
        _,
        _,
        _,
        _,
        _,
        _,
        parameters @ ..,
    ] = octets
    else {
        return None;
    };
    let sequence = NonZeroU32::new(u32::from_be_bytes([*a, *b, *c, *d]))?;
    let is_mode_change = CommandKind::from_code(*kind) == CommandKind::MODE_CHANGE;
    let mode = parameters.first().filter(|_| is_mode_change);
    Some(StepCommand {
        handed_over: HandedOver {
            sequence,
            guarded: *guarded != 0,
        },
        offers_mode: mode.and_then(|mode| Mode::from_number(*mode)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SessionStep<'static> {
        SessionStep {
            utility: UtilityId::new(*b"gasworks"),
            mode: 2,
            kept: 0,
            flags: StepFlags::TAKES_REPORT.with(StepFlags::OVER_TCP),
            received_utc_s: 1_793_404_800,
            counter: 77,
            digest: [1, 2, 3, 4],
            promoted_version: Some(2),
            promoted_mode: None,
            decoder: DECODER_VERSION,
            epoch: NonZeroU32::new(0x8F3A_21BC),
            entries: vec![StepEntry {
                sequence: 9,
                number: 5,
                flags: RecordFlags::METER_UNBOUND.with(RecordFlags::TIME_JUMPS),
            }],
            command: &[1, 2],
            observations: vec![Observation {
                meter: 0x10,
                unit: 3,
                bound: true,
                at_utc_s: 1_793_404_000,
                register: 123_456,
            }],
            header: &[0xA1; 22],
            plaintext: &[0x55; 90],
        }
    }

    #[test]
    fn a_step_reads_as_it_was_written_and_no_truncation_of_its_head_does() {
        let octets = sample().encode().unwrap();
        assert_eq!(SessionStep::decode(&octets).unwrap(), sample());
        let head = octets.len() - sample().plaintext.len();
        for cut in 0..head {
            assert_eq!(
                SessionStep::decode(&octets[..cut]),
                Err(StepError::Malformed)
            );
        }
    }

    #[test]
    fn a_step_of_a_later_version_is_refused_by_number() {
        let mut octets = sample().encode().unwrap();
        octets[0] = 2;
        assert_eq!(SessionStep::decode(&octets), Err(StepError::Newer(2)));
    }

    #[test]
    fn flags_have_the_names_of_the_outward_form() {
        let flags = sample().entries[0].flags;
        let names: Vec<_> = flags.names().collect();
        assert_eq!(names, ["time_jumps", "meter_unbound"]);
        assert!(flags.is_new() && !RecordFlags::REPEAT.is_new());
        assert!(sample().has_new_alarm() && !sample().has_new_bulk());
    }
}
