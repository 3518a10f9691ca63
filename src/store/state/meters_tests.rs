use proptest::prelude::*;

use super::*;
use crate::keyring::UtilityId;
use crate::model::telegram::{Carriage, LinkForm};
use crate::session::mbus::replay::WINDOW_LEN;
use crate::session::mbus::{KeyId, KeyVersion, Security};
use crate::store::state::State;
use crate::store::state::fold::{FoldFrame, KIND_TELEGRAM};
use crate::wire::mbus::address::Address;

fn key(version: u8) -> KeyName {
    KeyName {
        id: KeyId(0),
        version: KeyVersion(version),
    }
}

fn counted(digest: u64, counter: u32) -> Mark {
    Mark {
        digest,
        at_utc_s: 0,
        counter: Some((key(0), counter)),
        key: None,
        is_mode_5: false,
    }
}

/// One without a counter, known by its number.
fn heard(number: u32, at_utc_s: u32) -> Mark {
    Mark {
        digest: u64::from(number),
        at_utc_s,
        counter: None,
        key: None,
        is_mode_5: false,
    }
}

#[test]
fn a_window_takes_each_counter_once_in_whatever_order_and_none_before_it() {
    let mut meter = Meter::default();
    let mut digest = 0;
    let mut take = |counter: u32| {
        digest += 1;
        let mark = counted(digest, counter);
        let seen = meter.judge(&mark);
        if seen == Seen::New {
            meter.note(&mark);
        }
        seen
    };
    assert_eq!(take(1_000), Seen::New);
    assert_eq!(take(1_000), Seen::Replay);
    assert_eq!(take(1_001), Seen::New);
    assert_eq!(take(900), Seen::New);
    assert_eq!(take(900), Seen::Replay);
    assert_eq!(take(1_001 - (WINDOW_LEN - 1)), Seen::New);
    assert_eq!(take(1_001 - WINDOW_LEN), Seen::TooOld);
    assert_eq!(take(1_100), Seen::New);
    assert_eq!(take(1_000), Seen::Replay);
    assert_eq!(take(999), Seen::New);
    assert_eq!(take(u32::MAX), Seen::New);
    assert_eq!(take(1_100), Seen::TooOld);
    assert_eq!(take(u32::MAX - 1), Seen::New);
}

#[test]
fn a_copy_is_known_by_its_digest_and_without_a_counter_only_for_some_time() {
    let mut meter = Meter::default();
    meter.note(&counted(7, 1));
    let late = Mark {
        at_utc_s: u32::MAX,
        ..counted(7, 1)
    };
    assert_eq!(meter.judge(&late), Seen::Copy);
    let clear = |at_utc_s| heard(8, at_utc_s);
    meter.note(&clear(10_000));
    assert_eq!(meter.judge(&clear(10_000 + SPAN_S)), Seen::Copy);
    assert_eq!(meter.judge(&clear(10_000 - SPAN_S)), Seen::Copy);
    assert_eq!(meter.judge(&clear(10_001 + SPAN_S)), Seen::New);
}

#[test]
fn a_backlog_without_counters_is_looked_for_and_pushes_nothing_newer_out() {
    let heard = |number: u32| heard(number, number * 4_000);
    let mut meter = Meter::default();
    (100..200).for_each(|number| meter.note(&heard(number)));
    assert_eq!(meter.judge(&heard(199)), Seen::Copy);
    assert_eq!(meter.judge(&heard(200)), Seen::New);
    // Before all that is kept: it may be durable or not.
    assert_eq!(meter.judge(&heard(150)), Seen::Forgotten);
    assert_eq!(meter.judge(&heard(50)), Seen::Forgotten);
    (0..90).for_each(|number| meter.note(&heard(number)));
    assert_eq!(meter.judge(&heard(170)), Seen::Copy);
}

#[test]
fn all_copies_of_an_hour_are_known_of_a_meter_that_sends_every_16_seconds() {
    let mut meter = Meter::default();
    (0..1_000).for_each(|number| meter.note(&heard(number, 16 * number)));
    // A gateway without a clock hands its backlog over now.
    let now = 16 * 1_000;
    for number in 776..1_000 {
        assert_eq!(meter.judge(&heard(number, now)), Seen::Copy, "{number}");
    }
    assert!(meter.recent.len() <= 227);
    // More within the hour than can be kept: the log knows, also of what seems new.
    (1_000..1_300).for_each(|number| meter.note(&heard(number, now)));
    assert_eq!(meter.judge(&heard(1_001, now)), Seen::Forgotten);
    assert_eq!(meter.judge(&heard(1_299, now)), Seen::Copy);
    assert_eq!(meter.judge(&heard(1_300, now)), Seen::Forgotten);
}

