//! Known errors of the log's files, and power cuts at any moment.

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

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use kenshin::model::Lsn;
use kenshin::store::fs::{Faults, SimFs};
use kenshin::store::log::{LogOptions, OpenError, ReadError, survey};
use proptest::prelude::*;
use support::{Seen, Told, append, dir, disk, open, open_with, read_all, segments};

type Files = Vec<(PathBuf, Vec<u8>)>;

fn frames(told: &Told) -> Vec<Seen> {
    told.durable.lock().iter().map(|(s, _)| s.clone()).collect()
}

/// The files of a log of so many frames, each of a batch of its own, and the frames.
fn written(count: u64) -> (Files, Vec<Seen>) {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    for number in 0..count {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    log.close().unwrap();
    (segments(&fs), frames(&told))
}

fn on_disk(files: &Files) -> SimFs {
    disk(
        files
            .iter()
            .map(|(path, octets)| (path.as_path(), octets.clone())),
    )
}

#[test]
fn a_torn_end_is_cut_at_every_length() {
    let (files, frames) = written(4);
    let last = frames[3].lsn.get();
    for len in last..frames[3].next.get() {
        let mut torn = files.clone();
        torn[0].1.truncate(usize::try_from(len).unwrap());
        let fs = on_disk(&torn);
        let log = open(&fs, &Told::default()).unwrap();
        assert_eq!(read_all(&log, Lsn::ZERO), frames[..3]);
        assert_eq!(log.durable_end().get(), last);
    }
}

#[test]
fn a_flipped_bit_is_told_or_stands_in_the_last_batch() {
    let (files, frames) = written(6);
    let last = usize::try_from(frames[5].lsn.get()).unwrap();
    for at in 0..files[0].1.len() {
        let mut flipped = files.clone();
        flipped[0].1[at] ^= 1 << (at % 8);
        let opened = open(&on_disk(&flipped), &Told::default());
        match opened {
            Ok(log) => {
                assert!(at >= last, "octet {at} was not missed");
                assert_eq!(read_all(&log, Lsn::ZERO), frames[..5]);
            }
            Err(OpenError::Damage { from, to, .. }) => {
                let at = u64::try_from(at).unwrap();
                assert!(at < frames[5].lsn.get());
                assert!((from.get()..to.get()).contains(&at), "{at}: {from} to {to}");
            }
            Err(other) => panic!("octet {at}: {other}"),
        }
    }
}

#[test]
fn a_file_that_is_cut_while_the_log_is_open_is_told_to_its_readers() {
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    for number in 0..4 {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    let (path, mut content) = segments(&fs).swap_remove(0);
    let last = frames(&told)[3].lsn;
    content.truncate(usize::try_from(last.get()).unwrap());
    fs.put(&path, content);
    let mut reader = log.reader(Lsn::ZERO);
    assert_eq!(reader.next_batch(10_000).unwrap().len(), 3);
    assert!(matches!(
        reader.next_batch(10_000),
        Err(ReadError::Damage { from, .. }) if from == last
    ));
}

#[test]
fn what_somebody_knows_to_have_been_durable_is_neither_cut_nor_missed() {
    let (files, frames) = written(4);
    let last = frames[3].lsn;
    let options = |known| LogOptions {
        known_durable: known,
        ..support::options()
    };
    let after = Lsn::new(last.get() + 1);
    let mut flipped = files.clone();
    *flipped[0].1.last_mut().unwrap() ^= 1;
    let fs = on_disk(&flipped);
    let refused = open_with(&fs, &Told::default(), options(after));
    assert!(
        matches!(refused, Err(OpenError::Damage { from, .. }) if from == last),
        "{refused:?}"
    );
    assert_eq!(segments(&fs), flipped, "nothing was cut");
    // A file that ends between two batches.
    let mut cut = files.clone();
    cut[0].1.truncate(usize::try_from(last.get()).unwrap());
    let refused = open_with(&on_disk(&cut), &Told::default(), options(after));
    assert!(
        matches!(refused, Err(OpenError::Missing { from, .. }) if from == last),
        "{refused:?}"
    );
    // With nobody who knows, it may have been torn, and what is cut is told.
    let log = open_with(&on_disk(&flipped), &Told::default(), options(last)).unwrap();
    let torn = log.torn_end().unwrap();
    assert_eq!((torn.from, torn.to), (last, frames[3].next));
    let log = open(&on_disk(&files), &Told::default()).unwrap();
    assert_eq!(log.torn_end(), None);
}

#[test]
fn a_missing_segment_is_told_with_its_range() {
    let (files, _) = written(300);
    assert!(files.len() > 4);
    let base = |at: usize| {
        files[at]
            .0
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let mut missing = files.clone();
    missing.remove(2);
    match open(&on_disk(&missing), &Told::default()) {
        Err(OpenError::Missing { from, to }) => {
            assert_eq!((from, to), (Lsn::new(base(2)), Lsn::new(base(3))));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn exchanged_segments_are_told() {
    let (mut files, _) = written(300);
    let second = files[1].1.clone();
    files[1].1 = std::mem::replace(&mut files[2].1, second);
    let path = files[1].0.clone();
    match open(&on_disk(&files), &Told::default()) {
        Err(OpenError::Damage { path: named, .. }) => assert_eq!(named, path),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_of_another_log_is_told() {
    let (mut files, _) = written(300);
    let (fs, told) = (SimFs::new(), Told::default());
    let log = open(&fs, &told).unwrap();
    for number in 1_000..1_300 {
        log.append_and_wait(append(number, 60)).unwrap();
    }
    log.close().unwrap();
    files[1] = segments(&fs).remove(1);
    let fs = on_disk(&files);
    match open(&fs, &Told::default()) {
        Err(OpenError::Damage { .. }) => {}
        other => panic!("{other:?}"),
    }
    let survey = survey(&fs, &dir(), Lsn::ZERO, &mut |_| ControlFlow::Continue(())).unwrap();
    // It does not continue the one before it, nor does the one after it continue it.
    assert_eq!(survey.damage.len(), 2, "{:?}", survey.damage);
}

#[test]
fn each_chain_gives_a_link_of_its_own_to_segments_of_one_form() {
    let links: BTreeSet<Vec<u8>> = (0..64)
        .map(|log| {
            let (fs, told) = (SimFs::new(), Told::default());
            let open = open(&fs, &told).unwrap();
            // The same lengths and numbers of frames in each log.
            for number in 0..60 {
                open.append_and_wait(append(log * 1_000 + number, 60))
                    .unwrap();
            }
            open.close().unwrap();
            segments(&fs)[1].1[32..36].to_vec()
        })
        .collect();
    assert_eq!(links.len(), 64, "a link that does not tell logs apart");
}

#[test]
fn a_newer_version_of_a_segment_or_a_frame_is_refused_by_name() {
    let (files, frames) = written(2);
    let mut segment = files.clone();
    segment[0].1[8] = 2;
    let crc = crc32c::crc32c(&segment[0].1[..60]);
    segment[0].1[60..64].copy_from_slice(&crc.to_le_bytes());
    let mut frame = files;
    let at = usize::try_from(frames[1].lsn.get()).unwrap();
    frame[0].1[at + 8] = 2;
    let crc = crc32c::crc32c(&frames[1].lsn.get().to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &frame[0].1[at + 4..]);
    frame[0].1[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    for files in [segment, frame] {
        let error = open(&on_disk(&files), &Told::default()).unwrap_err();
        assert!(matches!(&error, OpenError::Newer { path, version: 2 } if *path == files[0].0));
        assert!(error.to_string().contains("00000000000000000000.klog"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_was_told_durable_survives_a_power_cut_and_nothing_else_appears(
        lives in proptest::collection::vec(
            (1_u64..80, 10_u64..200, any::<u64>(), 8_usize..700),
            1..5,
        ),
    ) {
        let mut fs = SimFs::new();
        let mut known: Vec<Seen> = Vec::new();
        let mut next = 0;
        for (count, cut, seed, len) in lives {
            fs.set_faults(Faults { power_cut: Some(cut), ..Faults::default() });
            let told = Told::default();
            let submitted_before = next;
            if let Ok(log) = open(&fs, &told) {
                for _ in 0..count {
                    if log.submit(append(next, len)).is_err() {
                        break;
                    }
                    next += 1;
                }
                // The power may be gone.
                log.close().ok();
            }
            known.extend(frames(&told));
            fs = fs.crash(seed);
            let log = open(&fs, &Told::default()).unwrap();
            let found = read_all(&log, Lsn::ZERO);
            log.close().unwrap();
            prop_assert!(found.len() >= known.len());
            prop_assert_eq!(&found[..known.len()], &known[..]);
            // Beyond that only what was submitted and not told, in order, each once.
            let mut least = submitted_before;
            for frame in &found[known.len()..] {
                let number = u64::from_le_bytes(*frame.payload.first_chunk().unwrap());
                prop_assert!((least..next).contains(&number));
                prop_assert_eq!(&frame.payload, &append(number, len).payload);
                least = number + 1;
            }
            known = found;
        }
    }
}
