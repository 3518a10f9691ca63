//! The plaintext of an UPLINK: report, records, session items, padding.
//!
//! [`UplinkBody::decode`] is strict: it accepts what has exactly one meaning and one encoding.
//! [`Salvage::decode`] is what a server uses for a frame that verified: a record whose body is
//! damaged is set aside with its octets and the reason, and the others are kept.

use core::num::NonZeroU32;

use nom::Input as _;
use nom::number::complete::be_u8;

use crate::wire::error::{DecodeError, EncodeError, ErrorKind, OutOfRange};
use crate::wire::hex::Hex;
use crate::wire::span::{Span, field, plain};
use crate::wire::view::Notes;
use crate::wire::writer::Writer;

use super::ident::Mode;
use super::item::{self, NUMBER_MAX, RawItem, item};
use super::record::{self, Record, RecordBody};
use super::registry::items::{
    ANSWER_REFUSED, PREVIOUS_EPOCH, SESSION_ITEM_FIRST, session_item_id, uplink,
};
use super::report::{Report, epoch, report};

/// The plaintext of an UPLINK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkBody {
    /// The terminal's report.
    // spec: REC-1
    pub report: Report,
    /// The records, in the order of the frame.
    pub records: Vec<Record>,
    /// The session items, which follow all records.
    pub session_items: SessionItems,
    /// Octets of padding; 0 in mode 0.
    pub padding: u16,
}

/// Session items in their one order: by number, each number once.
// spec: REC-34
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionItems(Vec<SessionItem>);

impl SessionItems {
    /// Session items, put into their order.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if a number occurs twice.
    // spec: REC-34
    pub fn new(mut items: Vec<SessionItem>) -> Result<Self, OutOfRange> {
        items.sort_by_key(SessionItem::number);
        let twice = items
            .iter()
            .zip(items.iter().skip(1))
            .any(|(one, next)| one.number() == next.number());
        if twice {
            return Err(OutOfRange("a session item that may occur once"));
        }
        Ok(Self(items))
    }

    /// The items, by number.
    #[must_use]
    pub fn as_slice(&self) -> &[SessionItem] {
        &self.0
    }
}

/// A session item: something that holds for the session and is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionItem {
    /// The epoch that the terminal left.
    PreviousEpoch(NonZeroU32),
    /// The number of an answer item that the terminal had to refuse.
    // spec: ANS-20
    AnswerRefused(u8),
    /// An item that this version does not know or reserves, to be ignored and counted.
    // spec: REC-29
    Unknown(UnknownSessionItem),
}

/// A session item that this version does not know, kept as it came.
// spec: REC-29
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSessionItem {
    number: u8,
    critical: bool,
    octets: Vec<u8>,
}

impl UnknownSessionItem {
    /// An unknown item; none if this version knows the number, if it is not one of 0x70 to 0x7E,
    /// or if the number is reserved with the other critical bit.
    #[must_use]
    pub fn new(number: u8, critical: bool, octets: Vec<u8>) -> Option<Self> {
        let is_session_item = (SESSION_ITEM_FIRST..=NUMBER_MAX).contains(&number);
        let known = matches!(number, PREVIOUS_EPOCH | ANSWER_REFUSED);
        let reserved = session_item_id(number).is_some();
        (is_session_item && !known && !(reserved && critical)).then_some(Self {
            number,
            critical,
            octets,
        })
    }

    /// The number of the item.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The critical bit, which means nothing in an uplink, and is kept.
    #[must_use]
    pub const fn critical(&self) -> bool {
        self.critical
    }

    /// The body.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// What is in a frame that verified, with the records that cannot be decoded set aside.
// spec: REC-12
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// All that could be decoded.
    pub body: UplinkBody,
    /// The others, in the order of the frame.
    pub damaged: Vec<DamagedItem>,
}

/// A record or session item whose body cannot be decoded.
// spec: REC-12
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedItem {
    /// The number of its type.
    pub number: u8,
    /// The record sequence, if that could be read; none in a session item.
    pub sequence: Option<NonZeroU32>,
    /// The whole body as it came.
    pub octets: Vec<u8>,
    /// What is wrong with it.
    pub error: DecodeError,
}

impl UplinkBody {
    /// Reads a plaintext whose first octet stands at `base_offset` of the frame, in the pinned
    /// mode.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] at the first octet that is wrong or missing.
    // spec: GEN-3, GEN-5
    pub fn decode(plaintext: &[u8], base_offset: usize, mode: Mode) -> Result<Self, DecodeError> {
        walk(Span::new(plaintext, base_offset), mode, |_, error| {
            Err(error)
        })
    }

    /// Writes the plaintext.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ModeForbids`] for padding in mode 0, [`EncodeError::NoRoom`].
    // spec: FRM-9, FRM-13, GEN-3
    pub fn encode(&self, mode: Mode, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        if mode == Mode::Clear && self.padding > 0 {
            return Err(EncodeError::ModeForbids);
        }
        self.report.encode(out)?;
        self.records
            .iter()
            .try_for_each(|record| record.encode(out))?;
        self.session_items
            .as_slice()
            .iter()
            .try_for_each(|item| item.encode(out))?;
        out.zeros(usize::from(self.padding))
    }
}