#[test]
fn counters_of_a_key_whose_window_made_room_are_looked_for_up_to_the_highest() {
    let mut meter = Meter::default();
    let of = |version: u8, counter| Mark {
        counter: Some((key(version), counter)),
        ..counted(1_000 * u64::from(version) + u64::from(counter), 0)
    };
    let forged = |counter| Mark {
        digest: 99,
        ..of(0, counter)
    };
    (0..4).for_each(|version| meter.note(&of(version, 700)));
    assert_eq!(meter.judge(&forged(700)), Seen::Replay);
    meter.note(&of(4, 7));
    assert_eq!(meter.judge(&forged(700)), Seen::Forgotten);
    assert_eq!(meter.judge(&forged(701)), Seen::New);
    // A late one of its counters makes another window, which knows no more than that.
    meter.note(&of(0, 650));
    assert_eq!(meter.judge(&of(0, 650)), Seen::Copy);
    for counter in [600, 649, 651, 700] {
        assert_eq!(meter.judge(&forged(counter)), Seen::Forgotten, "{counter}");
    }
    assert_eq!(meter.judge(&forged(701)), Seen::New);
}

#[test]
fn where_floors_are_missing_every_counter_of_an_unknown_key_is_looked_for() {
    let mut meter = Meter {
        lacks_floors: true,
        ..Meter::default()
    };
    assert_eq!(meter.judge(&counted(1, 700)), Seen::Unsure);
    meter.note(&counted(1, 700));
    assert_eq!(meter.judge(&counted(1, 700)), Seen::Copy);
    // The first that came need not be the highest that was used.
    for counter in [500, 600, 699, 701, 900] {
        assert_eq!(
            meter.judge(&counted(2, counter)),
            match counter {
                500 => Seen::TooOld,
                _ => Seen::Unsure,
            }
        );
    }
    meter.note(&counted(2, 705));
    assert_eq!(meter.judge(&counted(3, 701)), Seen::Unsure);
    assert_eq!(meter.judge(&counted(3, 706)), Seen::Unsure);
    assert_eq!(meter.judge(&counted(3, 705)), Seen::Replay);
}

#[test]
fn of_a_meter_that_signs_in_mode_5_nothing_unsigned_under_that_key_is_taken() {
    let mut meter = Meter::default();
    let signed = |of: KeyName| Mark {
        is_mode_5: true,
        key: Some(of),
        counter: Some((of, 1)),
        ..counted(1, 1)
    };
    let stripped = |of: Option<KeyName>| Mark {
        is_mode_5: true,
        key: of,
        ..heard(2, 0)
    };
    let before = stripped(Some(key(1)));
    assert_eq!(meter.judge(&before), Seen::New);
    meter.note(&before);
    meter.note(&signed(key(1)));
    assert_eq!(meter.judge(&before), Seen::Copy);
    let another = |mark: Mark| Mark { digest: 3, ..mark };
    assert_eq!(meter.judge(&another(before)), Seen::Unsigned);
    // Without a key nothing is encrypted.
    assert_eq!(meter.judge(&another(stripped(None))), Seen::New);
    // A new key starts anew, and the old one does not.
    let after = another(stripped(Some(key(2))));
    assert_eq!(meter.judge(&after), Seen::New);
    meter.note(&signed(key(2)));
    assert_eq!(meter.judge(&after), Seen::Unsigned);
    assert_eq!(meter.judge(&another(before)), Seen::Unsigned);
    // In another mode it may go without.
    let other = Mark {
        is_mode_5: false,
        ..after
    };
    assert_eq!(meter.judge(&other), Seen::New);
    // A key that only signs says nothing of which one encrypts.
    let new = another(stripped(Some(key(3))));
    assert_eq!(meter.judge(&new), Seen::New);
    meter.note(&signed(KeyName {
        id: KeyId(2),
        ..key(7)
    }));
    assert_eq!(meter.judge(&new), Seen::Unsigned);
}

#[test]
fn a_copy_of_the_oldest_digest_s_second_is_looked_for() {
    let mut meter = Meter::default();
    for number in 0..60 {
        meter.note(&heard(number, number / 3 * 7_200));
    }
    for number in 0..60 {
        let seen = meter.judge(&heard(number, number / 3 * 7_200));
        assert_ne!(seen, Seen::New, "{number}");
    }
}

#[test]
fn a_copy_of_what_made_room_is_looked_for_whatever_time_within_the_span_it_claims() {
    for every_s in [10, 16, 112, 1_200, 86_400] {
        let mut meter = Meter::default();
        let at = |number: u32| 100_000 + number * every_s;
        (0..600).for_each(|number| meter.note(&heard(number, at(number))));
        let lost = 600 - u32::try_from(meter.recent.len()).unwrap();
        for number in [0, lost / 2, lost - 1] {
            for claimed in at(number) - SPAN_S..=at(number) + SPAN_S {
                let seen = meter.judge(&heard(number, claimed));
                assert_eq!(seen, Seen::Forgotten, "{every_s}: {number} at {claimed}");
            }
        }
        let later = at(lost - 1) + SPAN_S + 1;
        assert_eq!(meter.judge(&heard(600, later)), Seen::New, "{every_s}");
    }
}

