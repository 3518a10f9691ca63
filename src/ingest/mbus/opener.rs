//! Opening telegrams with the ring of meters' keys.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::seams::{Opening, OwnedOpened, TelegramOpener};
use crate::keyring::UtilityId;
use crate::keyring::mbus::MeterKeyring;
use crate::session::mbus::{Fragments, Opened, Refusal, Scratch, Step, Verified, open};
use crate::wire::mbus::link::Carriage;

/// Buffers that are kept: those of more telegrams at a time are dropped.
const SCRATCHES_MAX: usize = 64;

/// Opens telegrams. Fragments of one utility's meters never meet another's.
#[derive(Debug)]
pub struct RingOpener {
    keys: Arc<MeterKeyring>,
    fragments: Mutex<HashMap<UtilityId, Fragments>>,
    scratches: Mutex<Vec<Scratch>>,
}

impl RingOpener {
    /// One with these keys.
    #[must_use]
    pub fn new(keys: Arc<MeterKeyring>) -> Self {
        Self {
            keys,
            fragments: Mutex::default(),
            scratches: Mutex::default(),
        }
    }

    fn open_as(
        &self,
        utility: UtilityId,
        (telegram, carriage): (&[u8], Carriage),
        now_ms: u64,
        scratch: &mut Scratch,
    ) -> Result<Opening, Refusal> {
        let keys = self.keys.of_utility(utility);
        // Most telegrams are whole: only a fragment needs the others, and their lock.
        let mut nothing = Fragments::default();
        match open(telegram, carriage, &keys, &mut nothing, now_ms, scratch)? {
            Step::Opened(opened) => return Ok(opening_of(&opened)),
            Step::LinkOnly { .. } => {
                return Ok(Opening::Nothing(
                    "link_only",
                    "the telegram carries no data",
                ));
            }
            Step::FragmentKept { .. } => {}
        }
        let mut fragments = self.fragments.lock();
        let of_utility = fragments.entry(utility).or_default();
        match open(telegram, carriage, &keys, of_utility, now_ms, scratch)? {
            Step::Opened(opened) => Ok(opening_of(&opened)),
            Step::FragmentKept { .. } | Step::LinkOnly { .. } => Ok(Opening::Part),
        }
    }
}

fn opening_of(opened: &Opened<'_>) -> Opening {
    if opened.is_downlink {
        return Opening::Nothing("to_meter", "the telegram was sent to the meter");
    }
    if opened.security.cut_octets > 0 {
        return Opening::Nothing("cut", "the telegram ends within an encrypted block");
    }
    Opening::Whole(Box::new(OwnedOpened::of(opened)))
}

impl TelegramOpener for RingOpener {
    fn open(&self, utility: UtilityId, telegram: &[u8], now_ms: u64) -> Result<Opening, Refusal> {
        let mut scratch = self.scratches.lock().pop().unwrap_or_default();
        let auto = (telegram, Carriage::Auto);
        let mut opening = self.open_as(utility, auto, now_ms, &mut scratch);
        if matches!(opening, Err(Refusal::Octets(_))) {
            // A meter on a network of its own may leave the link layer out. Damaged octets can look
            // so too, but do not decrypt to what a key vouches for.
            let first = (telegram, Carriage::TransportFirst);
            let other = self.open_as(utility, first, now_ms, &mut scratch);
            let is_vouched_for = |opening: &Opening| match opening {
                Opening::Whole(opened) => opened.security.verified > Verified::None,
                Opening::Part | Opening::Nothing(..) => false,
            };
            if let Some(other) = other.ok().filter(is_vouched_for) {
                opening = Ok(other);
            }
        }
        let mut scratches = self.scratches.lock();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        opening
    }
}
