//! From a telegram to what may be read of it, by the reading of its octets that is believed.
//!
//! Some octets can be read in two ways, of which [`link`] cannot tell which is right: as a telegram
//! without CRCs, or as one whose CRCs are there, hold by chance, or are damaged. What lies above
//! the link tells: keys that fit, and else contents that a telegram can have. Where both readings
//! have such, the one that makes data of CRCs is not believed.

use crate::crypto::key::Key128;
use crate::wire::mbus::address::Address;
use crate::wire::mbus::app::{Body, Item, OpaqueKind, RecordsKind};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::link::{self, Carriage, Format, Link};

use super::fragments::{FragmentStore, Fragments};
use super::keys::{KeyId, KeyVersion, MeterKeys, Policy};
use super::layers::{Buffers, open_layers};
use super::opened::{Opened, Verified};
use super::refusal::Refusal;

/// Octets that a telegram of format A may lack and be looked for all the same.
const CUT_MAX: usize = 3;
/// Octets of a CRC of the link.
const CRC_OCTETS: usize = 2;

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
        Ok(link) if is_auto && link.format == Format::WirelessPlain => {
            let octets = (telegram, &link);
            return open_plain(octets, keys, (fragments, now_ms), layers, named);
        }
        Ok(link) if is_auto && link.format == Format::WirelessNoLength => {
            let octets = (telegram, &link);
            return open_without_length(octets, keys, (fragments, now_ms), layers, named);
        }
        Ok(link) => {
            let step = open_layers(&link, keys, fragments, now_ms, layers, named);
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
    /// There are as many octets as format A has: it has to have a content that has a form.
    Length,
    /// What is more, that reading has a content too: only a key can say otherwise.
    Content,
}

impl Doubt {
    fn of(telegram: &[u8], keys: &impl MeterKeys) -> Self {
        let mut octets = Vec::new();
        let of_a = link::damaged_format_a(telegram, &mut octets);
        let Some(of_a) = of_a.filter(|of_a| of_a.missing_octets <= CUT_MAX) else {
            return Self::None;
        };
        let (mut none, mut buffers, mut named) = (Fragments::default(), Buffers::default(), None);
        // What a meter may not send in clear has a content all the same.
        let keys = InClearToo(keys);
        let step = open_layers(&of_a.link, &keys, &mut none, 0, &mut buffers, &mut named);
        if is_vouched_for(&step) {
            return Self::Content;
        }
        // Some octets behind a telegram are common, and keys are asked for by chance.
        let is_open = matches!(step, Ok(Step::Opened(_)));
        let told = match told(&step) {
            // Of a header alone, what is none but looks so has as much.
            Told::Content if is_header_alone(&step) => Told::Nothing,
            told => told,
        };
        match (of_a.missing_octets, told) {
            (0, Told::Nothing) => Self::Length,
            (0, _) => Self::Content,
            (_, Told::Content) if is_open => Self::Cut,
            _ => Self::None,
        }
    }

    /// Whether what is told outweighs it.
    const fn yields_to(self, told: Told) -> bool {
        match self {
            Self::None => true,
            Self::Cut => !matches!(told, Told::Nothing),
            Self::Length => matches!(told, Told::Content),
            Self::Content => false,
        }
    }
}

/// Opens a telegram that has no CRCs. What keys speak for or against is told as it is; what comes
/// in clear is doubted.
fn open_plain<'a>(
    (telegram, link): (&[u8], &Link<'_>),
    keys: &impl MeterKeys,
    (fragments, now_ms): (&mut impl FragmentStore, u64),
    buffers: &'a mut Buffers,
    named: &mut Option<Address>,
) -> Result<Step<'a>, Refusal> {
    const DAMAGED: MbusError = MbusError::new(0, MbusErrorKind::BlockCrc(0), "block CRC");
    let step = open_layers(link, keys, fragments, now_ms, buffers, named);
    let is_doubted = match &step {
        Ok(Step::Opened(opened)) => opened.security.verified == Verified::None,
        Err(Refusal::Octets(error)) => {
            !matches!(error.kind, MbusErrorKind::Fragment | MbusErrorKind::Limit)
        }
        Err(Refusal::ClearNotAllowed) => true,
        _ => false,
    };
    let is_damaged_a = is_doubted && !Doubt::of(telegram, keys).yields_to(told(&step));
    if is_damaged_a || ends_as_format_b(&step, link.body) {
        *named = None;
        return Err(Refusal::Octets(DAMAGED));
    }
    step
}

/// Whether the end of a telegram in mode 5 is no record, but the CRC of format B, which does not
/// hold: the check octets say nothing of the blocks behind them.
fn ends_as_format_b(step: &Result<Step<'_>, Refusal>, body: &[u8]) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return false;
    };
    let of = &opened.security;
    let behind_blocks = of.clear_tail_octets.saturating_add(of.withheld_octets);
    let is_unproven = of.verified == Verified::CheckBytes && of.mode == 5 && !of.link_encrypted;
    // Two octets are fillers, or a maker's part with one of its own or none.
    let is_content = matches!(body, [.., 0x2F, 0x2F | 0x0F | 0x1F] | [.., 0x0F | 0x1F, _]);
    is_unproven && behind_blocks == CRC_OCTETS && !is_content
}