#[test]
fn what_a_meter_says_now_is_new_without_a_look_at_the_log() {
    for (every_s, is_once_ahead) in [16, 40, 112, 113, 1_200, 86_400]
        .iter()
        .flat_map(|every_s| [(*every_s, false), (*every_s, true)])
    {
        let mut meter = Meter::default();
        if is_once_ahead {
            meter.note(&heard(5_000, 100_000 + 9 * 3_600 + 1_000 * every_s));
        }
        for number in 0..1_000 {
            // Once it was silent for days, and it is never quite in time.
            let pause = if number < 500 { 0 } else { 300_000 };
            let at = 100_000 + pause + number * every_s + number * 7 % (every_s / 4);
            let mark = heard(number, at);
            assert_eq!(meter.judge(&mark), Seen::New, "{every_s}: {number}");
            meter.note(&mark);
        }
    }
}

#[test]
fn the_latest_keys_and_digests_of_a_meter_are_kept_and_no_more() {
    let mut meter = Meter::default();
    for version in 0..9 {
        for counter in 0..40 {
            let digest = u64::from(version) * 100 + u64::from(counter);
            meter.note(&Mark {
                counter: Some((key(version), counter)),
                ..counted(digest, 0)
            });
        }
    }
    assert_eq!(meter.windows.len(), WINDOWS_MAX);
    assert_eq!(meter.recent.len(), RECENT_MAX);
    let versions = meter.windows.iter().map(|(key, _)| key.version.0);
    assert_eq!(versions.collect::<Vec<_>>(), [5, 6, 7, 8]);
}

/// Folds the frame of a telegram at a position.
pub(in crate::store::state) fn fold_at(state: &State, lsn: u64, told: &Telegram<'_>) {
    let frame = FoldFrame {
        lsn: Lsn::new(lsn),
        kind: KIND_TELEGRAM,
        terminal: Some(told.terminal()),
        payload: &told.encode().unwrap(),
        raises_version: false,
    };
    state.fold(&frame).unwrap();
}

pub(in crate::store::state) fn telegram<'a>(
    meter: u8,
    counter: u32,
    digest: u64,
    received_utc_ms: u64,
) -> Telegram<'a> {
    Telegram {
        decoder: 1,
        carriage: Carriage::Tcp,
        link: LinkForm::Unknown,
        utility: UtilityId::new(*b"gasworks"),
        gateway: "roof",
        received_utc_ms,
        heard_utc_ms: None,
        rssi_dbm: None,
        security: Security {
            mode: 7,
            link_encrypted: false,
            clear_tail_octets: 0,
            withheld_octets: 0,
            cut_octets: 0,
            verified: Verified::Mac,
            key: Some(key(0)),
            counter: Some(counter),
        },
        meter: Address::from_link_order([0x93, 0x15, meter, 0, 0, 0, 0x33, 3]),
        sender: None,
        access_number: None,
        status: None,
        ci: 0x7A,
        is_wired: false,
        header: &[],
        expanded: None,
        digest,
        payload: &[],
    }
}

#[test]
fn a_frame_that_was_seen_is_not_folded_again() {
    let table = MeterTable::default();
    let first = telegram(1, 5, 50, 7_000);
    table.fold(Lsn::new(8), &first);
    let all = || -> Vec<_> {
        let shards = 0..MeterTable::SHARDS;
        shards
            .flat_map(|shard| table.copy_of_shard(shard))
            .collect()
    };
    let before = all();
    table.fold(Lsn::new(8), &first);
    assert_eq!(all(), before);
    let (utility, meter) = (first.utility, first.terminal());
    assert_eq!((table.len(), table.knows(utility, meter)), (1, true));
    assert!(!table.knows(UtilityId::new(*b"citygas2"), meter));
    assert_eq!(table.last_contact_utc_s(utility, meter), Some(7));
    let mark = Mark::of(&first);
    assert_eq!(table.judge(utility, meter, &mark), Seen::Copy);
    let check_bytes = Telegram {
        security: Security {
            verified: Verified::CheckBytes,
            ..first.security
        },
        ..first
    };
    assert_eq!(Mark::of(&check_bytes).counter, None);
}

proptest! {
    /// Against a set of all counters.
    #[test]
    fn a_window_says_what_a_set_of_all_counters_says(
        counters in proptest::collection::vec(0_u32..2_000, 1..200),
    ) {
        let mut meter = Meter::default();
        let mut all = std::collections::HashSet::new();
        let mut highest = 0;
        for (digest, counter) in (0..).zip(counters) {
            let mark = counted(digest, counter);
            let expected = if !all.is_empty() && counter + WINDOW_LEN <= highest {
                Seen::TooOld
            } else if all.contains(&counter) {
                Seen::Replay
            } else {
                Seen::New
            };
            prop_assert_eq!(meter.judge(&mark), expected);
            if expected == Seen::New {
                meter.note(&mark);
                all.insert(counter);
                highest = highest.max(counter);
            }
        }
    }
}
