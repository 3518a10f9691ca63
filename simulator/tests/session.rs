//! Calling, waiting, acknowledgements, counters.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use simulator::codec::Refusal;
use simulator::codec::record::Alarm;
use simulator::household::{Household, Profile};
use simulator::nvm::{CounterCell, Nvm, Wipe, Write};
use simulator::terminal::{Event, Handled, NoticeDetail};
use support::*;

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;

fn alarm(t: &mut Sim, now_ms: u64) {
    let shutoff = Alarm {
        alarm: 1,
        state: 1,
        code: *b"01",
    };
    t.raise(now_ms, 0, &[shutoff], &NoticeDetail::default())
        .unwrap();
}

// spec: REC-1, REC-3, REC-13, REC-32, FRS-1, FRM-10, NON-5
#[test]
fn the_first_call_introduces_the_terminal_with_counter_one_and_no_ticket() {
    for mode in 0..=3 {
        let (mut t, server) = (terminal(mode), Server::of(mode));
        let f = frame(&mut t, &server, 0);
        assert_eq!(
            (f.counter, f.ticket, f.asks, f.alarm),
            (1, [0; 8], true, false)
        );
        assert!(!f.clock_set);
        assert_eq!(f.types(), [0x0E, 0x0A]);
        assert_ne!(f.epoch, 0);
        assert_eq!(f.frame.len().is_multiple_of(64), mode != 0);
        assert_eq!(f.padding == 0, mode == 0);
    }
}

// spec: FRS-1, ANS-2, ANS-16, REC-5
#[test]
fn an_answer_gives_ticket_time_and_safety() {
    for mode in 1..=3 {
        let (mut t, mut server) = (terminal(mode), Server::of(mode));
        let f = frame(&mut t, &server, 0);
        let answer = server.answer(0, &f.frame, ACK | FINAL, 0, &[]);
        assert_eq!(t.handle(400, &answer).unwrap(), Handled::Accepted);
        assert_eq!(t.told_safe().len(), 2);
        let own = t.clock().utc_ms(400).unwrap();
        assert_eq!(
            own,
            u64::from(UTC) * 1_000 + 200,
            "Ns plus half of the round trip"
        );
        let second = frame(&mut t, &server, 400);
        assert_eq!(second.types(), [0x0C], "the clock change is a record");
        assert_eq!(second.ticket[..4], UTC.to_be_bytes());
    }
}

// spec: SEC-4, SEC-3
#[test]
fn mode_0_gives_no_time_and_no_ticket() {
    let (mut t, mut server) = (terminal(0), Server::of(0));
    let f = frame(&mut t, &server, 0);
    let with_item = server.answer(0, &f.frame, ACK, 0, &slot(3, 1));
    assert_eq!(
        t.handle(0, &with_item).unwrap(),
        Handled::Ignored(Refusal::TrailingBytes)
    );
    let answer = server.answer(0, &f.frame, ACK | FINAL, 0, &[]);
    assert_eq!(answer.len(), 9);
    assert_eq!(t.handle(0, &answer).unwrap(), Handled::Accepted);
    assert!(t.store().is_empty());
    assert!(!t.clock().is_set());
    assert_eq!((t.ticket(), t.slot()), ([0; 8], None));
}

// spec: SES-2, NON-2, SES-15
#[test]
fn an_unanswered_frame_is_repeated_after_4_and_10_s_and_given_up_30_s_later() {
    let (mut t, server) = (terminal(1), Server::of(1));
    let first = frame(&mut t, &server, 0);
    assert_eq!(next(&mut t, 1), 4 * SECOND);
    assert_eq!(frame(&mut t, &server, 4 * SECOND).frame, first.frame);
    assert_eq!(next(&mut t, 4 * SECOND), 14 * SECOND);
    assert_eq!(frame(&mut t, &server, 14 * SECOND).frame, first.frame);
    assert_eq!(next(&mut t, 14 * SECOND), 44 * SECOND);
    let again = next(&mut t, 44 * SECOND);
    assert!(asleep(&mut t, 44 * SECOND));
    assert!(
        (DAY..=DAY + 15 * 60 * SECOND).contains(&again),
        "24 h after the call, spread"
    );
    assert_ne!(frame(&mut t, &server, again).counter, first.counter);
}