/// Opens a telegram that has no length octet. Where its first octet fits as one, it may be a
/// telegram whose C field is damaged.
fn open_without_length<'a>(
    (telegram, link): (&[u8], &Link<'_>),
    keys: &impl MeterKeys,
    (fragments, now_ms): (&mut impl FragmentStore, u64),
    buffers: &'a mut Buffers,
    named: &mut Option<Address>,
) -> Result<Step<'a>, Refusal> {
    const DAMAGED: MbusError = MbusError::new(1, MbusErrorKind::Reserved, "C field");
    let step = open_layers(link, keys, fragments, now_ms, buffers, named);
    let length = telegram.first().copied().unwrap_or_default();
    if telegram.len() <= usize::from(length) || told(&step) != Told::Nothing {
        return step;
    }
    *named = None;
    Err(Refusal::Octets(DAMAGED))
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

/// What speaks for a reading beside CRCs. Of damaged octets more cannot be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    /// Nothing.
    Nothing,
    /// A CI field behind which makers put what they like, or one of the other direction.
    Little,
    /// A first record, another content that has a form, or a key that is asked for.
    Content,
}

fn is_header_alone(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return false;
    };
    let body = Body::read(opened.ci, opened.is_wired, opened.payload);
    opened.payload.is_empty() && matches!(body, Ok(Body::Records { .. } | Body::NoData))
}

fn told(step: &Result<Step<'_>, Refusal>) -> Told {
    let opened = match step {
        Ok(Step::Opened(opened)) => opened,
        Ok(Step::LinkOnly { .. }) | Err(Refusal::Octets(_)) => return Told::Nothing,
        Ok(Step::FragmentKept { .. }) | Err(_) => return Told::Content,
    };
    if opened.security.verified > Verified::None {
        return Told::Content;
    }
    if is_header_alone(step) {
        return Told::Content;
    }
    match Body::read(opened.ci, opened.is_wired, opened.payload) {
        Ok(Body::Records { kind, mut records }) => {
            let is_command = kind == RecordsKind::Command;
            match records.next() {
                Some(Ok(Item::Record(_))) if is_command == opened.is_downlink => Told::Content,
                Some(Ok(Item::Record(_))) => Told::Little,
                _ => Told::Nothing,
            }
        }
        Ok(Body::Opaque { kind, .. }) => match kind {
            OpaqueKind::AlarmStatus => Told::Content,
            OpaqueKind::Manufacturer => Told::Little,
            _ => Told::Nothing,
        },
        Ok(_) => Told::Content,
        Err(_) => Told::Nothing,
    }
}

/// Whether a key vouches for what was opened.
fn is_vouched_for(step: &Result<Step<'_>, Refusal>) -> bool {
    matches!(step, Ok(Step::Opened(opened)) if opened.security.verified > Verified::None)
}

/// Whether a key or records speak for what was opened. A protocol whose inside is not read takes
/// any octets, and so does a maker's part.
fn is_told(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return true;
    };
    let is_record = |item| matches!(item, Ok(Item::Record(_)));
    let body = Body::read(opened.ci, opened.is_wired, opened.payload);
    is_vouched_for(step)
        || match body {
            Ok(Body::Records { records, .. }) => {
                records.restart().next().is_some() && records.restart().all(is_record)
            }
            _ => false,
        }
}

/// Whether a key proves the octets of a telegram to their end: under a MAC, in an encrypted link
/// layer, or as blocks of mode 5 behind which nothing is left. CRCs among them would have to be the
/// end of some.
fn is_proven_whole(step: &Result<Step<'_>, Refusal>) -> bool {
    let Ok(Step::Opened(opened)) = step else {
        return false;
    };
    let of = &opened.security;
    let is_filled = of.mode == 5 && of.clear_tail_octets == 0 && of.withheld_octets == 0;
    match of.verified {
        Verified::Mac => true,
        Verified::CheckBytes => (of.link_encrypted || is_filled) && makes_sense(step),
        Verified::None => false,
    }
}

/// Whether nothing speaks against the reading of a telegram that has two: all that can be checked
/// holds, and nothing ends too early.
fn makes_sense(step: &Result<Step<'_>, Refusal>) -> bool {
    match step {
        Ok(Step::Opened(opened)) if opened.security.verified == Verified::Mac => true,
        Ok(Step::Opened(opened)) => {
            let body = Body::read(opened.ci, opened.is_wired, opened.payload);
            opened.security.cut_octets == 0
                && match body {
                    Ok(Body::Records { mut records, .. }) => records.all(|one| one.is_ok()),
                    body => body.is_ok(),
                }
        }
        Ok(_) | Err(Refusal::NoKey { .. }) => true,
        Err(_) => false,
    }
}
