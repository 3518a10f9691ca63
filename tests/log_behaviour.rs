//! What the log does for whoever uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/log.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use kenshin::model::{Lanes, Lsn};
use kenshin::store::fs::{Faults, RealFs, SimFs, Space};
use kenshin::store::log::{
    AppendError, CommitLog, Guard, LogOptions, PAYLOAD_MAX, PoisonReason, ReadError, Refused,
    SubmitRefusal,
};
use support::{
    Seen, Told, append, dir, files, open, open_with, options, read_all, segments, terminal,
};

fn told_frames(told: &Told) -> Vec<Seen> {
    told.durable.lock().iter().map(|(s, _)| s.clone()).collect()
}

/// A log with these many frames, which are read back.
fn filled(fs: &SimFs, told: &Told, frames: u64) -> CommitLog {
    let log = open(fs, told).unwrap();
    for number in 0..frames {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    log
}

#[test]
fn what_was_told_durable_is_read_back_in_order_over_segments_and_after_reopening() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = filled(&fs, &told, 300);
    let frames = told_frames(&told);
    assert_eq!(frames.len(), 300);
    assert_eq!(read_all(&log, Lsn::ZERO), frames);
    assert_eq!(read_all(&log, frames[120].lsn), frames[120..]);
    assert!(log.status().segments > 5);
    let end = log.close().unwrap();
    let log = open(&fs, &Told::default()).unwrap();
    assert_eq!((log.durable_end(), log.first()), (end, Lsn::ZERO));
    assert_eq!(read_all(&log, Lsn::ZERO), frames);
    assert_eq!(*log.subscribe().borrow(), end);
}

#[test]
fn every_place_between_two_frames_is_a_position() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = filled(&fs, &told, 100);
    let frames = told_frames(&told);
    for (at, frame) in frames.iter().enumerate() {
        assert_eq!(read_all(&log, frame.next), frames[at + 1..]);
    }
}

#[test]
fn a_guard_lets_one_of_two_rivals_through() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    let guarded = |number, expected| {
        let mut append = append(number, 10);
        append.guard = Some(Guard { slot: 9, expected });
        log.append_and_wait(append)
    };
    guarded(1, Some(0)).unwrap();
    let lost = guarded(2, Some(0)).unwrap_err();
    assert!(matches!(
        lost,
        AppendError::Refused(Refused::Guard { found: 1 })
    ));
    guarded(3, None).unwrap();
    guarded(4, Some(2)).unwrap();
    let mut rival = append(5, 10);
    rival.guard = Some(Guard {
        slot: 9,
        expected: Some(2),
    });
    let ticket = rival.ticket.unwrap();
    log.submit(rival).unwrap();
    log.close().unwrap();
    assert_eq!(
        *told.refused.lock(),
        [(ticket, Refused::Guard { found: 3 })]
    );
    assert_eq!(told.durable.lock().len(), 3);
}

#[test]
fn urgent_frames_go_before_what_waits() {
    let (fs, told) = (SimFs::new(), Told::default());
    let gate = Arc::new(parking_lot::Mutex::new(()));
    let held = gate.lock();
    let observer = Gated(told.clone(), Arc::clone(&gate));
    let log = CommitLog::open(Arc::new(fs), &dir(), options(), Box::new(observer)).unwrap();
    // The commit thread stands in the observer while the others queue.
    log.submit(append(100, 10)).unwrap();
    while log.durable_end().get() < 70 {
        std::thread::yield_now();
    }
    for number in 0..6 {
        let mut append = append(number, 10);
        append.urgent = number >= 4;
        log.submit(append).unwrap();
    }
    drop(held);
    log.close().unwrap();
    let order: Vec<u64> = told
        .durable
        .lock()
        .iter()
        .map(|(_, t)| t.unwrap().token)
        .collect();
    assert_eq!(order, [100, 4, 5, 0, 1, 2, 3]);
    assert_eq!(*told.batches.lock(), [1, 6]);
}

/// An observer that waits at a gate, which real ones may not.
struct Gated(Told, Arc<parking_lot::Mutex<()>>);

