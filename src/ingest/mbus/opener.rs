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

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::crypto::key::Key128;
    use crate::keyring::mbus::{KeyId, KeyVersion, NewMeterKey, VersionState};
    use crate::wire::mbus::address::Address;

    const GAS: UtilityId = UtilityId::new(*b"gasworks");
    const CITY: UtilityId = UtilityId::new(*b"citygas2");

    /// A message in two telegrams, made by hand after EN 13757-7: no standard's vector.
    const FIRST: &[u8] = &hex!(
        "3F0893157856341233038C80469009017865B40A00004E007278563412931533037500400710CCE92D281A45"
        "F7D70E77D3281C82D89A634333D5B0B56BFC7BF9"
    );
    const LAST: &[u8] = &hex!(
        "3E0893157856341233038C8046900A02049E0E75FAC389F38A12C15E8080478D311180973D627E8A07332A38"
        "B83D82910FEF7B71CF91F3038ADC96B495D830"
    );

    fn opener() -> RingOpener {
        let mut ring = MeterKeyring::new();
        let new = NewMeterKey {
            meter: Address::from_link_order(hex!("9315785634123303")),
            utility: GAS,
            policy: None,
            id: KeyId::PERSISTENT,
            version: KeyVersion(0),
            state: VersionState::Current,
            key: Key128::from(hex!("000102030405060708090A0B0C0D0E0F")),
        };
        ring.add(new).unwrap();
        RingOpener::new(Arc::new(ring))
    }

    fn word(opened: Result<Opening, Refusal>) -> &'static str {
        match opened {
            Ok(Opening::Whole(_)) => "whole",
            Ok(Opening::Part) => "part",
            Ok(Opening::Nothing(id, _)) => id,
            Err(refusal) => refusal.id(),
        }
    }

    #[test]
    fn a_message_in_fragments_is_whole_with_its_last_one_and_again_when_that_comes_again() {
        let opener = opener();
        let open = |utility, telegram: &[u8]| word(opener.open(utility, telegram, 0));
        assert_eq!(open(GAS, LAST), "fragment");
        assert_eq!(open(GAS, FIRST), "part");
        // The other utility's gateways hear the same, and have neither its key nor its fragments.
        assert_eq!(open(CITY, LAST), "fragment");
        assert_eq!(open(GAS, LAST), "whole");
        // Through another gateway, or because the log had no room.
        assert_eq!(open(GAS, FIRST), "part");
        assert_eq!(open(GAS, LAST), "whole");
    }

    #[test]
    fn what_has_no_link_layer_is_taken_if_a_key_vouches_for_it_alone() {
        let opener = opener();
        // In clear, with the address of a meter without a key, and of one with.
        for clear in [
            &hex!("7879563412931533030100 00000C1427048502")[..],
            &hex!("72785634129315330301000000 0C1427048502"),
        ] {
            assert_ne!(word(opener.open(GAS, clear, 0)), "whole");
        }
    }
}