impl Salvage {
    /// Reads a plaintext whose first octet stands at `base_offset` of the frame, in the pinned
    /// mode, and sets damaged records aside.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for damage outside of the items' bodies: report, item type or length,
    /// padding. The frame is refused then.
    // spec: REC-12
    pub fn decode(plaintext: &[u8], base_offset: usize, mode: Mode) -> Result<Self, DecodeError> {
        Self::read(Span::new(plaintext, base_offset), mode)
    }

    /// Reads a plaintext and names its fields, beyond damaged records too. The error is the
    /// first one.
    pub(crate) fn view(input: Span<'_>, mode: Mode, notes: &Notes) -> Result<(), DecodeError> {
        let mut first = None;
        let walked = walk(input.noted(Some(notes)), mode, |_, error| {
            first.get_or_insert(error);
            Ok(())
        });
        match first {
            Some(error) => Err(error),
            None => walked.map(|_| ()),
        }
    }

    fn read(input: Span<'_>, mode: Mode) -> Result<Self, DecodeError> {
        let mut damaged = Vec::new();
        let body = walk(input, mode, |raw, error| {
            let body = raw.body.noted(None);
            let sequence = if raw.number < SESSION_ITEM_FIRST {
                record::sequence(body).ok().map(|(_, sequence)| sequence)
            } else {
                None
            };
            damaged.push(DamagedItem {
                number: raw.number,
                sequence,
                octets: body.octets().to_vec(),
                error,
            });
            Ok(())
        })?;
        Ok(Self { body, damaged })
    }
}

/// Reads a plaintext; `damage` decides what becomes of an item whose body is damaged.
// spec: FRM-9, FRM-13, FRM-19, REC-34
fn walk(
    input: Span<'_>,
    mode: Mode,
    mut damage: impl FnMut(&RawItem<'_>, DecodeError) -> Result<(), DecodeError>,
) -> Result<UplinkBody, DecodeError> {
    let (mut rest, report) = report(input).map_err(plain)?;
    let mut records = Vec::new();
    let mut session_items = Vec::new();
    let mut last = 0;
    while rest.octets().first().is_some_and(|first| *first != 0) {
        let in_order = |number, _critical| {
            if last >= SESSION_ITEM_FIRST && number <= last {
                Err(ErrorKind::NonCanonical)
            } else {
                Ok(())
            }
        };
        let (after, raw) = item(rest, uplink, in_order).map_err(plain)?;
        let damaged = if raw.number < SESSION_ITEM_FIRST {
            Record::decode(&raw).map(|record| records.push(record))
        } else {
            SessionItem::decode(&raw).map(|item| session_items.push(item))
        };
        if let Err(error) = damaged {
            damage(&raw, error)?;
        }
        last = raw.number;
        rest = after;
    }
    if mode == Mode::Clear && !rest.is_empty() {
        let kind = ErrorKind::PaddingNotZero;
        return Err(DecodeError::new(rest.offset(), kind, "padding"));
    }
    Ok(UplinkBody {
        report,
        records,
        session_items: SessionItems(session_items),
        padding: padding(rest)?,
    })
}

/// Reads padding to the end and returns how many octets it has.
// spec: FRM-9
pub(crate) fn padding(input: Span<'_>) -> Result<u16, DecodeError> {
    // Looking at all octets at once is faster than one by one.
    if input.octets().iter().fold(0, |any, octet| any | octet) != 0 {
        let bad = input.octets().iter().position(|octet| *octet != 0);
        let at = input.offset().saturating_add(bad.unwrap_or(0));
        return Err(DecodeError::new(at, ErrorKind::PaddingNotZero, "padding"));
    }
    let len = input.octets().len();
    input.note(
        input.take_from(len),
        "padding",
        &format_args!("{len} zeros"),
    );
    Ok(u16::try_from(len).unwrap_or(u16::MAX))
}

impl SessionItem {
    /// The number of the item.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::PreviousEpoch(_) => PREVIOUS_EPOCH,
            Self::AnswerRefused(_) => ANSWER_REFUSED,
            Self::Unknown(item) => item.number(),
        }
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let critical = match self {
            Self::Unknown(item) => item.critical(),
            Self::PreviousEpoch(_) | Self::AnswerRefused(_) => false,
        };
        item::put(out, self.number(), critical, |out| match self {
            Self::PreviousEpoch(epoch) => out.u32(epoch.get()),
            Self::AnswerRefused(number) => out.u8(*number),
            Self::Unknown(item) => out.octets(item.octets()),
        })
    }

    // spec: REC-28, REC-29, ANS-20
    fn decode(raw: &RawItem<'_>) -> Result<Self, DecodeError> {
        match raw.number {
            PREVIOUS_EPOCH => {
                item::whole(raw.body, epoch("previous epoch")).map(Self::PreviousEpoch)
            }
            ANSWER_REFUSED => {
                item::whole(raw.body, field("refused item", be_u8)).map(Self::AnswerRefused)
            }
            number => {
                let (body, octets) = (raw.body, raw.body.octets());
                body.note(body.take_from(octets.len()), "item body", &Hex(octets));
                Ok(Self::Unknown(UnknownSessionItem {
                    number,
                    critical: raw.critical,
                    octets: octets.to_vec(),
                }))
            }
        }
    }
}

impl UplinkBody {
    /// Whether the frame holds an alarm notice, which is what the ALARM bit has to say.
    // spec: FRM-6
    #[must_use]
    pub fn holds_alarm(&self) -> bool {
        self.records
            .iter()
            .any(|record| matches!(record.body, RecordBody::AlarmNotice(_)))
    }
}
