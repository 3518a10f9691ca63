//! The plaintext of an ANSWER: what is safe, and what waits for the terminal.

use nom::number::complete::{be_u8, be_u16};

use crate::wire::error::{DecodeError, EncodeError, ErrorKind, OutOfRange};
use crate::wire::hex::{Bits, Hex};
use crate::wire::span::{Parsed, Span, array, field, plain, ranged, refine};
use crate::wire::view::Notes;
use crate::wire::writer::Writer;

use super::command::{CommandItem, command};
use super::ident::{FrameCounter, Mode};
use super::item::{self, NUMBER_MAX, RawItem, item};
use super::registry::items::{COME_BACK, COMMAND, FLOOR, SLOT, answer, answer_item_id};

const ACK: u8 = 0x01;
const FINAL: u8 = 0x02;
const MORE: u8 = 0x04;
const NEW_EPOCH: u8 = 0x08;
const UNPROVEN: u8 = 0x10;
const RESERVED: u8 = 0xE0;

/// The flags of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five flags of the link")]
pub struct AnswerFlags {
    /// Every record of the uplink that this answers is safe.
    pub ack: bool,
    /// Nothing more waits. Never together with `more`.
    pub is_final: bool,
    /// The server asks for another uplink now.
    pub more: bool,
    /// The terminal is to draw a new store epoch.
    pub new_epoch: bool,
    /// The uplink had no ticket.
    pub unproven: bool,
}

impl AnswerFlags {
    fn octet(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.ack, ACK)
            | bit(self.is_final, FINAL)
            | bit(self.more, MORE)
            | bit(self.new_epoch, NEW_EPOCH)
            | bit(self.unproven, UNPROVEN)
    }

    // spec: GEN-7, ANS-3
    fn from_octet(octet: u8) -> Result<Self, ErrorKind> {
        if octet & RESERVED != 0 {
            return Err(ErrorKind::ReservedBits);
        }
        if octet & (FINAL | MORE) == FINAL | MORE {
            return Err(ErrorKind::BadValue);
        }
        Ok(Self {
            ack: octet & ACK != 0,
            is_final: octet & FINAL != 0,
            more: octet & MORE != 0,
            new_epoch: octet & NEW_EPOCH != 0,
            unproven: octet & UNPROVEN != 0,
        })
    }
}

/// A time to come back after: 1 to 21,600 units of 4 s.
// spec: ANS-19
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComeBack(u16);

impl ComeBack {
    /// A time in units of 4 s.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for 0 and above 21,600.
    pub const fn from_units(units: u16) -> Result<Self, OutOfRange> {
        match units {
            1..=21_600 => Ok(Self(units)),
            _ => Err(OutOfRange("come-back, 1 to 21,600 units of 4 s")),
        }
    }

    /// The time in units of 4 s.
    #[must_use]
    pub const fn units(self) -> u16 {
        self.0
    }

    /// The time in seconds, 4 to 86,400.
    #[must_use]
    pub fn seconds(self) -> u32 {
        u32::from(self.0).saturating_mul(4)
    }
}

impl core::fmt::Display for ComeBack {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} s", self.seconds())
    }
}

/// The second of the UTC day at which a terminal wakes, and the version of that order.
// spec: ANS-18, ANS-19
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeSlot {
    version: u8,
    second_of_day: u32,
}

impl WakeSlot {
    /// A slot: version 1 to 15, second 0 to 86,399.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for others.
    pub const fn new(version: u8, second_of_day: u32) -> Result<Self, OutOfRange> {
        if matches!(version, 1..=15) && second_of_day < 86_400 {
            Ok(Self {
                version,
                second_of_day,
            })
        } else {
            Err(OutOfRange("slot, version 1 to 15 and second of a day"))
        }
    }

    /// The version, 1 to 15.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.version
    }

    /// The second of the UTC day, 0 to 86,399.
    #[must_use]
    pub const fn second_of_day(self) -> u32 {
        self.second_of_day
    }
}

/// An item that a receiver may skip, kept as it came.
// spec: ANS-12
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownItem {
    number: u8,
    octets: Vec<u8>,
}

impl UnknownItem {
    /// An unknown item; none if the number is registered or not an item's.
    #[must_use]
    pub fn new(number: u8, octets: Vec<u8>) -> Option<Self> {
        match number {
            1..=NUMBER_MAX if answer_item_id(number).is_none() => Some(Self { number, octets }),
            _ => None,
        }
    }