// spec: SES-5, SES-8, GEN-5, SEC-5, SEC-7, NON-2
#[test]
fn a_flipped_bit_anywhere_changes_nothing() {
    for mode in 1..=3 {
        let (mut t, mut server) = (terminal(mode), Server::of(mode));
        t.nvm_mut().keep_log();
        let f = frame(&mut t, &server, 0);
        let writes = t.nvm().log().len();
        let answer = server.answer(0, &f.frame, ACK | FINAL | NEW_EPOCH, 0, &slot(4, 77));
        for bit in 0..answer.len() * 8 {
            let mut bad = answer.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(t.handle(1, &bad).unwrap(), Handled::Ignored(_)),
                "bit {bit}"
            );
        }
        assert_eq!(t.nvm().log().len(), writes);
        assert_eq!(
            (t.ticket(), t.told_safe().len(), t.slot()),
            ([0; 8], 0, None)
        );
        assert_eq!(next(&mut t, 1), 4 * SECOND, "it waits as before");
        assert_eq!(t.handle(1, &answer).unwrap(), Handled::Accepted);
    }
}

// spec: SES-1, SES-5, SEC-7, ERR-4
#[test]
fn only_the_outstanding_uplink_can_be_answered_and_only_once() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let f = frame(&mut t, &server, 0);
    let answer = server.answer(0, &f.frame, 0, 0, &[]);
    for code in 0..4 {
        let ignored = Handled::Ignored(Refusal::NotOutstanding);
        assert_eq!(t.handle(1, &[0x1F, code]).unwrap(), ignored);
    }
    assert_eq!(t.handle(1, &answer).unwrap(), Handled::Accepted);
    assert!(matches!(t.handle(1, &answer).unwrap(), Handled::Ignored(_)));
    let second = server.answer(2_000, &f.frame, ACK, 0, &[]);
    assert!(matches!(t.handle(2, &second).unwrap(), Handled::Ignored(_)));
    assert!(t.told_safe().is_empty());
    let late = frame(&mut t, &server, 3);
    let answer = server.answer(0, &late.frame, ACK | FINAL, 0, &[]);
    let ignored = Handled::Ignored(Refusal::NotOutstanding);
    assert_eq!(t.handle(120_004, &answer).unwrap(), ignored, "120 s");
}

// spec: SEC-1, SEC-2, EXT-6, FRM-1
#[test]
fn another_mode_or_version_is_dropped_and_never_answered_to() {
    let (mut t, mut server) = (terminal(2), Server::of(2));
    let f = frame(&mut t, &server, 0);
    let mut other = server.answer(0, &f.frame, ACK, 0, &[]);
    other[1] = 1 << 5;
    assert_eq!(
        t.handle(1, &other).unwrap(),
        Handled::Ignored(Refusal::ModeMismatch)
    );
    other[0] = 0x29;
    assert_eq!(
        t.handle(1, &other).unwrap(),
        Handled::Ignored(Refusal::UnsupportedVersion)
    );
    let again = frame(&mut t, &server, 4 * SECOND);
    assert_eq!((again.frame[0], again.mode.code()), (0x11, 2));
}

