use std::path::Path;

use hex_literal::hex;
use proptest::prelude::*;

use super::*;
use crate::keyring::LinkKeyring;
use crate::model::TerminalId;
use crate::store::fs::SimFs;
use crate::store::state::State;
use crate::store::state::meters::tests::{fold_at, telegram};
use crate::store::state::meters::{Mark, Seen};
use crate::store::state::snapshot::{VERSION, load_latest, write};

type Content = Vec<(MeterKey, Meter)>;

fn content(table: &MeterTable) -> Content {
    let shards = 0..MeterTable::SHARDS;
    let all = shards.flat_map(|shard| table.copy_of_shard(shard));
    all.collect()
}

fn fold(state: &State, lsn: u64, [meter, counter, digest]: [u8; 3]) {
    let received_utc_ms = lsn * 1_000;
    let told = telegram(meter % 5, counter.into(), digest.into(), received_utc_ms);
    fold_at(state, lsn, &told);
}

/// The octets were written by hand from the table of the module.
#[test]
fn the_octets_of_a_meter_stay_as_they_are() {
    let state = State::default();
    fold(&state, 8, [1, 7, 9]);
    fold(&state, 16, [1, 6, 10]);
    let all = content(&state.meters);
    let [(address, meter)] = all.as_slice() else {
        panic!("{all:?}")
    };
    let mut octets = Vec::new();
    put(&mut octets, *address, meter);
    // Those of counters 6 and 7 stand at their places.
    let digests = [[0; 24].as_slice(), &hex!("0A000000 09000000"), &[0; 32]].concat();
    let window = [hex!("0000 07000000 03").as_slice(), &[0; 15], &digests].concat();
    let expected = [
        hex!("9315010000003303 676173776F726B73 1000000000000000 10000000 01 02 00 00").as_slice(),
        &[0; 5],
        &window,
        &hex!("0900000000000000 08000000"),
        &hex!("0A00000000000000 10000000"),
    ];
    assert_eq!(octets, expected.concat());
    let table = MeterTable::default();
    assert_eq!(read(VERSION, &octets, &table), Some(()));
    assert_eq!(content(&table), all);
}

#[test]
fn octets_that_were_cut_are_no_meters_and_changed_ones_are_read_or_refused() {
    let state = State::default();
    for number in 0..40 {
        fold(&state, 8 * (u64::from(number) + 1), [1, number, number]);
    }
    let mut octets = Vec::new();
    for (address, meter) in content(&state.meters) {
        put(&mut octets, address, &meter);
    }
    for end in 1..octets.len() {
        let table = MeterTable::default();
        assert_eq!(read(VERSION, &octets[..end], &table), None, "{end}");
    }
    for place in 0..octets.len() {
        for octet in [0, 1, 31, 33, 0xFF] {
            let mut changed = octets.clone();
            changed[place] = octet;
            let _read = read(VERSION, &changed, &MeterTable::default());
        }
    }
}

/// One that signs mode 5 under nine keys, of which five have made room.
fn meter_of_nine_keys() -> (MeterKey, Meter) {
    let state = State::default();
    for key in 0..9 {
        let lsn = 8 * (u64::from(key) + 1);
        let mut told = telegram(1, 7, lsn, lsn);
        told.security.mode = 5;
        told.security.key = told.security.key.map(|name| KeyName {
            id: KeyId(key),
            ..name
        });
        state.meters.fold(Lsn::new(lsn), &told);
    }
    content(&state.meters).remove(0)
}

fn octets_of((address, meter): &(MeterKey, Meter)) -> Vec<u8> {
    let mut octets = Vec::new();
    put(&mut octets, *address, meter);
    octets
}

fn read_one(version: u16, octets: &[u8]) -> Option<(MeterKey, Meter)> {
    let table = MeterTable::default();
    read(version, octets, &table)?;
    Some(content(&table).remove(0))
}