    /// The number of the item.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The body.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// An item of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerItem {
    /// Call once more after that time.
    ComeBack(ComeBack),
    /// Wake at that second of the day.
    Slot(WakeSlot),
    /// Continue with at least that frame counter.
    Floor(FrameCounter),
    /// A command.
    Command(CommandItem),
    /// An item that this version does not know and may skip.
    Unknown(UnknownItem),
}

impl AnswerItem {
    /// The number of the item.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::ComeBack(_) => COME_BACK,
            Self::Slot(_) => SLOT,
            Self::Floor(_) => FLOOR,
            Self::Command(_) => COMMAND,
            Self::Unknown(item) => item.number(),
        }
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let critical = matches!(self, Self::Floor(_) | Self::Command(_));
        item::put(out, self.number(), critical, |out| match self {
            Self::ComeBack(time) => out.u16(time.units()),
            Self::Slot(slot) => {
                let [_, second @ ..] = slot.second_of_day.to_be_bytes();
                out.u8(slot.version)?;
                out.octets(&second)
            }
            Self::Floor(counter) => out.u32(counter.get()),
            Self::Command(command) => command.encode(out),
            Self::Unknown(item) => out.octets(item.octets()),
        })
    }
}

/// The order in which items stand: by number, commands by their sequence.
// spec: ANS-11
fn rank(item: &AnswerItem) -> (u8, u32) {
    let sequence = match item {
        AnswerItem::Command(command) => command.sequence.get(),
        _ => 0,
    };
    (item.number(), sequence)
}

/// Puts items into their one order.
///
/// # Errors
///
/// [`OutOfRange`] if an item other than COMMAND, or a command sequence, occurs twice.
// spec: ANS-11
pub(crate) fn in_order(mut items: Vec<AnswerItem>) -> Result<Vec<AnswerItem>, OutOfRange> {
    items.sort_by_key(rank);
    let twice = items
        .iter()
        .zip(items.iter().skip(1))
        .any(|(one, next)| rank(one) == rank(next));
    if twice {
        return Err(OutOfRange("an item that may occur once"));
    }
    Ok(items)
}

/// The plaintext of an ANSWER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    flags: AnswerFlags,
    map: u16,
    items: Vec<AnswerItem>,
}

impl Answer {
    /// An answer. The items are put into their order.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for FINAL with MORE, ACK with FLOOR, and an item that occurs twice.
    // spec: ANS-3, ANS-11, ANS-14
    pub fn new(flags: AnswerFlags, map: u16, items: Vec<AnswerItem>) -> Result<Self, OutOfRange> {
        if flags.is_final && flags.more {
            return Err(OutOfRange("FINAL beside MORE"));
        }
        let floor = items
            .iter()
            .any(|item| matches!(item, AnswerItem::Floor(_)));
        if flags.ack && floor {
            return Err(OutOfRange("ACK beside FLOOR"));
        }
        Ok(Self {
            flags,
            map,
            items: in_order(items)?,
        })
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> AnswerFlags {
        self.flags
    }

    /// The acknowledgement map: bit i is the frame with counter N − 1 − i.
    #[must_use]
    pub const fn map(&self) -> u16 {
        self.map
    }

    /// The items, in their order.
    #[must_use]
    pub fn items(&self) -> &[AnswerItem] {
        &self.items
    }

    /// Reads a plaintext whose first octet stands at `base_offset` of the frame.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] at the first octet that is wrong or missing.
    pub fn decode(plaintext: &[u8], base_offset: usize, mode: Mode) -> Result<Self, DecodeError> {
        Self::read(Span::new(plaintext, base_offset), mode)
    }

    /// Reads a plaintext and names its fields.
    pub(crate) fn view(input: Span<'_>, mode: Mode, notes: &Notes) -> Result<(), DecodeError> {
        Self::read(input.noted(Some(notes)), mode).map(|_| ())
    }

    // spec: ANS-3, ANS-13, FRM-16
    fn read(input: Span<'_>, mode: Mode) -> Result<Self, DecodeError> {
        let (rest, ShownFlags(flags)) = field(
            "answer flags",
            refine(be_u8, |octet| {
                AnswerFlags::from_octet(octet).map(ShownFlags)
            }),
        )(input)
        .map_err(plain)?;
        let (rest, map) = field("acknowledgement map", be_u16)(rest).map_err(plain)?;
        if mode == Mode::Clear {
            rest.expect_end("answer items")?;
        }
        let allowed = Allowed {
            floor: !flags.ack,
            command: true,
        };
        let items = items(rest, allowed)?;
        Ok(Self { flags, map, items })
    }

    /// Writes the plaintext.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ModeForbids`] for items in mode 0, [`EncodeError::NoRoom`].
    // spec: ANS-13
    pub fn encode(&self, mode: Mode, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        if mode == Mode::Clear && !self.items.is_empty() {
            return Err(EncodeError::ModeForbids);
        }
        out.u8(self.flags.octet())?;
        out.u16(self.map)?;
        encode_items(&self.items, out)
    }
}

/// Writes items, which are in order.
pub(crate) fn encode_items(items: &[AnswerItem], out: &mut Writer<'_>) -> Result<(), EncodeError> {
    items.iter().try_for_each(|item| item.encode(out))
}

/// Which registered items may stand in a plaintext.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    /// FLOOR.
    pub(crate) floor: bool,
    /// COMMAND.
    pub(crate) command: bool,
}

