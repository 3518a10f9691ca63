//! What speaks against a reading of a telegram for which no CRC vouches: that its octets may be
//! those of another format, with damage.
//!
//! It tells of the reading that it is given alone; which one is believed is not said here.

use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::link::{self, Format, Link};

use super::evidence::{Told, has_whole_records, is_vouched_for, makes_sense, told};
use super::fragments::Fragments;
use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::layers::{Buffers, open_layers};
use super::open::Step;
use super::opened::{Opened, Security, Verified};
use super::refusal::Refusal;

/// Octets that a telegram of format A may lack and be looked for all the same.
const CUT_MAX: usize = 3;
/// Octets of a CRC of the link.
const CRC_OCTETS: usize = 2;
/// Octets of a block of format B with its CRC, at most.
const FORMAT_B_BLOCK_MAX: usize = 128;

/// How doubtful it is that a telegram without CRCs is one, and not of format A with each damaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    /// Not at all.
    None,
    /// It may be one of format A that was cut: it has to have some content.
    Cut,
    /// There are as many octets as format A has, or more: it has to have a content that has a form,
    /// or be a header alone.
    Length,
    /// What is more, that reading is a header alone, which some octets are by chance: it has to
    /// have whole records.
    HeaderAlone,
    /// That reading has a content too, or a key opens it: only a key can say otherwise.
    Content,
}

impl Doubt {
    fn of(telegram: &[u8], keys: &impl MeterKeys) -> Self {
        let mut octets = Vec::new();
        let of_a = link::damaged_format_a(telegram, &mut octets);
        let Some(of_a) = of_a.filter(|of_a| of_a.missing_octets <= CUT_MAX) else {
            return Self::None;
        };
        opened_in_clear(&of_a.link, keys, |step| {
            match (of_a.missing_octets, told(step)) {
                _ if is_vouched_for(step) => Self::Content,
                (0, Told::Nothing) => Self::Length,
                (0, Told::HeaderAlone) => Self::HeaderAlone,
                (0, _) => Self::Content,
                // Of what is cut, any part may be gone.
                _ => Self::Cut,
            }
        })
    }

    /// Whether what a reading tells outweighs it.
    fn yields_to(self, step: &Result<Step<'_>, Refusal>) -> bool {
        match (self, told(step)) {
            (Self::None, _) => true,
            (Self::Cut, told) => told != Told::Nothing,
            (Self::Length, told) => matches!(told, Told::HeaderAlone | Told::Content),
            (Self::HeaderAlone, _) => has_whole_records(step),
            (Self::Content, _) => false,
        }
    }
}

/// What is wrong with a telegram for which no CRC vouches, if its reading is not believed.
pub(super) fn damage_of(
    telegram: &[u8],
    link: &Link<'_>,
    step: &Result<Step<'_>, Refusal>,
    keys: &impl MeterKeys,
) -> Option<MbusError> {
    let is_damaged = match link.format {
        Format::WirelessPlain => is_damaged_format_a(telegram, link, step, keys),
        Format::WirelessNoLength => has_damaged_c_field(telegram, step),
        _ => false,
    };
    let (offset, kind, field) = match link.format {
        Format::WirelessNoLength => (1, MbusErrorKind::Reserved, "C field"),
        _ => (0, MbusErrorKind::BlockCrc(0), "block CRC"),
    };
    is_damaged.then(|| MbusError::new(offset, kind, field))
}

/// Whether a telegram without CRCs is taken for one of format A with each damaged. What keys speak
/// for or against is told as it is; what comes in clear is doubted.
fn is_damaged_format_a(
    telegram: &[u8],
    link: &Link<'_>,
    step: &Result<Step<'_>, Refusal>,
    keys: &impl MeterKeys,
) -> bool {
    let is_doubted = |step: &Result<Step<'_>, Refusal>| {
        let may_be = match step {
            Ok(Step::Opened(_)) => !is_vouched_for(step),
            Err(Refusal::Octets(error)) => {
                !matches!(error.kind, MbusErrorKind::Fragment | MbusErrorKind::Limit)
            }
            _ => false,
        };
        may_be && !Doubt::of(telegram, keys).yields_to(step)
    };
    match step {
        Err(Refusal::ClearNotAllowed) => opened_in_clear(link, keys, is_doubted),
        _ => is_doubted(step),
    }
}