// spec: REC-31, SES-1, ANS-2, ANS-4, ANS-8, REC-11
#[test]
fn a_backlog_goes_in_batches_and_what_the_map_leaves_out_comes_again() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let mut house = Household::new(3, Profile::Busy);
    for day in 0..260 {
        t.push_day(house.day(20_000 + day)).unwrap();
    }
    let safe_before = t.told_safe().len();
    t.wake(DAY);
    let batch = frames(&mut t, &server, DAY);
    assert_eq!(batch.len(), 8);
    let counters: Vec<u32> = batch.iter().map(|f| f.counter).collect();
    assert!(counters.windows(2).all(|w| w[1] == w[0] + 1), "consecutive");
    assert_eq!(batch.iter().filter(|f| f.asks).count(), 1);
    assert!(batch[7].asks && batch[7].following > 0);
    assert!(batch.iter().all(|f| f.frame.len() <= 1_200));
    let nothing = server.answer(DAY, &batch[7].frame, 0, 0, &[]);
    t.handle(DAY, &nothing).unwrap();
    assert_eq!(
        t.told_safe().len(),
        safe_before,
        "no ACK, no map: nothing is forgotten"
    );
    let batch = frames(&mut t, &server, DAY);
    let lost = batch[2].sequences();
    // Bit i is the frame with the counter N - 1 - i; the third frame of eight is bit 4.
    let answer = server.answer(DAY, &batch[7].frame, ACK, 0x7F & !(1 << 4), &[]);
    t.handle(DAY, &answer).unwrap();
    let safe: Vec<u32> = t.told_safe()[safe_before..]
        .iter()
        .map(|s| s.sequence)
        .collect();
    assert!(lost.iter().all(|s| !safe.contains(s)));
    let sent: usize = batch.iter().map(|f| f.sequences().len()).sum();
    assert_eq!(safe.len(), sent - lost.len());
    let third = frames(&mut t, &server, DAY);
    assert_eq!(
        third[0].sequences()[..lost.len()],
        lost,
        "oldest first, in new frames"
    );
    assert!(third[0].counter > batch[7].counter);
}

// spec: SES-3, SES-4, FRM-6, REC-30, NON-2
#[test]
fn an_alarm_is_repeated_octet_by_octet_and_then_anew_until_it_is_safe() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let start = 1_000 * SECOND;
    alarm(&mut t, start);
    let mut times = Vec::new();
    let mut counters = Vec::new();
    let mut now = start;
    while now < start + 8 * 3_600 * SECOND {
        for f in frames(&mut t, &server, now) {
            assert!(f.alarm && f.asks);
            assert_eq!(f.types()[0], 0x05);
            times.push(now);
            counters.push((f.counter, f.frame));
        }
        now = next(&mut t, now);
    }
    assert_eq!(times[0], start);
    assert!(
        counters[..4].iter().all(|c| *c == counters[0]),
        "the same octets"
    );
    assert!(
        counters[4..].windows(2).all(|w| w[1].0 > w[0].0),
        "then new frames"
    );
    let middles = [10, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600];
    for (pair, middle) in times.windows(2).zip(middles) {
        let pause = (pair[1] - pair[0]) as f64 / 1_000.0;
        let middle = f64::from(middle);
        assert!(
            (middle * 0.74..=middle * 1.26).contains(&pause),
            "{pause} of {middle}"
        );
    }
}

// spec: SES-3, OVL-2
#[test]
fn a_come_back_neither_cancels_nor_delays_an_alarm() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    alarm(&mut t, 1_000);
    let f = frame(&mut t, &server, 1_000);
    let answer = server.answer(1_000, &f.frame, 0, 0, &come_back(40_000));
    t.handle(1_000, &answer).unwrap();
    let at = next(&mut t, 1_001);
    assert!(at <= 1_000 + 13 * SECOND, "{at}");
    let f = frame(&mut t, &server, at);
    assert!(f.alarm);
}

