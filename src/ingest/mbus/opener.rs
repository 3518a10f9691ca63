//! Opening telegrams with the ring of meters' keys.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::seams::{Opening, OwnedOpened, TelegramOpener};
use crate::keyring::UtilityId;
use crate::keyring::mbus::MeterKeyring;
use crate::session::mbus::{
    FragmentStore, Fragments, Opened, Refusal, Scratch, Step, Verified, is_transport_first, open,
};
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
        let mut fragments = Waiting {
            all: &self.fragments,
            utility,
        };
        let step = open(telegram, carriage, &keys, &mut fragments, now_ms, scratch)?;
        Ok(match step {
            Step::Opened(opened) => opening_of(&opened),
            Step::FragmentKept { .. } => Opening::Part,
            Step::LinkOnly { .. } => Opening::Nothing("link_only", "the telegram carries no data"),
        })
    }
}

/// The fragments of one utility's meters. Most telegrams are whole, and lock nothing.
struct Waiting<'a> {
    all: &'a Mutex<HashMap<UtilityId, Fragments>>,
    utility: UtilityId,
}

impl FragmentStore for Waiting<'_> {
    fn use_fragments<T>(&mut self, with: impl FnOnce(&mut Fragments) -> T) -> T {
        with(self.all.lock().entry(self.utility).or_default())
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
            let keys = self.keys.of_utility(utility);
            let is_vouched_for = |opened: &Opened<'_>| opened.security.verified > Verified::None;
            if is_transport_first(telegram, &keys, &mut scratch, is_vouched_for) {
                let first = (telegram, Carriage::TransportFirst);
                opening = self.open_as(utility, first, now_ms, &mut scratch);
            }
        }
        let mut scratches = self.scratches.lock();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        opening
    }
}
