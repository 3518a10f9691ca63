//! Opening telegrams with the ring of meters' keys.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::seams::{Opening, OwnedOpened, RefusedTelegram, TelegramOpener};
use crate::keyring::UtilityId;
use crate::keyring::mbus::MeterKeyring;
use crate::session::mbus::{
    FragmentStore, Fragments, Opened, Refusal, Scratch, Step, Verified, is_transport_first, open,
};
use crate::wire::mbus::link::Carriage;

/// Buffers that are kept: those of more telegrams at a time are dropped.
const SCRATCHES_MAX: usize = 64;

const CLEAR_WITHOUT_KEY: &str = "clear_without_key";
const CLEAR_WITHOUT_KEY_TEXT: &str = "it came in clear, of a meter that has no key: give the meter \
     an entry in the key file, or set mbus.allow_clear_meters = true";

/// Opens telegrams. Fragments of one utility's meters never meet another's.
#[derive(Debug)]
pub struct RingOpener {
    keys: Arc<MeterKeyring>,
    allow_clear_meters: bool,
    fragments: Mutex<HashMap<UtilityId, Fragments>>,
    scratches: Mutex<Vec<Scratch>>,
}

impl RingOpener {
    /// One with these keys. What meters without a key send in clear is opened if
    /// `allow_clear_meters` says so.
    #[must_use]
    pub fn new(keys: Arc<MeterKeyring>, allow_clear_meters: bool) -> Self {
        Self {
            keys,
            allow_clear_meters,
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
    ) -> Result<Opening, RefusedTelegram> {
        let keys = self.keys.of_utility(utility);
        let mut fragments = Waiting {
            all: &self.fragments,
            utility,
        };
        match open(telegram, carriage, &keys, &mut fragments, now_ms, scratch) {
            Ok(Step::Opened(opened)) if self.is_made_up(utility, &opened) => {
                Ok(Opening::Nothing(CLEAR_WITHOUT_KEY, CLEAR_WITHOUT_KEY_TEXT))
            }
            Ok(Step::Opened(Opened {
                doubt: Some(doubt),
                meter,
                ..
            })) => Err(RefusedTelegram {
                why: Refusal::Octets(doubt),
                meter,
            }),
            Ok(Step::Opened(opened)) => Ok(opening_of(&opened)),
            Ok(Step::FragmentKept { .. }) => Ok(Opening::Part),
            Ok(Step::LinkOnly { .. }) => Ok(Opening::Nothing(
                "link_only",
                "the telegram carries no data",
            )),
            Err(why) => Err(RefusedTelegram {
                why,
                meter: scratch.meter(),
            }),
        }
    }
}

impl RingOpener {
    /// Whether anybody may have made a telegram up, of a meter that the utility has said nothing
    /// of.
    fn is_made_up(&self, utility: UtilityId, opened: &Opened<'_>) -> bool {
        !self.allow_clear_meters
            && opened.security.verified == Verified::None
            && opened
                .meter
                .is_some_and(|meter| self.keys.utility(meter) != Some(utility))
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
    fn open(
        &self,
        utility: UtilityId,
        telegram: &[u8],
        now_ms: u64,
    ) -> Result<Opening, RefusedTelegram> {
        let mut scratch = self.scratches.lock().pop().unwrap_or_default();
        let auto = (telegram, Carriage::Auto);
        let mut opening = self.open_as(utility, auto, now_ms, &mut scratch);
        if let Err(RefusedTelegram {
            why: Refusal::Octets(_),
            ..
        }) = opening
        {
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
    use crate::keyring::mbus::{KeyId, KeyVersion, NewMeterKey, Policy, VersionState};
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
        opener_with(None)
    }

    fn key_of_meter() -> NewMeterKey {
        NewMeterKey {
            meter: Address::from_link_order(hex!("9315785634123303")),
            utility: GAS,
            policy: None,
            id: KeyId::PERSISTENT,
            version: KeyVersion(0),
            state: VersionState::Current,
            key: Key128::from(hex!("000102030405060708090A0B0C0D0E0F")),
        }
    }

    fn opener_with(policy: Option<Policy>) -> RingOpener {
        let mut ring = MeterKeyring::new();
        let new = NewMeterKey {
            policy,
            ..key_of_meter()
        };
        ring.add(new).unwrap();
        RingOpener::new(Arc::new(ring), false)
    }

    fn word(opened: Result<Opening, RefusedTelegram>) -> &'static str {
        match opened {
            Ok(Opening::Whole(_)) => "whole",
            Ok(Opening::Part) => "part",
            Ok(Opening::Nothing(id, _)) => id,
            Err(refused) => refused.why.id(),
        }
    }

    /// In mode 5 with a key of zeros and two octets behind its blocks that are no record; from the
    /// tests of wmbusmeters.
    const DOUBTFUL: &[u8] = &hex!(
        "6044B8059430040001037A1D005085E2B670BCF1A5C87E0C1A51DA18924EF984613DA2A9CD39D8F4C7208326"
        "C76D42DBEADF80D574192B71BD7C4F56A7F1513151768A9DB804883B28CB085CA2D0F7438C361CB9E2734712"
        "ED9BFBB2A14EF55208"
    );

    #[test]
    fn a_telegram_whose_end_may_be_a_wrong_crc_is_refused_whatever_its_meter_s_policy_is() {
        for policy in [Policy::ClearAllowed, Policy::MustBeEncrypted] {
            let mut ring = MeterKeyring::new();
            let new = NewMeterKey {
                meter: Address::from_link_order(hex!("B805943004000103")),
                policy: Some(policy),
                key: Key128::from([0; 16]),
                ..key_of_meter()
            };
            ring.add(new).unwrap();
            let opener = RingOpener::new(Arc::new(ring), false);
            assert_eq!(word(opener.open(GAS, DOUBTFUL, 0)), "block_crc");
            let mut whole = DOUBTFUL.to_vec();
            whole.truncate(DOUBTFUL.len() - 2);
            whole[0] -= 2;
            assert_eq!(word(opener.open(GAS, &whole, 0)), "whole");
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
    fn what_comes_in_clear_of_a_meter_without_a_key_is_opened_if_that_is_asked_for() {
        let clear = hex!("1644931579563412330378041327000000041327000000");
        let mut opener = opener();
        let opened = word(opener.open(GAS, &clear, 0));
        assert_eq!(opened, CLEAR_WITHOUT_KEY);
        opener.allow_clear_meters = true;
        assert_eq!(word(opener.open(GAS, &clear, 0)), "whole");
        // A meter that has a key must encrypt in any case.
        let mut keyed = clear;
        keyed[4] = 0x78;
        let opened = word(opener.open(GAS, &keyed, 0));
        assert_eq!(opened, "clear_not_allowed");
    }

    #[test]
    fn what_another_utility_says_of_a_meter_opens_nothing() {
        // In clear, of a meter that the other utility's key file has.
        let clear = hex!("1644931578563412330378041327000000041327000000");
        let opener = opener_with(Some(Policy::ClearAllowed));
        assert_eq!(word(opener.open(GAS, &clear, 0)), "whole");
        assert_eq!(word(opener.open(CITY, &clear, 0)), CLEAR_WITHOUT_KEY);
    }

    #[test]
    fn a_refusal_names_the_meter_behind_an_adapter_and_in_a_wired_frame() {
        let meter = Address::from_link_order(hex!("9315785634123303"));
        let body = hex!("72 78563412 9315 33 03 2A 00 00 00 0C1427048502");
        let adapter = hex!("1C44 AE4C 11111111 0137");
        let by_radio = [&adapter[..], &body].concat();
        let sum = body
            .iter()
            .fold(0x09_u8, |sum, octet| sum.wrapping_add(*octet));
        let wired = [&hex!("6815156808 01")[..], &body, &[sum, 0x16]].concat();
        for telegram in [by_radio, wired] {
            let refused = opener().open(GAS, &telegram, 0).unwrap_err();
            assert_eq!(
                refused,
                RefusedTelegram::of(meter, Refusal::ClearNotAllowed)
            );
        }
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