// spec: SES-1, SES-3
#[test]
fn an_alarm_that_arises_while_waiting_goes_at_once_and_replaces_the_outstanding_uplink() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let first = frame(&mut t, &server, 0);
    alarm(&mut t, 2_000);
    let second = frame(&mut t, &server, 2_000);
    assert!(second.alarm && second.counter > first.counter);
    let old = server.answer(2_000, &first.frame, ACK, 0, &[]);
    assert!(matches!(
        t.handle(2_100, &old).unwrap(),
        Handled::Ignored(_)
    ));
    let answer = server.answer(2_000, &second.frame, ACK | FINAL, 1, &[]);
    assert_eq!(t.handle(2_200, &answer).unwrap(), Handled::Accepted);
    assert!(!t.store().has_alarm());
}

// spec: OVL-2, OVL-3
#[test]
fn a_come_back_without_ack_is_waited_for_twice_and_then_taken_for_a_lost_answer() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let mut now = 0;
    for _ in 0..2 {
        let f = frame(&mut t, &server, now);
        let answer = server.answer(now, &f.frame, 0, 0, &come_back(400));
        assert_eq!(t.handle(now, &answer).unwrap(), Handled::Accepted);
        let at = next(&mut t, now);
        assert!(
            (now + 400 * SECOND..=now + 500 * SECOND).contains(&at),
            "{at}"
        );
        assert!(!t.store().is_empty());
        now = at;
    }
    let f = frame(&mut t, &server, now);
    let answer = server.answer(now, &f.frame, 0, 0, &come_back(400));
    assert!(matches!(
        t.handle(now, &answer).unwrap(),
        Handled::Ignored(_)
    ));
    assert_eq!(next(&mut t, now), now + 4 * SECOND);
}

// spec: ANS-18, ANS-21
#[test]
fn the_slot_is_the_serial_until_a_server_gives_another_version() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let serial = 0x0002_DFDC_1C35_u64;
    assert_eq!(u64::from(t.slot_second()), serial % 86_400);
    settle(&mut t, &mut server, 0);
    let at = next(&mut t, 1);
    let utc = t.clock().utc_ms(at).unwrap();
    assert_eq!(utc / 1_000 % 86_400, serial % 86_400);
    for (version, second, expected) in [(2, 500, 500), (2, 900, 500), (3, 901, 901)] {
        t.wake(1_000);
        let f = frame(&mut t, &server, 1_000);
        let answer = server.answer(1_000, &f.frame, ACK | FINAL, 0, &slot(version, second));
        t.handle(1_000, &answer).unwrap();
        let at = next(&mut t, 1_000);
        assert_eq!(t.clock().utc_ms(at).unwrap() / 1_000 % 86_400, expected);
    }
    t.wake(2_000);
    assert_eq!(frame(&mut t, &server, 2_000).slot_version, 3);
}

// spec: REP-7, RSY-2, NON-2, NON-5, ANS-14
#[test]
fn a_floor_raises_the_counter_and_never_lowers_it() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let f = frame(&mut t, &server, 0);
    let both = server.answer(0, &f.frame, ACK, 0, &floor(500));
    assert_eq!(
        t.handle(0, &both).unwrap(),
        Handled::Ignored(Refusal::BadValue)
    );
    let answer = server.answer(0, &f.frame, 0, 0, &floor(500));
    t.handle(0, &answer).unwrap();
    assert!(t.told_safe().is_empty());
    let f = frame(&mut t, &server, 0);
    assert_eq!(f.counter, 500);
    assert!(
        f.sequences().contains(&1),
        "what is not acknowledged goes again"
    );
    let answer = server.answer(0, &f.frame, 0, 0, &floor(20));
    t.handle(0, &answer).unwrap();
    let f = frame(&mut t, &server, 0);
    assert_eq!(f.counter, 501);
    let answer = server.answer(0, &f.frame, 0, 0, &floor(501 + 16_777_218));
    t.handle(0, &answer).unwrap();
    assert_eq!(frame(&mut t, &server, 0).counter, 502, "out of reach");
}

