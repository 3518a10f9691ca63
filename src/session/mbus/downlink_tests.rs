use hex_literal::hex;

use super::*;
use crate::crypto::mbus::{kdf_a, open_cbc_mode7, open_ccm, verify_afl_mac};

fn key() -> Key128 {
    hex!("000102030405060708090A0B0C0D0E0F").into()
}

fn downlink(records: &[u8]) -> Downlink<'_> {
    Downlink {
        meter: Address::from_link_order(hex!("9315785634123303")),
        partner: Address::from_link_order(hex!("3A63665544330A31")),
        access_number: 0x45,
        counter: UniqueCounter::of(0x0AB4),
        records,
    }
}

const COMMAND: [u8; 4] = hex!("01FD1F00");

/// From the project's reference on M-Bus, computed apart from this code; in no standard.
#[test]
fn a_command_of_profile_b_has_the_octets_computed_apart() {
    let built = downlink(&COMMAND).build(Profile::B, &key(), Unverified::Refuse);
    let expected = hex!(
        "43533A63665544330A31 8E80459315785634123303 900F002C25B40A0000044332F2AE4F2CC3"
        "5B78563412931533034500100710 042CC2822AAF6261A49956718E510078"
    );
    assert_eq!(built, Ok(expected.to_vec()));
}

/// Likewise, under the same assumption on the additional data.
#[test]
fn a_command_of_profile_d_has_the_octets_computed_apart_if_allowed() {
    let built = downlink(&COMMAND).build(Profile::D, &key(), Unverified::Allow);
    let expected = hex!(
        "33533A63665544330A31 8E80459315785634123303"
        "5B78563412931533034500FF2A1001 B40A0000 884E31AB 0D0F41D6B04CD14D"
    );
    assert_eq!(built, Ok(expected.to_vec()));
}

#[test]
fn what_no_telegram_confirms_is_refused_with_its_reason() {
    let refused = downlink(&COMMAND).build(Profile::D, &key(), Unverified::default());
    assert_eq!(refused, Err(DownlinkError::Unverified));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("is an assumption")
    );
}

#[test]
fn every_length_that_fits_opens_again_and_no_other_is_built() {
    let id = hex!("78563412");
    let counter = 0x0AB4_u32;
    let derived = |derivation| kdf_a(&key(), derivation, counter.to_le_bytes(), id);
    let (lenc, lmac) = (derived(Derivation::Lenc), derived(Derivation::Lmac));
    for octets in 0..300 {
        let records = vec![0xA5; octets];
        let build = |profile| downlink(&records).build(profile, &key(), Unverified::Allow);
        match build(Profile::B) {
            Ok(mut built) => {
                assert!((1..=190).contains(&octets));
                assert_eq!(usize::from(built[0]) + 1, built.len());
                let message = &built[38..];
                let mac: [u8; 8] = built[30..38].try_into().unwrap();
                let parts = [&built[25..26], &built[26..30], message];
                assert_eq!(verify_afl_mac(&lmac, &parts, &mac), Ok(()));
                assert_eq!(usize::from(built[49] >> 4) * 16, built.len() - 52);
                open_cbc_mode7(&lenc, &mut built[52..]).unwrap();
                assert_eq!(built[54..54 + octets], records);
                assert!(built[54 + octets..].iter().all(|octet| *octet == 0x2F));
            }
            Err(error) => assert_eq!(error, refusal(octets, 190)),
        }
        match build(Profile::D) {
            Ok(mut built) => {
                assert!((1..=208).contains(&octets));
                assert_eq!(usize::from(built[0]) + 1, built.len());
                let tag = built.split_off(built.len() - 8).try_into().unwrap();
                let (front, data) = built.split_at_mut(40);
                let address = hex!("9315785634123303");
                open_ccm(&lenc, address, counter, &front[21..36], data, &tag).unwrap();
                assert_eq!(data, records);
            }
            Err(error) => assert_eq!(error, refusal(octets, 208)),
        }
    }
}

fn refusal(octets: usize, max: usize) -> DownlinkError {
    if octets == 0 {
        return DownlinkError::Empty;
    }
    assert!(octets > max);
    DownlinkError::TooLong { octets, max }
}
