//! What a sender writes, and values that it refuses to write.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use simulator::clock::{Clock, ClockChange, is_step};
use simulator::codec::Refusal;
use simulator::codec::answer::{answer, items, split};
use simulator::codec::frame::ladder;
use simulator::codec::gauges::Gauges;
use simulator::codec::record::{Alarm, Everyday, Health, MeterRef, Record, Register, Unit};
use simulator::codec::report::{Stamp, uncertainty_code, uncertainty_seconds};
use simulator::codec::series::{Break, Reason, Series};
use simulator::codec::wire::{Reader, Writer};
use simulator::crypto::SecretKey;
use simulator::household::{Household, Profile};
use simulator::keys::{Direction, Mode, Purpose, traffic_key};
use simulator::marks::{DayMarks, hour_mark};
use simulator::terminal::NoticeDetail;
use support::*;

fn reasons(series: &Series) -> Vec<(u8, u8)> {
    series
        .segments()
        .iter()
        .map(|s| (s.first, s.reason.code()))
        .collect()
}

// spec: GEN-1, GEN-2
#[test]
fn varints_are_shortest_and_read_back_and_longer_forms_are_refused() {
    for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), (1 << 48) - 1] {
        let mut w = Writer::new();
        w.varint(value);
        let octets = w.into_vec();
        assert_eq!(Reader::new(&octets).varint(u64::MAX), Ok(value));
    }
    assert_eq!(
        Reader::new(&[0x85, 0x00]).varint(1_000),
        Err(Refusal::NonCanonical)
    );
    assert_eq!(
        Reader::new(&[0xE9, 0x07]).varint(1_000),
        Err(Refusal::BadValue)
    );
    assert_eq!(
        Reader::new(&[0x80, 0x80, 0x80]).varint(1_000),
        Err(Refusal::BadValue)
    );
    assert_eq!(Reader::new(&[0x80]).varint(1_000), Err(Refusal::Truncated));
}

// spec: FRM-10, FRM-4
#[test]
fn the_ladder_has_multiples_of_64_from_128_and_1200_at_its_end() {
    assert_eq!(ladder(1), Some(128));
    assert_eq!(ladder(128), Some(128));
    assert_eq!(ladder(129), Some(192));
    assert_eq!(ladder(1_152), Some(1_152));
    assert_eq!(ladder(1_153), Some(1_200));
    assert_eq!(ladder(1_201), None);
}

// spec: SER-1, REC-19, SER-5
#[test]
fn a_segment_begins_at_gaps_backward_steps_corrections_and_clock_steps_and_nowhere_else() {
    let cut = |marks: &[Option<u64>], breaks: &[Break]| Series::from_marks(marks, breaks).unwrap();
    let all: Vec<Option<u64>> = (0..6).map(Some).collect();
    assert_eq!(reasons(&cut(&all, &[])), [(1, 0)]);
    let at = |mark, reason| Break { mark, reason };
    assert_eq!(
        reasons(&cut(&all, &[at(3, Reason::Reverse)])),
        [(1, 0)],
        "no step back"
    );
    assert_eq!(
        reasons(&cut(&all, &[at(3, Reason::Correction)])),
        [(1, 0), (3, 2)]
    );
    assert_eq!(
        reasons(&cut(&all, &[at(3, Reason::Clock)])),
        [(1, 0), (3, 4)]
    );
    let back = [Some(9), Some(3), None, Some(4), Some(4 + (1 << 32))];
    assert_eq!(reasons(&cut(&back, &[])), [(1, 0), (2, 6), (4, 0), (5, 5)]);
    assert_eq!(
        reasons(&cut(&back[..2], &[at(2, Reason::Wrap)])),
        [(1, 0), (2, 1)]
    );
    assert!(
        Series::from_marks(&[None, None], &[]).is_none(),
        "zero is not missing"
    );
    let mut w = Writer::new();
    cut(&all, &[]).encode(&mut w).unwrap();
    assert_eq!(w.into_vec()[0], 0);
}

// spec: SER-6, REC-16
#[test]
fn a_register_above_its_largest_value_has_no_encoding() {
    let series = Series::from_marks(&[Some(1 << 48)], &[]).unwrap();
    assert!(series.encode(&mut Writer::new()).is_err());
    let gauges = Gauges::new(vec![Some(65_534)]).unwrap();
    assert!(gauges.encode(&mut Writer::new()).is_err(), "SER-8");
}

fn day() -> Everyday {
    Everyday {
        valve: 1,
        meter: MeterRef {
            slot: 0,
            generation: 0,
        },
        unit: Unit::LITRE,
        day: 20_000,
        daily: Some(7),
        registers: None,
        pressures: None,
        health: None,
    }
}

// spec: REC-18, REC-19
#[test]
fn the_daily_register_is_explicit_exactly_when_mark_24_does_not_hold_it() {
    let flags = |e: &Everyday| Record::Everyday(e.clone()).body_before_mac().unwrap()[0];
    let mut e = day();
    assert_eq!(flags(&e), 0x11);
    e.daily = None;
    assert_eq!(flags(&e), 0x01);
    let mut marks = vec![Some(7); 24];
    e.registers = Series::from_marks(&marks, &[]);
    e.daily = Some(7);
    assert_eq!(flags(&e), 0x81);
    marks[23] = None;
    e.registers = Series::from_marks(&marks, &[]);
    assert_eq!(flags(&e), 0x91);
}