// spec: NON-2, NON-3
#[test]
fn counters_are_reserved_in_blocks_before_use_and_a_restart_skips_the_block() {
    let mut n = nvm(1, 16);
    n.keep_log();
    let (mut t, server) = (boot(n, 1, 0), Server::of(1));
    let mut used = Vec::new();
    for i in 0..70_u64 {
        let now = i * DAY;
        t.wake(now);
        let f = frame(&mut t, &server, now);
        let CounterCell::Reserved(below) = t.nvm().working().counter else {
            panic!()
        };
        assert!(below > f.counter && below <= f.counter + 64);
        used.push(f.counter);
        let at = next(&mut t, now);
        frames(&mut t, &server, at);
        let at = next(&mut t, at);
        frames(&mut t, &server, at);
        next(&mut t, at + 30 * SECOND);
    }
    let (n, ..) = t.power_off();
    let CounterCell::Reserved(below) = n.working().counter else {
        panic!()
    };
    let mut t = boot(n, 2, 0);
    assert_eq!(frame(&mut t, &server, 0).counter, below);
    used.push(below);
    assert!(used.windows(2).all(|w| w[1] > w[0]));
}

// spec: NON-4, NON-6, RSY-1, RSY-2, RSY-3, RSY-4, FRM-14, SES-15
#[test]
fn a_terminal_without_a_counter_resyncs_under_a_new_epoch_before_any_uplink() {
    for mode in 1..=3 {
        let (mut t, mut server) = (terminal(mode), Server::of(mode));
        let epoch = settle(&mut t, &mut server, 0).epoch;
        let (mut n, ..) = t.power_off();
        n.wipe(Wipe::All);
        let mut t = boot(n, 9, 0);
        let first = frame(&mut t, &server, 0);
        assert_eq!(
            (first.frame[0], first.frame.len(), first.reason),
            (0x12, 64, 1)
        );
        assert_ne!(first.epoch, epoch);
        let again = frame(&mut t, &server, 4 * SECOND);
        assert_eq!(again.frame, first.frame, "an identical retransmission");
        frame(&mut t, &server, 14 * SECOND);
        let later = next(&mut t, 44 * SECOND);
        let second = frame(&mut t, &server, later);
        assert_ne!(second.frame[11..27], first.frame[11..27], "another Nr");
        let answer = server.resync_answer(later, &second.frame, 864_001, &[]);
        assert_eq!(t.handle(later, &answer).unwrap(), Handled::Accepted);
        let f = frame(&mut t, &server, later);
        assert_eq!(
            (f.frame[0], f.counter, f.epoch),
            (0x11, 864_001, second.epoch)
        );
        assert_eq!(f.ticket, t.ticket());
        assert_ne!(f.ticket, [0; 8]);
    }
}

// spec: RSY-2
#[test]
fn a_resync_with_a_readable_block_never_goes_below_it() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let (mut n, ..) = t.power_off();
    n.wipe(Wipe::CounterProof);
    let mut t = boot(n, 9, 0);
    let resync = frame(&mut t, &server, 0);
    assert_eq!(resync.reason, 2);
    let answer = server.resync_answer(0, &resync.frame, 3, &[]);
    t.handle(0, &answer).unwrap();
    assert_eq!(frame(&mut t, &server, 0).counter, 65);
}

// spec: REC-2, REC-28, REC-34, CMD-14, REC-6
#[test]
fn a_new_epoch_keeps_sequences_and_names_the_old_one_until_they_are_safe() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let f = frame(&mut t, &server, 0);
    let answer = server.answer(0, &f.frame, NEW_EPOCH, 0, &[]);
    t.handle(0, &answer).unwrap();
    let g = frame(&mut t, &server, 0);
    assert_ne!(g.epoch, f.epoch);
    assert_eq!(
        g.records()[..2],
        f.records()[..2],
        "sequence and content stay"
    );
    assert_eq!(
        *g.items.last().unwrap(),
        (0x70, f.epoch.to_be_bytes().to_vec())
    );
    let answer = server.answer(0, &g.frame, ACK | FINAL, 0, &[]);
    t.handle(0, &answer).unwrap();
    t.wake(10);
    assert!(
        frame(&mut t, &server, 10)
            .types()
            .iter()
            .all(|k| *k != 0x70)
    );
}