/// What is to be said of a telegram if its meter may send in clear: whether its octets are damaged
/// is not for its meter's policy to say. The first fragments of a message are not looked at.
fn opened_in_clear<T>(
    link: &Link<'_>,
    keys: &impl MeterKeys,
    judge: impl FnOnce(&Result<Step<'_>, Refusal>) -> T,
) -> T {
    let (mut none, mut buffers, mut named) = (Fragments::default(), Buffers::default(), None);
    let keys = InClearToo(keys);
    let step = open_layers(link, &keys, &mut none, 0, &mut buffers, &mut named);
    judge(&step)
}

/// What is wrong with a telegram in mode 5 that may be one of format B without a CRC that holds:
/// the check octets say nothing of the blocks behind them, and of a damaged block four in ten read
/// as some records.
pub(super) fn doubt_of_blocks(
    link: &Link<'_>,
    step: &Result<Step<'_>, Refusal>,
    opened: &Opened<'_>,
    keys: &impl MeterKeys,
) -> Option<MbusError> {
    let of = &opened.security;
    let is_unproven = of.verified == Verified::CheckBytes && of.mode == 5 && !of.link_encrypted;
    if link.format != Format::WirelessPlain || !is_unproven {
        return None;
    }
    let octets = link.body_offset.saturating_add(link.body.len());
    let crcs = octets.div_ceil(FORMAT_B_BLOCK_MAX);
    let behind_crcs = of
        .clear_tail_octets
        .saturating_add(of.withheld_octets)
        .checked_sub(crcs.saturating_mul(CRC_OCTETS));
    let is_doubtful = match behind_crcs {
        // As many octets behind the blocks as format B has CRCs, or more: of one block, the CRC is
        // the end.
        Some(0) if crcs == 1 => !is_end_of_content(link.body),
        Some(_) => !makes_sense_with_tail(link, step, of, keys),
        None => false,
    };
    let kind = MbusErrorKind::BlockCrc(0);
    is_doubtful.then(|| MbusError::new(0, kind, "CRC of format B, if it is one"))
}

/// Whether the last two octets are fillers, or a maker's part with one octet of its own or none.
const fn is_end_of_content(body: &[u8]) -> bool {
    matches!(body, [.., 0x2F, 0x2F | 0x0F | 0x1F] | [.., 0x0F | 0x1F, _])
}

/// Whether nothing speaks against a telegram's records and those of its tail, which may have been
/// withheld. Of a message in fragments a withheld tail is not looked at.
fn makes_sense_with_tail(
    link: &Link<'_>,
    step: &Result<Step<'_>, Refusal>,
    of: &Security,
    keys: &impl MeterKeys,
) -> bool {
    if of.withheld_octets == 0 {
        return makes_sense(step);
    }
    opened_in_clear(link, keys, |in_clear| match in_clear {
        Ok(Step::Opened(_)) => makes_sense(in_clear),
        // The last fragment alone is no message.
        _ => makes_sense(step),
    })
}

/// Whether a telegram without its length octet is one whose C field is damaged: its first octet
/// fits as a length, and the content says nothing else.
fn has_damaged_c_field(telegram: &[u8], step: &Result<Step<'_>, Refusal>) -> bool {
    let length = telegram.first().copied().unwrap_or_default();
    telegram.len() > usize::from(length) && told(step) == Told::Nothing
}

/// Keys of meters that may send in clear.
struct InClearToo<'k, K>(&'k K);

impl<K: MeterKeys> MeterKeys for InClearToo<'_, K> {
    fn visit(&self, meter: Address, id: KeyId, visit: &mut dyn FnMut(KeyVersion, &Key128) -> bool) {
        self.0.visit(meter, id, visit);
    }

    fn policy(&self, _: Address) -> Policy {
        Policy::ClearAllowed
    }
}
