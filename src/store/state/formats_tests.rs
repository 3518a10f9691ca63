use std::path::Path;

use hex_literal::hex;

use super::*;
use crate::keyring::LinkKeyring;
use crate::model::{Lsn, Telegram};
use crate::session::mbus::Verified;
use crate::store::fs::SimFs;
use crate::store::state::State;
use crate::store::state::meters::tests::{fold_at, telegram};
use crate::store::state::snapshot::{load_latest, write};
use crate::wire::mbus::app::full_frame_crc;
use crate::wire::mbus::crc::crc;

pub(in crate::store::state) const GAS: UtilityId = UtilityId::new(*b"gasworks");
pub(in crate::store::state) const CITY: UtilityId = UtilityId::new(*b"citygas2");
const FULL: &[u8] = &hex!("0C13 27048502 02FD17 0000");
const HEADS: &[u8] = &hex!("0C13 02FD17");
const DATA: &[u8] = &hex!("27048502 0000");

/// Folds a telegram without header.
fn teach(state: &State, lsn: u64, utility: UtilityId, verified: Verified, payload: &[u8]) {
    let mut told = telegram(1, 7, lsn, lsn);
    told.security.verified = verified;
    let told = Telegram {
        ci: 0x78,
        utility,
        payload,
        ..told
    };
    fold_at(state, lsn, &told);
}

/// Teaches a utility the format of [`FULL`].
pub(in crate::store::state) fn teach_full(state: &State, lsn: u64, utility: UtilityId) {
    teach(state, lsn, utility, Verified::Mac, FULL);
}

/// What a compact frame of [`FULL`] is to a utility's meter.
pub(in crate::store::state) fn expanded(state: &State, utility: UtilityId) -> Option<Vec<u8>> {
    let compact = CompactFrame {
        signature: crc(HEADS),
        full_frame_crc: full_frame_crc(FULL),
        data: DATA,
    };
    let kind = telegram(1, 7, 0, 0).meter.into();
    match state.formats.read().expand(utility, kind, &compact) {
        Expanded::Records(records) => Some(records),
        Expanded::UnknownFormat(_) => None,
        Expanded::Refused(error) => panic!("{error}"),
    }
}

#[test]
fn what_a_meter_of_one_utility_teaches_is_unknown_to_another() {
    let state = State::default();
    teach_full(&state, 8, GAS);
    assert_eq!(expanded(&state, GAS).as_deref(), Some(FULL));
    assert_eq!(expanded(&state, CITY), None);
    teach_full(&state, 16, CITY);
    assert_eq!(expanded(&state, CITY).as_deref(), Some(FULL));
}

#[test]
fn what_no_key_vouches_for_teaches_nothing() {
    let state = State::default();
    teach(&state, 8, GAS, Verified::None, FULL);
    assert_eq!(expanded(&state, GAS), None);
    assert_eq!(state.formats.read().catalogs().count(), 0);
}

#[test]
fn one_utility_cannot_take_up_the_places_of_another() {
    let state = State::default();
    // More formats of a kind of device than a catalog takes.
    for vif in 0..100u8 {
        let record = [[0x04, vif].as_slice(), &[0; 4]].concat();
        teach(
            &state,
            8 * (1 + u64::from(vif)),
            GAS,
            Verified::Mac,
            &record,
        );
    }
    teach_full(&state, 8_000, GAS);
    teach_full(&state, 8_008, CITY);
    assert_eq!(expanded(&state, GAS), None);
    assert_eq!(expanded(&state, CITY).as_deref(), Some(FULL));
}

#[test]
fn a_snapshot_keeps_the_formats_of_each_utility_apart() {
    let state = State::default();
    teach_full(&state, 8, GAS);
    teach(&state, 16, CITY, Verified::Mac, &hex!("0413 00000000"));
    let (fs, dir) = (SimFs::new(), Path::new("/state"));
    write(&state, Lsn::new(24), dir, &fs, 2).unwrap();
    let loaded = load_latest(dir, &fs, LinkKeyring::new()).unwrap().state;
    assert_eq!(*loaded.formats.read(), *state.formats.read());
    assert_eq!(expanded(&loaded, GAS).as_deref(), Some(FULL));
    assert_eq!(expanded(&loaded, CITY), None);
}