// spec: REC-2, RSY-3
#[test]
fn a_lost_record_store_begins_another_epoch_at_sequence_one() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let epoch = settle(&mut t, &mut server, 0).epoch;
    let (mut n, ..) = t.power_off();
    n.wipe(Wipe::Records);
    let mut t = boot(n, 4, 0);
    let f = frame(&mut t, &server, 0);
    assert_ne!(f.epoch, epoch);
    assert_eq!(f.sequences()[0], 1);
    assert!(!f.types().contains(&0x70));
}

// spec: REC-10
#[test]
fn a_full_store_drops_the_oldest_reading_and_never_an_alarm() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    alarm(&mut t, 10);
    let mut house = Household::new(1, Profile::Quiet);
    for day in 0..1_050 {
        t.push_day(house.day(20_000 + day)).unwrap();
    }
    assert_eq!(t.store().len(), 1_000);
    assert!(t.store().has_alarm());
    let dropped: Vec<u32> = t
        .take_events()
        .into_iter()
        .filter_map(|e| {
            if let Event::Dropped(d) = e {
                Some(d.sequence)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(dropped.len(), 51);
    assert!(dropped.windows(2).all(|w| w[1] == w[0] + 1), "oldest first");
}

// spec: REC-10, REC-6
#[test]
fn records_survive_a_restart_unchanged() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    t.push_day(Household::new(1, Profile::Gaps).day(20_000))
        .unwrap();
    t.wake(10);
    let f = frame(&mut t, &server, 10);
    let (n, ..) = t.power_off();
    let mut t = boot(n, 5, 0);
    let g = frame(&mut t, &server, 0);
    assert_eq!((g.records(), g.epoch), (f.records(), f.epoch));
    assert!(!g.clock_set);
}

// spec: FRM-10, FRM-11
#[test]
fn the_routine_size_grows_with_a_days_record_and_survives_a_wipe() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    t.push_day(Household::new(1, Profile::Worst).day(20_000))
        .unwrap();
    let size = t.routine_size();
    assert!(size > 128 && size % 64 == 0);
    settle(&mut t, &mut server, 100);
    t.wake(200);
    assert_eq!(
        frame(&mut t, &server, 200).frame.len(),
        size,
        "a vacant report too"
    );
    let (mut n, ..) = t.power_off();
    n.wipe(Wipe::All);
    assert_eq!(boot(n, 3, 0).routine_size(), size);
}

// spec: REC-32
#[test]
fn an_everyday_record_needs_a_set_clock() {
    let mut t = terminal(1);
    assert!(
        t.push_day(Household::new(1, Profile::Quiet).day(20_000))
            .is_err()
    );
}

// spec: SES-4
#[test]
fn no_more_than_96_frames_a_day_of_which_32_are_left_to_alarms() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    let mut sent = 0;
    let mut now = 10 * SECOND;
    while now < 20_000 * SECOND {
        t.wake(now);
        sent += frames(&mut t, &server, now).len();
        now += SECOND;
    }
    assert!(sent <= 64, "{sent}");
    alarm(&mut t, now);
    let f = frame(&mut t, &server, now);
    assert!(f.alarm, "an alarm still goes");
    let (n, ..) = t.power_off();
    let mut t = boot(n, 5, 0);
    let mut after = 0;
    for s in 0..40_000 {
        after += frames(&mut t, &server, s * SECOND).len();
    }
    assert!(after <= 32, "restarts included: {after}");
}

// spec: SES-16, ANS-8
#[test]
fn more_is_followed_eight_times_in_a_session() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    t.wake(10);
    let mut uplinks = 0;
    while let Some(f) = frames(&mut t, &server, 10).pop() {
        uplinks += 1;
        let answer = server.answer(10, &f.frame, ACK | MORE, 0, &[]);
        t.handle(10, &answer).unwrap();
    }
    assert_eq!(uplinks, 9);
}