impl Allowed {
    /// Whether an item may stand here, by its type octet.
    // spec: ANS-11, ANS-12, ANS-14, ANS-15
    fn judge(self, last: u8, number: u8, critical: bool) -> Result<(), ErrorKind> {
        let refused = match number {
            FLOOR => !self.floor,
            COMMAND => !self.command,
            _ => false,
        };
        if number < last || (number == last && number != COMMAND) {
            Err(ErrorKind::NonCanonical)
        } else if refused {
            Err(ErrorKind::BadValue)
        } else if critical && !matches!(number, FLOOR | COMMAND) {
            Err(ErrorKind::UnknownCriticalItem)
        } else {
            Ok(())
        }
    }
}

/// Reads items to the end of the plaintext.
// spec: ANS-11, ANS-12
pub(crate) fn items(input: Span<'_>, allowed: Allowed) -> Result<Vec<AnswerItem>, DecodeError> {
    let mut items: Vec<AnswerItem> = Vec::new();
    let mut last = (0, 0);
    let mut rest = input;
    while !rest.is_empty() {
        let (after, raw) = item(rest, answer, |number, critical| {
            allowed.judge(last.0, number, critical)
        })
        .map_err(plain)?;
        let decoded = decode_item(&raw)?;
        let rank = rank(&decoded);
        if rank <= last {
            let kind = ErrorKind::NonCanonical;
            return Err(DecodeError::new(raw.offset, kind, "command sequence"));
        }
        last = rank;
        items.push(decoded);
        rest = after;
    }
    Ok(items)
}

fn decode_item(raw: &RawItem<'_>) -> Result<AnswerItem, DecodeError> {
    match raw.number {
        COME_BACK => item::whole(raw.body, come_back).map(AnswerItem::ComeBack),
        SLOT => item::whole(raw.body, slot).map(AnswerItem::Slot),
        FLOOR => item::whole(raw.body, floor).map(AnswerItem::Floor),
        COMMAND => item::whole(raw.body, command).map(AnswerItem::Command),
        number => {
            let (body, octets) = (raw.body, raw.body.octets());
            body.note(Span::new(&[], body.end()), "item body", &Hex(octets));
            Ok(AnswerItem::Unknown(UnknownItem {
                number,
                octets: octets.to_vec(),
            }))
        }
    }
}

// spec: ANS-19
fn come_back(input: Span<'_>) -> Parsed<'_, ComeBack> {
    field(
        "come-back",
        ranged(be_u16, |units| ComeBack::from_units(units).ok()),
    )(input)
}

// spec: ANS-19
fn slot(input: Span<'_>) -> Parsed<'_, WakeSlot> {
    let (rest, version) = field(
        "slot version",
        ranged(be_u8, |version| {
            WakeSlot::new(version, 0).ok().map(WakeSlot::version)
        }),
    )(input)?;
    let (rest, second_of_day) = field(
        "second of the day",
        ranged(array, |[high, mid, low]: [u8; 3]| {
            let second = u32::from_be_bytes([0, high, mid, low]);
            WakeSlot::new(1, second).ok().map(WakeSlot::second_of_day)
        }),
    )(rest)?;
    let slot = WakeSlot {
        version,
        second_of_day,
    };
    Ok((rest, slot))
}

/// Reads a floor.
// spec: ANS-19
pub(crate) fn floor(input: Span<'_>) -> Parsed<'_, FrameCounter> {
    field(
        "floor",
        ranged(array, |octets| {
            FrameCounter::new(u32::from_be_bytes(octets))
        }),
    )(input)
}

/// Answer flags, for a view.
struct ShownFlags(AnswerFlags);

impl core::fmt::Display for ShownFlags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Bits(self.0.octet()).fmt(f)
    }
}