#[test]
fn floors_and_signing_keys_are_kept_and_of_version_4_all_keys_sign_if_any_does() {
    let known = meter_of_nine_keys();
    let meter = &known.1;
    assert_eq!((meter.floors.len(), meter.signing.len()), (5, 9));
    let mut octets = octets_of(&known);
    assert_eq!(read_one(VERSION, &octets), Some(known.clone()));
    // Version 4 has neither what made room nor the keys, but whether there are any.
    octets.truncate(octets.len() - KEY_LEN * 9);
    octets.drain(32..37);
    octets[31] = 1;
    let mut old = read_one(4, &octets).unwrap();
    old.1.signing.sort_by_key(|key| key.id);
    // Its windows are all in use, and it may come from one of version 3.
    assert_eq!((old.1.lacks_floors, old.1.floors.len()), (true, 9));
    old.1.lacks_floors = false;
    old.1.floors.truncate(5);
    assert_eq!(old, known);
    octets[31] = 0;
    assert_eq!(read_one(4, &octets).unwrap().1.signing, []);
    octets[31] = 2;
    assert_eq!(read_one(4, &octets), None);
}

#[test]
fn where_an_older_file_may_lack_floors_the_log_is_asked() {
    let known = meter_of_nine_keys();
    let mut octets = octets_of(&known);
    octets.truncate(octets.len() - KEY_LEN * 9 - FLOOR_LEN * 5);
    octets.drain(30..37);
    let table = MeterTable::default();
    assert_eq!(read(3, &octets, &table), Some(()));
    let all = content(&table);
    let [(address, old)] = all.as_slice() else {
        panic!("{all:?}")
    };
    let (windows, recent) = (&known.1.windows, &known.1.recent);
    assert_eq!((&old.windows, &old.recent), (windows, recent));
    let highest: Vec<_> = windows.iter().map(|(key, _)| (*key, 7)).collect();
    assert_eq!((&old.floors, old.signing.len()), (&highest, 0));
    assert!(old.lacks_floors && !known.1.lacks_floors);
    for number in 0..9 {
        let key = KeyName {
            id: KeyId(number),
            version: KeyVersion(0),
        };
        let forged = Mark {
            digest: 999,
            at_utc_s: 0,
            counter: Some((key, 7)),
            key: Some(key),
            is_mode_5: false,
        };
        let is_kept = windows.iter().any(|(one, _)| *one == key);
        let expected = if is_kept { Seen::Replay } else { Seen::Unsure };
        let seen = table.judge(address.1, TerminalId::new(address.0), &forged);
        assert_eq!(seen, expected, "{number}");
    }
    // That some may be missing is not forgotten.
    assert_eq!(read_one(VERSION, &octets_of(&all[0])), Some(all[0].clone()));
}

#[test]
fn of_older_files_digests_that_made_room_are_taken_to_be_as_late_as_the_oldest_that_is_kept() {
    for (count, lost) in [(31, None), (32, Some(1)), (60, Some(29))] {
        let state = State::default();
        for number in 1..=count {
            let told = telegram(1, 7, number, number * 3_601_000);
            state.meters.fold(Lsn::new(8 * number), &told);
        }
        let known = content(&state.meters).remove(0);
        let mut octets = octets_of(&known);
        octets.drain(32..37);
        let read = read_one(4, &octets).unwrap().1.lost_utc_s;
        assert_eq!(read, lost.map(|number| number * 3_601), "{count}");
        assert!(read >= known.1.lost_utc_s);
    }
}

proptest! {
    /// Whatever was folded before, during and after a snapshot, and again from its position.
    #[test]
    fn a_restored_table_that_goes_on_is_the_table_that_went_on(
        telegrams in prop::collection::vec(any::<[u8; 3]>(), 1..150),
        at in 0_usize..150,
        ahead in 0_usize..20,
    ) {
        let frames: Vec<_> = (1_u64..).map(|number| number * 8).zip(telegrams).collect();
        let whole = State::default();
        frames.iter().for_each(|(lsn, one)| fold(&whole, *lsn, *one));
        let before = State::default();
        let at = at.min(frames.len());
        let seen = at.saturating_add(ahead).min(frames.len());
        frames[..seen].iter().for_each(|(lsn, one)| fold(&before, *lsn, *one));
        let (disk, dir) = (SimFs::new(), Path::new("/data/state"));
        let position = Lsn::new(frames.get(at).map_or(8_000, |(lsn, _)| *lsn));
        write(&before, position, dir, &disk, 1).unwrap();
        let loaded = load_latest(dir, &disk, LinkKeyring::new()).unwrap();
        prop_assert_eq!(content(&loaded.state.meters), content(&before.meters));
        for (lsn, one) in &frames[at..] {
            fold(&loaded.state, *lsn, *one);
        }
        prop_assert_eq!(content(&loaded.state.meters), content(&whole.meters));
        prop_assert_eq!(loaded.state.table.len(), 0);
    }
}