// spec: ANS-12, ANS-20, GEN-5, REC-34
#[test]
fn an_unknown_critical_item_refuses_the_whole_answer_and_is_named_in_the_next_uplink() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let f = frame(&mut t, &server, 0);
    let items = [slot(3, 5), item(0x86, b"firmware")].concat();
    let answer = server.answer(0, &f.frame, ACK | FINAL, 0, &items);
    let refused = Handled::Ignored(Refusal::UnknownCriticalItem(6));
    assert_eq!(t.handle(0, &answer).unwrap(), refused);
    assert_eq!(
        (t.told_safe().len(), t.slot(), t.ticket()),
        (0, None, [0; 8])
    );
    let at = next(&mut t, 0);
    let g = frame(&mut t, &server, at);
    assert_eq!(*g.items.last().unwrap(), (0x72, vec![6]));
    let skip = server.answer(at, &g.frame, ACK | FINAL, 0, &item(0x08, b"later"));
    assert_eq!(
        t.handle(at, &skip).unwrap(),
        Handled::Accepted,
        "not critical: skipped"
    );
    assert_eq!(t.told_safe().len(), 2);
}

// spec: SES-12, SES-13, SES-14, SES-17, SEC-8
#[test]
fn a_call_is_obeyed_once_recorded_first_and_at_most_24_times_a_day() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    t.nvm_mut().keep_log();
    let mut now = 10 * SECOND;
    for i in 0..24 {
        let call = server.call_now(1, 1, UTC + i);
        assert_eq!(t.handle(now, &call).unwrap(), Handled::Accepted);
        assert!(t.nvm().log().contains(&Write::Call(UTC + i)));
        let f = frame(&mut t, &server, now);
        assert!(
            matches!(t.handle(now, &call).unwrap(), Handled::Ignored(_)),
            "not twice"
        );
        let answer = server.answer(now, &f.frame, ACK | FINAL, 0, &[]);
        t.handle(now, &answer).unwrap();
        assert!(asleep(&mut t, now));
        now += SECOND;
    }
    let call = server.call_now(1, 1, UTC + 100);
    assert!(
        matches!(t.handle(now, &call).unwrap(), Handled::Ignored(_)),
        "25th"
    );
    assert!(asleep(&mut t, now));
    let mut bad = server.call_now(1, 1, UTC + 101);
    bad[20] ^= 1;
    let ignored = Handled::Ignored(Refusal::TagMismatch);
    assert_eq!(t.handle(now, &bad).unwrap(), ignored);
    let far = server.call_now(1, 1, UTC + 200_000);
    assert!(
        matches!(t.handle(now + DAY, &far).unwrap(), Handled::Ignored(_)),
        "far ahead"
    );
}

// spec: NON-6
#[test]
fn every_session_draws_another_terminal_nonce() {
    let (mut t, mut server) = (terminal(2), Server::of(2));
    let a = settle(&mut t, &mut server, 0);
    let b = settle(&mut t, &mut server, 1_000);
    assert_ne!(a.nt, b.nt);
    assert_ne!(a.nt, [0; 8]);
}

// spec: ID-5, NON-5
#[test]
fn a_change_of_utility_keeps_the_counter_and_begins_without_a_ticket() {
    use simulator::keys::{Pair, Purpose, Utility};
    let (mut t, mut server) = (terminal(1), Server::of(1));
    let last = settle(&mut t, &mut server, 0);
    let mut keys = t.keys().clone();
    assert!(
        t.change_utility(1, Utility(*b"utility2"), keys.clone())
            .is_err()
    );
    keys.link = Pair::of(base(Purpose::Link, 2, 16));
    keys.command = Pair::of(base(Purpose::Command, 2, 16));
    keys.key_encryption = Pair::of(base(Purpose::KeyEncryption, 2, 16));
    t.change_utility(1, Utility(*b"utility2"), keys).unwrap();
    server.owner.utility = Utility(*b"utility2");
    let f = frame(&mut t, &server, 1);
    assert_eq!((f.key_version, f.ticket), (2, [0; 8]));
    assert!(f.counter > last.counter && f.epoch != last.epoch);
}