// spec: REC-20, REC-21, REC-25, REC-26, REC-33
#[test]
fn values_outside_of_their_range_have_no_encoding() {
    let stamp = Stamp::Set {
        utc_s: 1,
        uncertainty: 2,
    };
    let meter = MeterRef {
        slot: 1,
        generation: 2,
    };
    let bad_health = Health {
        battery: 1,
        remaining: 101,
        rsrp: 1,
        snr: 1,
        temperature: 1,
        sends: 1,
        reset: 0,
    };
    let register = Register {
        unit: Unit(0x0F),
        value: 1,
    };
    for record in [
        Record::Everyday(Everyday { valve: 10, ..day() }),
        Record::Everyday(Everyday {
            health: Some(bad_health),
            ..day()
        }),
        Record::RegisterReading {
            stamp,
            meter,
            cause: 1,
            register,
        },
        Record::ResidualGas {
            stamp,
            meter,
            level: 4,
            register: None,
        },
        Record::MeterExchange {
            stamp,
            old: meter,
            new: meter,
            old_register: None,
            new_register: None,
        },
        Record::ClockChange {
            before: stamp,
            after: stamp,
            cause: 0,
        },
        Record::Maker {
            number: 0x5F,
            body: Vec::new(),
        },
    ] {
        assert!(record.body_before_mac().is_err(), "{record:?}");
    }
    let long = Record::OpaquePayload {
        stamp,
        maker: 1,
        payload_type: 1,
        payload: vec![0; 1_100],
    };
    assert!(terminal(1).push(long).is_err());
}

// spec: REC-22, REC-23
#[test]
fn more_than_six_alarms_of_an_event_become_two_notices_with_one_stamp() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let unmapped = Alarm::from_meter(*b"5Q", None, 1);
    assert_eq!((unmapped.alarm, unmapped.code), (255, *b"5Q"));
    t.raise(1_000, 0, &[unmapped; 8], &NoticeDetail::default())
        .unwrap();
    let f = frame(&mut t, &server, 1_000);
    let notices: Vec<Vec<u8>> = f.records().into_iter().map(|r| r.2).collect();
    assert_eq!(f.types(), [0x05, 0x05]);
    assert_eq!(notices[0][..5], notices[1][..5]);
    assert!(f.sequences()[0] > f.sequences()[1], "newest first");
}

// spec: REC-30
#[test]
fn alarms_go_first_newest_first_then_results_then_the_oldest_of_the_rest() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let mut house = Household::new(5, Profile::Quiet);
    t.push_day(house.day(20_000)).unwrap();
    t.push_day(house.day(20_001)).unwrap();
    let alarm = Alarm {
        alarm: 1,
        state: 1,
        code: [0; 2],
    };
    for _ in 0..2 {
        t.raise(1_000, 0, &[alarm], &NoticeDetail::default())
            .unwrap();
    }
    let f = frame(&mut t, &server, 1_000);
    assert_eq!(f.types(), [0x05, 0x05, 0x01, 0x01]);
    let s = f.sequences();
    assert!(s[0] > s[1] && s[2] < s[3]);
}

// spec: REC-13, REC-14
#[test]
fn an_exchange_binds_the_next_generation_before_it_is_read() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let new = t.exchange_meter(1_000, meter(0)).unwrap();
    assert_eq!(
        new,
        MeterRef {
            slot: 0,
            generation: 1
        }
    );
    t.wake(1_000);
    assert_eq!(frame(&mut t, &server, 1_000).types(), [0x0A, 0x09]);
    assert_eq!(
        MeterRef {
            slot: 0,
            generation: 15
        }
        .next_generation(),
        None
    );
}

// spec: KEY-5, KEY-2
#[test]
fn mode_3_needs_a_base_key_of_32_octets() {
    let short = base(Purpose::Link, 1, 16);
    assert!(
        traffic_key(
            &short,
            &OWNER,
            Mode::GcmSession,
            Direction::Uplink,
            &[0; 16]
        )
        .is_err()
    );
    assert!(SecretKey::new(&[0; 24]).is_err());
    assert_eq!(format!("{:?}", key(1, 16)), "SecretKey(redacted)");
}

