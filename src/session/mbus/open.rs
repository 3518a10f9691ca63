//! From a telegram to what may be read of it, by the reading of its octets that is believed.
//!
//! Some octets can be read in two ways, of which [`link`] cannot tell which is right: as a telegram
//! without CRCs, or as one whose CRCs are there, hold by chance, or are damaged. What lies above
//! the link tells: keys that fit, and else contents that a telegram can have. Where both readings
//! have such, the one that makes data of CRCs is not believed.

use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::link::{self, Carriage, Format, Link};

use super::evidence::{
    Told, has_whole_records, is_proven_whole, is_told, is_vouched_for, makes_sense, told,
};
use super::fragments::{FragmentStore, Fragments};
use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::layers::{Buffers, open_layers};
use super::opened::{Opened, Verified};
use super::refusal::Refusal;

/// Octets that a telegram of format A may lack and be looked for all the same.
const CUT_MAX: usize = 3;
/// Octets of a CRC of the link.
const CRC_OCTETS: usize = 2;
/// Octets of a block of format B with its CRC, at most.
const FORMAT_B_BLOCK_MAX: usize = 128;

/// Buffers that a worker keeps, so that a telegram costs no allocation.
#[derive(Debug, Default)]
pub struct Scratch {
    link: Vec<u8>,
    layers: Buffers,
    /// For the other reading of a telegram that has two.
    other: Buffers,
    named: Option<Address>,
}

impl Scratch {
    /// The meter that the last telegram named, whether or not it was opened: nothing vouches for
    /// it. Of one that ended before its transport header, who sent it.
    #[must_use]
    pub const fn meter(&self) -> Option<Address> {
        self.named
    }
}

/// What came of a telegram.
#[derive(Debug)]
pub enum Step<'a> {
    /// It may be read.
    Opened(Opened<'a>),
    /// It is a part of a message, and is kept until the others come.
    FragmentKept {
        /// Whose.
        sender: Address,
        /// Its number, from 1.
        fragment: u8,
    },
    /// It carries nothing: an acknowledgement or a request of the link.
    LinkOnly {
        /// What it was carried in.
        format: Format,
        /// Its C field.
        c_field: Option<u8>,
    },
}

/// Opens a telegram: takes its layers off in their order, and gives nothing of it unless all that
/// can be checked holds. `now_ms` is any clock that goes forward; only fragments need it.
///
/// # Errors
///
/// [`Refusal`]. Nothing has changed then, but that a fragment whose message is too long, or of
/// another length than was told, gives that message up, and that the last of a message is kept,
/// whatever comes of the whole.
// clause: EN 13757-7, 5; OMS Volume 2, 9
pub fn open<'a>(
    telegram: &[u8],
    carriage: Carriage,
    keys: &impl MeterKeys,
    fragments: &mut impl FragmentStore,
    now_ms: u64,
    scratch: &'a mut Scratch,
) -> Result<Step<'a>, Refusal> {
    let Scratch {
        link: link_scratch,
        layers,
        other,
        named,
    } = scratch;
    *named = None;
    let is_auto = carriage == Carriage::Auto;
    let step = match link::read(telegram, carriage, link_scratch) {
        Ok(link) => {
            let mut step = open_layers(&link, keys, fragments, now_ms, layers, named);
            if is_auto && let Some(damage) = damage_of(telegram, &link, &step, keys) {
                *named = None;
                return Err(Refusal::Octets(damage));
            }
            if is_auto && let Ok(Step::Opened(opened)) = &mut step {
                opened.doubt = doubt_of_end(opened, &link);
            }
            if link.format != Format::WirelessB || makes_sense(&step) {
                return step;
            }
            step
        }
        Err(error) => Err(Refusal::Octets(error)),
    };
    let Some(unchecked) = is_auto.then(|| link::unchecked(telegram)).flatten() else {
        return step;
    };
    // What CRCs speak against is no part of any message.
    let (mut none, mut of_plain) = (Fragments::default(), None);
    let link = &unchecked.link;
    let plain = open_layers(link, keys, &mut none, now_ms, other, &mut of_plain);
    let is_believed = match unchecked.needs_proof {
        true => is_proven_whole(&plain),
        false => makes_sense(&plain) && is_told(&plain),
    };
    match plain {
        Ok(Step::Opened(_)) | Err(_) if is_believed => {
            *named = of_plain;
            plain
        }
        _ => step,
    }
}

/// Whether a telegram that no link layer fits is one that begins with its CI field, by what is
/// `believed` of its content. A meter on a network of its own may leave the link layer out; damaged
/// octets can look so too.
pub fn is_transport_first(
    telegram: &[u8],
    keys: &impl MeterKeys,
    scratch: &mut Scratch,
    believed: impl FnOnce(&Opened<'_>) -> bool,
) -> bool {
    // Fragments have a link layer, so that none is kept.
    let mut none = Fragments::default();
    let carriage = Carriage::TransportFirst;
    let step = open(telegram, carriage, keys, &mut none, 0, scratch);
    matches!(step, Ok(Step::Opened(opened)) if believed(&opened))
}

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
fn damage_of(
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

/// What is wrong with a telegram in mode 5 whose end is no record, but may be the CRC of format B,
/// which does not hold then: the check octets say nothing of the blocks behind them, and of a
/// damaged block four in ten read as some records.
fn doubt_of_end(opened: &Opened<'_>, link: &Link<'_>) -> Option<MbusError> {
    let of = &opened.security;
    let behind_blocks = of.clear_tail_octets.saturating_add(of.withheld_octets);
    let is_unproven = of.verified == Verified::CheckBytes && of.mode == 5 && !of.link_encrypted;
    // Two octets are fillers, or a maker's part with one of its own or none.
    let is_content = matches!(
        link.body,
        [.., 0x2F, 0x2F | 0x0F | 0x1F] | [.., 0x0F | 0x1F, _]
    );
    let is_doubtful = link.format == Format::WirelessPlain
        && is_unproven
        && behind_blocks == CRC_OCTETS
        && !is_content;
    let (block, offset) = match link.body_offset.saturating_add(link.body.len()) {
        0..=FORMAT_B_BLOCK_MAX => (0, 0),
        _ => (1, FORMAT_B_BLOCK_MAX),
    };
    let kind = MbusErrorKind::BlockCrc(block);
    is_doubtful.then(|| MbusError::new(offset, kind, "CRC of format B, if it is no record"))
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
