//! What the log takes as its disk fills up, and how it goes on after it was full.

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

use kenshin::model::Lsn;
use kenshin::store::fs::{Faults, SimFs, Space};
use kenshin::store::log::{
    Append, AppendError, CommitLog, LogOptions, PoisonReason, Refused, Takes,
};
use support::{Seen, Told, append, open, open_with, options, read_all};

const MIB: u64 = 1 << 20;

fn urgent(number: u64, len: usize) -> Append {
    Append {
        urgent: true,
        ..append(number, len)
    }
}

fn is_full(result: Result<Lsn, AppendError>) -> bool {
    matches!(result, Err(AppendError::Refused(Refused::DiskFull)))
}

fn frames(told: &Told) -> Vec<Seen> {
    told.durable.lock().iter().map(|(s, _)| s.clone()).collect()
}

fn with_reserve(fs: &SimFs) -> CommitLog {
    let reserve = LogOptions {
        floor_bytes: 8 * MIB,
        urgent_floor_bytes: 2 * MIB,
        ..options()
    };
    open_with(fs, &Told::default(), reserve).unwrap()
}

#[test]
fn each_kind_of_frame_leaves_its_part_of_the_reserve_and_the_status_says_so() {
    let fs = SimFs::new();
    let log = with_reserve(&fs);
    let set_free = |free| {
        fs.set_faults(Faults {
            space: Some(Space {
                free,
                total: 1 << 40,
            }),
            ..Faults::default()
        });
    };
    // Free octets, what is taken, and whether frames are: everyday, urgent, for making room.
    let cases = [
        (9 * MIB, Takes::All, [true, true, true]),
        (8 * MIB - 1, Takes::Urgent, [false, true, true]),
        (2 * MIB - 1, Takes::Nothing, [false, false, true]),
        (MIB / 2, Takes::Nothing, [false, false, false]),
    ];
    for (free, takes, taken) in cases {
        set_free(free);
        assert_eq!(log.takes(), takes, "{free}");
        let results = [
            log.append_and_wait(append(1, 100)),
            log.append_and_wait(urgent(2, 100)),
            log.append_upkeep_and_wait(append(3, 100)),
        ];
        for (result, taken) in results.into_iter().zip(taken) {
            assert_eq!(result.is_ok(), taken, "{free}");
            assert!(taken || is_full(result));
        }
    }
    assert_eq!(log.status().poison, None, "want of room is no damage");
    set_free(9 * MIB);
    log.append_and_wait(append(4, 100)).unwrap();
}

#[test]
fn a_quota_counts_the_logs_own_octets_and_room_comes_back_when_segments_are_dropped() {
    let (fs, told) = (SimFs::new(), Told::default());
    let quota = LogOptions {
        quota_bytes: Some(64 << 10),
        floor_bytes: 16 << 10,
        urgent_floor_bytes: 8 << 10,
        ..options()
    };
    let log = open_with(&fs, &told, quota).unwrap();
    let mut number = 0;
    while !is_full(log.append_and_wait(append(number, 500))) {
        number += 1;
        assert!(number < 200, "the quota does not count");
    }
    let used = log.durable_end().get();
    assert!((46 << 10..=48 << 10).contains(&used), "{used}");
    assert_eq!(log.takes(), Takes::Urgent);
    while !is_full(log.append_and_wait(urgent(number, 500))) {
        number += 1;
        assert!(number < 400, "the reserve has no end");
    }
    assert_eq!(log.takes(), Takes::Nothing);
    log.append_upkeep_and_wait(append(number, 100)).unwrap();
    log.retain_from(Lsn::new(32 << 10)).unwrap();
    assert_eq!(log.takes(), Takes::All);
    log.append_and_wait(append(number, 500)).unwrap();
}

#[test]
fn a_log_that_a_full_disk_stopped_says_when_a_start_would_find_room_and_keeps_what_it_told() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    // The disk says that it has room and refuses a write in the middle, as with a quota for a user.
    let lie = Faults {
        space: Some(Space {
            free: 1 << 40,
            total: 1 << 41,
        }),
        ..Faults::default()
    };
    fs.set_faults(Faults {
        capacity: Some(3_000),
        ..lie
    });
    let mut number = 0;
    while log.append_and_wait(append(number, 200)).is_ok() {
        number += 1;
    }
    let reason = log.status().poison.map(|poison| poison.reason);
    assert_eq!(reason, Some(PoisonReason::Full));
    assert!(!log.has_room_again());
    fs.set_faults(lie);
    assert!(log.has_room_again(), "there is room");
    // In this process it stays stopped: nobody knows what the disk has of the failed write.
    assert!(log.append_and_wait(append(number, 200)).is_err());
    log.close().unwrap_err();
    let log = open(&fs, &Told::default()).unwrap();
    assert_eq!(read_all(&log, Lsn::ZERO), frames(&told));
    log.append_and_wait(append(number, 200)).unwrap();
}

#[test]
fn a_sync_of_the_directory_that_fails_stops_the_log_and_loses_nothing() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    fs.set_faults(Faults {
        // That of the second segment's name.
        fail_sync_dir: Some(fs.counts().dir_syncs + 1),
        ..Faults::default()
    });
    let mut number = 0;
    while log.append_and_wait(append(number, 200)).is_ok() {
        number += 1;
        assert!(number < 100, "the sync did not fail");
    }
    let reason = log.status().poison.map(|poison| poison.reason);
    assert_eq!(reason, Some(PoisonReason::Sync));
    log.close().unwrap_err();
    for seed in 0..32 {
        // A cut of the power that keeps the new name or does not.
        let after = fs.crash(seed);
        let log = open(&after, &Told::default()).unwrap();
        assert_eq!(read_all(&log, Lsn::ZERO), frames(&told), "seed {seed}");
        log.append_and_wait(append(number, 200)).unwrap();
    }
}