// spec: ANS-22, SES-6
#[test]
fn an_answer_is_worked_off_in_its_one_order() {
    let (mut t, mut server) = (terminal(1), Server::of(1));
    t.nvm_mut().keep_log();
    let f = frame(&mut t, &server, 0);
    let before = t.nvm().log().len();
    let ns = server.ns(0);
    let close = server.command(ns, &f.frame, &Order::close(1));
    let items = [slot(3, 5), close].concat();
    let answer = server.answer_with(ns, &f.frame, ACK | NEW_EPOCH, 0, &items);
    t.handle(0, &answer).unwrap();
    let order: Vec<u8> = t.nvm().log()[before..]
        .iter()
        .filter_map(|w| match w {
            Write::Ticket(_) => Some(1),
            Write::Record(r) if r.record.number() == 0x0C => Some(2),
            Write::Forget(_) => Some(3),
            Write::Epoch { .. } => Some(4),
            Write::Slot(_) => Some(5),
            Write::Command(_) => Some(6),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 2, 3, 3, 4, 5, 6, 6]);
    let result = frame(&mut t, &server, 0);
    let last = server.answer(0, &result.frame, ACK, 0, &[]);
    t.handle(0, &last).unwrap();
    assert!(
        asleep(&mut t, 0),
        "nothing more to send and no MORE: the radio is released"
    );
}

// spec: SES-15, SES-3
#[test]
fn a_resync_with_a_waiting_alarm_goes_to_the_alarm_port_at_the_times_of_an_alarm() {
    use simulator::terminal::Action;
    let (mut t, mut server) = (terminal(1), Server::of(1));
    settle(&mut t, &mut server, 0);
    alarm(&mut t, 10);
    let (mut n, ..) = t.power_off();
    n.wipe(Wipe::CounterProof);
    let mut t = boot(n, 3, 0);
    let Action::Transmit {
        frame: resync,
        alarm,
    } = t.poll(0).unwrap()
    else {
        panic!()
    };
    assert!(alarm);
    assert_eq!(
        server.open(&resync).frame[1] & 0x10,
        0,
        "the ALARM bit of a RESYNC is 0"
    );
    let at = next(&mut t, 0);
    assert!((7_500..=12_500).contains(&at), "{at}");
    assert_eq!(frame(&mut t, &server, at).frame, resync);
}

// spec: REC-33, REC-31, FRM-19, ID-1, FRM-5
#[test]
fn every_frame_of_a_mixed_backlog_stays_within_its_limits() {
    for mode in 0..=3 {
        let (mut t, mut server) = (terminal(mode), Server::of(mode));
        settle(&mut t, &mut server, 0);
        t.set_clock(1, UTC).unwrap();
        let mut house = Household::new(9, Profile::Corrected);
        for day in 0..400 {
            t.push_day(house.day(10_000 + day)).unwrap();
        }
        t.wake(10);
        let mut seen = 0;
        while let Some(last) = {
            let batch = frames(&mut t, &server, 10);
            for f in &batch {
                assert!(f.frame.len() <= 1_200);
                assert_eq!(f.frame[1] & 0x07, 0, "ALIAS and reserved bits are 0");
                assert_eq!(f.frame[3..11], OWNER.identity.0);
                seen += f.records().len();
            }
            batch.last().cloned()
        } {
            let answer = server.answer(10, &last.frame, ACK, 0x7F, &[]);
            t.handle(10, &answer).unwrap();
        }
        assert!(seen >= 400 && t.store().is_empty(), "mode {mode}: {seen}");
    }
}