impl kenshin::store::log::CommitObserver for Gated {
    fn durable(&mut self, frames: &[kenshin::store::log::DurableFrame<'_>]) {
        drop(self.1.lock());
        self.0.durable(frames);
    }

    fn refused(&mut self, ticket: &kenshin::store::log::Ticket, why: Refused) {
        self.0.refused(ticket, why);
    }
}

#[test]
fn queues_are_bounded_each_by_itself() {
    let (fs, told) = (SimFs::new(), Told::default());
    let gate = Arc::new(parking_lot::Mutex::new(()));
    let held = gate.lock();
    let observer = Gated(told.clone(), Arc::clone(&gate));
    let small = LogOptions {
        queue_frames: 4,
        queue_bytes: 100,
        ..options()
    };
    let log = CommitLog::open(Arc::new(fs), &dir(), small, Box::new(observer)).unwrap();
    let refusal = |number, len, urgent| {
        let mut append = append(number, len);
        append.urgent = urgent;
        let wanted = append.clone();
        let error = log.submit(append).err()?;
        assert_eq!(error.append, wanted);
        Some(error.why)
    };
    for number in 0..4 {
        assert_eq!(refusal(number, 8, false), None);
    }
    assert_eq!(refusal(4, 8, false), Some(SubmitRefusal::QueueFull));
    assert_eq!(refusal(5, 90, true), None);
    assert_eq!(refusal(6, 11, true), Some(SubmitRefusal::QueueFull));
    assert_eq!(log.status().queue_frames, 5);
    drop(held);
    log.close().unwrap();
    assert_eq!(log.status().queue_frames, 0);
    assert_eq!(told.durable.lock().len(), 5);
    assert_eq!(refusal(7, 8, false), Some(SubmitRefusal::Closed));
}

#[test]
fn frames_that_cannot_be_are_given_back() {
    let log = open(&SimFs::new(), &Told::default()).unwrap();
    let mut long = append(1, 8);
    long.payload = vec![0; PAYLOAD_MAX + 1];
    assert_eq!(log.submit(long).unwrap_err().why, SubmitRefusal::TooLong);
    for kind in [0, 255] {
        let mut wrong = append(1, 8);
        wrong.kind = kind;
        assert_eq!(log.submit(wrong).unwrap_err().why, SubmitRefusal::Kind);
    }
    let mut guarded = append(1, 8);
    guarded.guard = Some(Guard {
        slot: u32::MAX,
        expected: None,
    });
    assert_eq!(log.submit(guarded).unwrap_err().why, SubmitRefusal::Slot);
    let mut longest = append(1, 8);
    longest.payload = vec![7; PAYLOAD_MAX];
    log.append_and_wait(longest).unwrap();
    assert_eq!(read_all(&log, Lsn::ZERO)[0].payload.len(), PAYLOAD_MAX);
}

#[test]
fn history_and_the_alarm_lane_are_what_a_full_scan_finds() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = filled(&fs, &told, 400);
    let check = |log: &CommitLog| {
        for number in 0..9 {
            let of_terminal = |frame: &&Seen| frame.terminal == Some(terminal(number));
            let frames = told_frames(&told);
            let mut wanted: Vec<_> = frames.iter().filter(of_terminal).collect();
            wanted.reverse();
            let found: Vec<_> = log.history(terminal(number)).map(Result::unwrap).collect();
            assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.iter().zip(wanted) {
                assert_eq!((found.lsn, found.next), (wanted.lsn, wanted.next));
                assert_eq!(found.payload, wanted.payload);
            }
        }
        for lanes in [Lanes::ALARM, Lanes::BULK, Lanes::ALARM.with(Lanes::BULK)] {
            let mut reader = log.reader(Lsn::ZERO).lane(lanes);
            let mut found = Vec::new();
            loop {
                let batch = reader.next_batch(500).unwrap();
                if batch.is_empty() {
                    break;
                }
                found.extend(batch.iter().map(|frame| frame.lsn));
            }
            assert_eq!(reader.position(), log.durable_end());
            let frames = told_frames(&told).into_iter();
            let wanted: Vec<_> = frames.filter(|f| f.lanes.meets(lanes)).collect();
            assert_eq!(found, wanted.iter().map(|f| f.lsn).collect::<Vec<_>>());
        }
    };
    check(&log);
    log.close().unwrap();
    check(&log);
    let indexes = files(&fs, ".kidx");
    assert!(indexes.len() > 5);
    // From disk.
    check(&open(&fs, &Told::default()).unwrap());
    // Damaged, missing, of another segment: made again.
    for (at, (path, content)) in indexes.iter().enumerate() {
        let mut damaged = content.clone();
        match at % 4 {
            0 => damaged[content.len() / 2] ^= 1,
            1 => damaged.truncate(content.len() / 2),
            2 => damaged.clone_from(&indexes[0].1),
            _ => damaged.clear(),
        }
        fs.put(path, damaged);
    }
    check(&open(&fs, &Told::default()).unwrap());
    assert_eq!(files(&fs, ".kidx"), indexes);
}

