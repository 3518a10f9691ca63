//! From a telegram to what may be read of it, by the reading of its octets that is believed.
//!
//! Some octets can be read in two ways, of which [`link`] cannot tell which is right: as a telegram
//! without CRCs, or as one whose CRCs are there, hold by chance, or are damaged. What lies above
//! the link tells: keys that fit, and else contents that a telegram can have. Where both readings
//! have such, the one that makes data of CRCs is not believed.

use crate::wire::mbus::address::Address;
use crate::wire::mbus::link::{self, Carriage, Format};

use super::doubt::{damage_of, doubt_of_blocks};
use super::evidence::{is_proven_whole, is_told, makes_sense};
use super::fragments::{FragmentStore, Fragments};
use super::keys::MeterKeys;
use super::layers::{Buffers, open_layers};
use super::opened::Opened;
use super::refusal::Refusal;

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
            if is_auto && let Ok(Step::Opened(opened)) = &step {
                let doubt = doubt_of_blocks(&link, &step, opened, keys);
                step = Ok(Step::Opened(Opened { doubt, ..*opened }));
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
