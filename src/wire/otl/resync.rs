//! The plaintexts of RESYNC and RESYNC_ANSWER: a terminal lost its counter and gets a floor.

use nom::number::complete::be_u8;

use crate::wire::error::{DecodeError, EncodeError, OutOfRange};
use crate::wire::span::{Span, field, plain};
use crate::wire::view::Notes;
use crate::wire::writer::Writer;

use super::answer::{Allowed, AnswerItem, encode_items, floor, in_order, items};
use super::ident::{FrameCounter, Mode};
use super::limits::{RESYNC_HEADER_LEN, RESYNC_LEN};
use super::report::{Report, report};
use super::uplink::padding;

/// The plaintext of a RESYNC. It carries no records.
// spec: RSY-1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncBody {
    /// The terminal's report.
    pub report: Report,
    /// Why: 1 counter lost, 2 memory suspect or restored, 3 ordered by a technician; others are
    /// kept and count as 1.
    // spec: FRM-15
    pub reason: u8,
}

impl ResyncBody {
    /// Reads a plaintext whose first octet stands at `base_offset` of the frame.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] at the first octet that is wrong or missing.
    // spec: FRM-14
    pub fn decode(plaintext: &[u8], base_offset: usize) -> Result<Self, DecodeError> {
        Self::read(Span::new(plaintext, base_offset))
    }

    /// Reads a plaintext and names its fields.
    pub(crate) fn view(input: Span<'_>, notes: &Notes) -> Result<(), DecodeError> {
        Self::read(input.noted(Some(notes))).map(|_| ())
    }

    fn read(input: Span<'_>) -> Result<Self, DecodeError> {
        let (rest, report) = report(input).map_err(plain)?;
        let (rest, reason) = field("resync reason", be_u8)(rest).map_err(plain)?;
        padding(rest)?;
        Ok(Self { report, reason })
    }

    /// Writes the plaintext, with the zeros that make the frame 64 octets long.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ModeForbids`] in mode 0, [`EncodeError::NoRoom`].
    // spec: FRM-14, FRM-17
    pub fn encode(&self, mode: Mode, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        if mode == Mode::Clear {
            return Err(EncodeError::ModeForbids);
        }
        let room = out.room();
        self.report.encode(out)?;
        out.u8(self.reason)?;
        let written = room.saturating_sub(out.room());
        let len = RESYNC_LEN
            .saturating_sub(RESYNC_HEADER_LEN)
            .saturating_sub(mode.tag_len());
        out.zeros(len.saturating_sub(written))
    }
}

/// The plaintext of a RESYNC_ANSWER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResyncAnswer {
    floor: FrameCounter,
    items: Vec<AnswerItem>,
}

impl ResyncAnswer {
    /// An answer to a RESYNC. The items are put into their order.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for FLOOR and COMMAND items, and for an item that occurs twice.
    // spec: ANS-11, ANS-15
    pub fn new(floor: FrameCounter, items: Vec<AnswerItem>) -> Result<Self, OutOfRange> {
        let refused =
            |item: &AnswerItem| matches!(item, AnswerItem::Floor(_) | AnswerItem::Command(_));
        if items.iter().any(refused) {
            return Err(OutOfRange("FLOOR or COMMAND in a RESYNC_ANSWER"));
        }
        Ok(Self {
            floor,
            items: in_order(items)?,
        })
    }

    /// The lowest counter that the terminal may go on with.
    // spec: RSY-2
    #[must_use]
    pub const fn floor(&self) -> FrameCounter {
        self.floor
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
    pub fn decode(plaintext: &[u8], base_offset: usize) -> Result<Self, DecodeError> {
        Self::read(Span::new(plaintext, base_offset))
    }

    /// Reads a plaintext and names its fields.
    pub(crate) fn view(input: Span<'_>, notes: &Notes) -> Result<(), DecodeError> {
        Self::read(input.noted(Some(notes))).map(|_| ())
    }

    // spec: ANS-15
    fn read(input: Span<'_>) -> Result<Self, DecodeError> {
        let (rest, floor) = floor(input).map_err(plain)?;
        let allowed = Allowed {
            floor: false,
            command: false,
        };
        let items = items(rest, allowed)?;
        Ok(Self { floor, items })
    }

    /// Writes the plaintext.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`].
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u32(self.floor.get())?;
        encode_items(&self.items, out)
    }
}