#[test]
fn retention_drops_whole_segments_below_what_is_needed_and_never_the_active_one() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = filled(&fs, &told, 300);
    let frames = told_frames(&told);
    let needed = frames[150].lsn;
    let behind = log.reader(Lsn::ZERO);
    let retained = log.retain_from(needed).unwrap();
    assert!(retained.segments > 0 && retained.first <= needed);
    assert_eq!(retained.octets, retained.first.get());
    assert_eq!(log.first(), retained.first);
    let kept: Vec<_> = frames.iter().filter(|f| f.lsn >= log.first()).collect();
    assert!(kept.len() >= 150 && kept.len() < 300);
    assert!(read_all(&log, log.first()).iter().eq(kept.iter().copied()));
    let mut behind = behind;
    assert!(matches!(
        behind.next_batch(1_000),
        Err(ReadError::Gone { .. })
    ));
    log.retain_from(Lsn::new(u64::MAX)).unwrap();
    assert_eq!(log.status().segments, 1);
    log.append_and_wait(append(1, 10)).unwrap();
    log.close().unwrap();
    assert!(files(&fs, ".kidx").len() <= 1);
    let log = open(&fs, &Told::default()).unwrap();
    let after = read_all(&log, log.first());
    assert_eq!(after.last().unwrap().payload, append(1, 10).payload);
    assert_eq!(log.history(terminal(2)).count(), {
        let of_terminal = |f: &&Seen| f.terminal == Some(terminal(2));
        after.iter().filter(of_terminal).count()
    });
}

#[test]
fn a_reader_beside_the_writer_sees_each_durable_frame_once() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = Arc::new(open(&fs, &told).unwrap());
    let following = Arc::clone(&log);
    let follower = std::thread::spawn(move || {
        let mut reader = following.reader(Lsn::ZERO);
        let mut seen = Vec::new();
        while seen.len() < 2_000 {
            let batch = reader.next_batch(4_096).unwrap();
            assert!(reader.position() <= following.durable_end());
            if batch.is_empty() && !reader.wait(Duration::from_secs(30)) {
                panic!("nothing came");
            }
            seen.extend(batch.iter().map(|frame| frame.lsn));
        }
        seen
    });
    for number in 0..2_000 {
        while log.submit(append(number, 40)).is_err() {
            std::thread::yield_now();
        }
    }
    let seen = follower.join().unwrap();
    // The observer may be told of the last batch a moment after readers see it; of what comes
    // later, it is told after.
    log.append_and_wait(append(0, 40)).unwrap();
    let told: Vec<_> = told_frames(&told).iter().map(|frame| frame.lsn).collect();
    assert_eq!(seen.len(), 2_000);
    assert!(told.starts_with(&seen), "they differ");
    let reader = log.reader(log.durable_end());
    assert!(!reader.wait(Duration::from_millis(1)));
}

#[test]
fn a_disk_below_its_floor_refuses_but_urgent_frames_until_there_is_room() {
    let (fs, told) = (SimFs::new(), Told::default());
    let floors = LogOptions {
        floor_bytes: 1_000_000,
        urgent_floor_bytes: 1_000,
        ..options()
    };
    let log = open_with(&fs, &told, floors).unwrap();
    let set_free = |free| {
        let space = Some(Space {
            free,
            total: 10_000_000,
        });
        fs.set_faults(Faults {
            space,
            ..Faults::default()
        });
    };
    let send = |urgent| {
        let mut append = append(1, 100);
        append.urgent = urgent;
        log.append_and_wait(append)
    };
    let is_full = |result| {
        matches!(
            result,
            Err::<Lsn, _>(AppendError::Refused(Refused::DiskFull))
        )
    };
    set_free(1_000_200);
    send(false).unwrap();
    set_free(1_000_100);
    assert!(is_full(send(false)));
    send(true).unwrap();
    set_free(1_100);
    assert!(is_full(send(true)));
    assert_eq!(log.status().poison, None);
    set_free(9_000_000);
    send(false).unwrap();
    assert_eq!(read_all(&log, Lsn::ZERO).len(), 3);
}