// spec: ANS-16, REC-3, REC-5
#[test]
fn a_clock_is_taken_when_it_must_and_kept_when_it_agrees() {
    let mut clock = Clock::unset(3, 0, 20);
    assert_eq!(
        clock.stamp(5_000),
        Stamp::Unset {
            uptime_s: 5,
            boot: 3
        }
    );
    let ClockChange::Taken { before, after } = clock.compare(5_000, UTC, 2_400) else {
        panic!()
    };
    assert!(is_step(&before, &after));
    assert_eq!(
        after,
        Stamp::Set {
            utc_s: UTC + 1,
            uncertainty: 3
        }
    );
    assert_eq!(clock.compare(6_000, UTC + 2, 100), ClockChange::Kept);
    let own = clock.utc_ms(6_000);
    assert_eq!(own, Some(u64::from(UTC) * 1_000 + 2_200), "the time stands");
    assert!(clock.uncertainty_ms(6_000) < Some(3_000), "narrower");
    assert!(matches!(
        clock.compare(7_000, UTC + 90, 100),
        ClockChange::Taken { .. }
    ));
    let week = 7 * 86_400_000;
    assert!(clock.uncertainty_ms(week) > Some(12_000), "it grows");
    for seconds in [0, 63, 64, 65, 2_047, 2_048] {
        let code = uncertainty_code(seconds);
        assert!(
            u64::from(uncertainty_seconds(code).unwrap()) >= seconds,
            "rounded up"
        );
    }
    assert_eq!(uncertainty_code(2_049), 127);
    let mut lost = Clock::unset(1, 0, 20);
    lost.set(0, u64::from(UTC) * 1_000, 9_000_000);
    assert!(
        matches!(lost.compare(0, UTC + 5, 0), ClockChange::Taken { .. }),
        "unknown"
    );
}

// spec: ANS-17, REC-17, SER-1
#[test]
fn no_hour_mark_runs_twice_and_a_jumped_one_is_a_gap() {
    assert_eq!(
        hour_mark(15 * 3_600, 36),
        Some((0, 24)),
        "midnight is mark 24"
    );
    assert_eq!(hour_mark(16 * 3_600, 36), Some((1, 1)));
    assert_eq!(hour_mark(16 * 3_600 + 1, 36), None);
    let mut marks = DayMarks::new(20_000);
    for mark in 1..=5 {
        assert!(marks.reached(mark, u64::from(mark) * 10));
    }
    marks.clock_stepped();
    assert!(!marks.reached(4, 51), "set back: not again");
    assert!(marks.reached(6, 60));
    marks.clock_stepped();
    assert!(marks.reached(9, 70), "set forward: 7 and 8 are left out");
    let series = marks.series().unwrap();
    assert_eq!(reasons(&series), [(1, 0), (6, 4), (9, 4)]);
}

// spec: FRM-2, FRM-16, FRM-17, FRM-21, ANS-3, ANS-11, ANS-15, ANS-19, GEN-6, GEN-7
#[test]
fn malformed_answers_have_their_own_refusals() {
    assert_eq!(split(&[]).unwrap_err(), Refusal::Truncated);
    assert_eq!(split(&[0x11, 0x20]).unwrap_err(), Refusal::WrongDirection);
    assert_eq!(split(&[0x1C, 0]).unwrap_err(), Refusal::UnknownFrameType);
    assert_eq!(split(&[0x1A, 0]).unwrap_err(), Refusal::ModeForbidsFrame);
    assert_eq!(split(&[0x1F, 0, 0]).unwrap_err(), Refusal::TrailingBytes);
    assert_eq!(split(&[0; 1_201]).unwrap_err(), Refusal::Oversize);
    let read = |octets: &[u8]| answer(Mode::CcmStatic, octets).unwrap_err();
    assert_eq!(read(&[0x06, 0, 0]), Refusal::BadValue, "FINAL and MORE");
    assert_eq!(read(&[0x20, 0, 0]), Refusal::ReservedBits);
    let two = [slot(1, 1), come_back(4)].concat();
    assert_eq!(items(&two, &[]).unwrap_err(), Refusal::NonCanonical);
    assert_eq!(
        items(&item(0x01, &[0, 0]), &[]).unwrap_err(),
        Refusal::BadValue
    );
    assert_eq!(items(&slot(0, 1), &[]).unwrap_err(), Refusal::BadValue);
    assert_eq!(items(&slot(1, 86_400), &[]).unwrap_err(), Refusal::BadValue);
    assert_eq!(items(&floor(0), &[]).unwrap_err(), Refusal::BadValue);
    assert_eq!(
        items(&[0x01, 0xB1, 0x09], &[]).unwrap_err(),
        Refusal::BadValue,
        "length"
    );
    assert_eq!(items(&[0x01, 3, 0], &[]).unwrap_err(), Refusal::Truncated);
    assert_eq!(items(&[0x7F, 0], &[]).unwrap_err(), Refusal::BadValue);
}

#[test]
fn a_household_is_the_same_for_the_same_seed_and_fits_the_routine_size() {
    let days = |seed| {
        let mut house = Household::new(seed, Profile::Busy);
        (0..30).map(|d| house.day(20_000 + d)).collect::<Vec<_>>()
    };
    assert_eq!(days(4), days(4));
    assert_ne!(days(4), days(5));
    for profile in [Profile::Quiet, Profile::Busy, Profile::Vacant] {
        let mut house = Household::new(1, profile);
        for d in 0..200 {
            let octets = Record::Everyday(house.day(d))
                .body_before_mac()
                .unwrap()
                .len();
            assert!(octets <= 128 - 31 - 10 - 6 + 20, "{profile:?} {octets}");
        }
    }
}