#[test]
fn a_failed_write_or_sync_ends_the_taking_of_frames_and_says_why() {
    let cases = [
        (
            Faults {
                capacity: Some(1_000),
                space: Some(Space {
                    free: u64::MAX,
                    total: u64::MAX,
                }),
                ..Faults::default()
            },
            PoisonReason::Full,
        ),
        (
            Faults {
                short_write: Some((5, 30)),
                ..Faults::default()
            },
            PoisonReason::Write,
        ),
        (
            Faults {
                fail_sync: Some(5),
                ..Faults::default()
            },
            PoisonReason::Sync,
        ),
    ];
    for (faults, reason) in cases {
        let (fs, told) = (SimFs::new(), Told::default());
        let log = open(&fs, &told).unwrap();
        fs.set_faults(faults);
        let mut settled = 0;
        let error = loop {
            match log.append_and_wait(append(settled, 100)) {
                Ok(_) => settled += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, AppendError::Refused(Refused::ReadOnly(r)) if r == reason));
        let later = log.submit(append(1, 10)).unwrap_err();
        assert_eq!(later.why, SubmitRefusal::ReadOnly(reason));
        assert_eq!(log.status().poison.unwrap().reason, reason);
        // What is durable can still be read.
        assert_eq!(read_all(&log, Lsn::ZERO), told_frames(&told));
        assert_eq!(log.close().unwrap_err().reason, reason);
        // The disk is mended: what was told durable is there, and survives the next power cut.
        fs.set_faults(Faults::default());
        let log = open(&fs, &Told::default()).unwrap();
        let found = read_all(&log, Lsn::ZERO);
        assert_eq!(found[..told_frames(&told).len()], told_frames(&told));
        let fs = fs.crash(1);
        let log = open(&fs, &Told::default()).unwrap();
        assert_eq!(read_all(&log, Lsn::ZERO), found, "{reason}");
    }
}

#[test]
fn a_want_of_file_descriptors_ends_nothing_and_loses_nothing() {
    for first in 1..=12 {
        let (fs, told) = (SimFs::new(), Told::default());
        let log = open(&fs, &told).unwrap();
        fs.set_faults(Faults {
            no_descriptors: Some((fs.counts().opens + first, 5)),
            ..Faults::default()
        });
        for number in 0..300 {
            log.append_and_wait(append(number, 60)).unwrap();
        }
        log.close().unwrap();
        fs.set_faults(Faults::default());
        let log = open(&fs.crash(first), &Told::default()).unwrap();
        assert_eq!(read_all(&log, Lsn::ZERO), told_frames(&told));
        assert!(log.status().segments > 3);
    }
}

#[test]
fn a_segment_goes_on_while_the_next_cannot_be_made() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    fs.set_faults(Faults {
        no_descriptors: Some((1, u64::MAX / 2)),
        ..Faults::default()
    });
    for number in 0..300 {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    assert_eq!(log.status().segments, 1);
    fs.set_faults(Faults::default());
    log.append_and_wait(append(300, 60)).unwrap();
    log.append_and_wait(append(301, 60)).unwrap();
    assert_eq!(log.status().segments, 2);
    assert_eq!(read_all(&log, Lsn::ZERO), told_frames(&told));
}

#[test]
fn files_are_for_their_owner_only() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("log");
    let told = Told::default();
    let log = CommitLog::open(Arc::new(RealFs), &dir, options(), Box::new(told.clone())).unwrap();
    for number in 0..200 {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    assert_eq!(read_all(&log, Lsn::ZERO), told_frames(&told));
    log.close().unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        seen += 1;
    }
    assert!(seen > 6);
    let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let again = CommitLog::open(Arc::new(RealFs), &dir, options(), Box::new(Told::default()));
    assert_eq!(read_all(&again.unwrap(), Lsn::ZERO), told_frames(&told));
}

#[test]
fn a_batch_holds_what_came_while_the_last_one_was_synced() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open_with(&fs, &told, LogOptions::default()).unwrap();
    for number in 0..50_000 {
        while log.submit(append(number, 100)).is_err() {
            std::thread::yield_now();
        }
    }
    log.close().unwrap();
    let batches = told.batches.lock().clone();
    assert_eq!(batches.iter().sum::<usize>(), 50_000);
    assert!(batches.iter().all(|frames| *frames <= 4_096));
    assert_eq!(segments(&fs).len(), 1);
}
