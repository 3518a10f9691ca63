//! The log's format stays what its golden files and `protocol-spec/log-format.md` say.
//!
//! With `WRITE_GOLDEN` set, the files are written: for a new version of the format only.

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

use std::num::NonZeroU32;
use std::path::PathBuf;

use kenshin::keyring::UtilityId;
use kenshin::model::step::Observation;
use kenshin::model::{
    Event, Lanes, Lsn, RecordFlags, SessionStep, StepEntry, StepFlags, TerminalId,
};
use kenshin::store::fs::SimFs;
use kenshin::store::log::{Append, LogOptions};
use support::{Told, dir, disk, files, open_with, options, read_all};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("protocol-spec/vectors/store/log-v1")
}

fn one_terminal() -> TerminalId {
    "00070000499602d2".parse().unwrap()
}

fn step() -> SessionStep<'static> {
    SessionStep {
        utility: UtilityId::new(*b"gasworks"),
        mode: 2,
        kept: 0,
        flags: StepFlags::TAKES_REPORT.with(StepFlags::OVER_TCP),
        received_utc_s: 1_793_404_800,
        counter: 77,
        digest: [1, 2, 3, 4],
        promoted_version: Some(2),
        promoted_mode: None,
        decoder: 1,
        epoch: NonZeroU32::new(0x8F3A_21BC),
        entries: vec![StepEntry {
            sequence: 9,
            number: 5,
            flags: RecordFlags::METER_UNBOUND.with(RecordFlags::TIME_JUMPS),
        }],
        command: &[],
        observations: vec![Observation {
            meter: 0x10,
            unit: 3,
            bound: true,
            at_utc_s: 1_793_404_000,
            register: 123_456,
        }],
        header: &[0xA1; 22],
        plaintext: &[0x55; 90],
    }
}

fn events() -> Vec<Event> {
    let terminal = one_terminal();
    vec![
        Event::Promoted {
            terminal,
            version: Some(2),
            mode: None,
        },
        Event::SinkAdvanced {
            sink: "files".to_owned(),
            alarm: Lsn::new(300),
            bulk: Lsn::new(200),
        },
    ]
}

fn frame(kind: u8, lanes: Lanes, terminal: Option<TerminalId>, payload: Vec<u8>) -> Append {
    Append {
        kind,
        lanes,
        urgent: false,
        terminal,
        payload,
        guard: None,
        ticket: None,
    }
}

/// A sealed segment with its index, and the one after it.
fn write() -> Vec<(String, Vec<u8>)> {
    let fs = SimFs::new();
    let small = LogOptions {
        segment_bytes: 4_096,
        ..options()
    };
    let log = open_with(&fs, &Told::default(), small).unwrap();
    let octets = step().encode().unwrap();
    log.append_and_wait(frame(1, Lanes::ALARM, Some(one_terminal()), octets))
        .unwrap();
    for event in events() {
        let octets = event.encode().unwrap();
        log.append_and_wait(frame(2, Lanes::NONE, event.terminal(), octets))
            .unwrap();
    }
    // Fills the segment, so that it is sealed.
    let filler = frame(200, Lanes::BULK, None, vec![0xEE; 4_096]);
    log.append_and_wait(filler).unwrap();
    log.append_and_wait(frame(200, Lanes::BULK, None, b"next".to_vec()))
        .unwrap();
    log.close().unwrap();
    let all = files(&fs, ".klog").into_iter().chain(files(&fs, ".kidx"));
    all.map(|(path, octets)| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.to_owned(), octets)
    })
    .collect()
}

fn stored() -> Vec<(String, Vec<u8>)> {
    let written = write();
    let read = |name: &String| std::fs::read(golden().join(name)).unwrap();
    let names = written.iter().map(|(name, _)| name);
    names.map(|name| (name.clone(), read(name))).collect()
}

#[test]
fn todays_writer_makes_the_octets_of_the_golden_files() {
    let written = write();
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden()).unwrap();
        for (name, octets) in &written {
            std::fs::write(golden().join(name), octets).unwrap();
        }
    }
    assert_eq!(written.len(), 3);
    assert!(written == stored(), "the format changed: give it a version");
}

#[test]
fn todays_reader_reads_the_golden_files() {
    let paths: Vec<_> = stored()
        .into_iter()
        .map(|(name, octets)| (dir().join(name), octets))
        .collect();
    let fs = disk(
        paths
            .iter()
            .map(|(path, octets)| (path.as_path(), octets.clone())),
    );
    let log = open_with(&fs, &Told::default(), options()).unwrap();
    let frames = read_all(&log, Lsn::ZERO);
    assert_eq!(frames.len(), 5);
    assert_eq!(
        (frames[0].lanes, frames[0].terminal),
        (Lanes::ALARM, Some(one_terminal()))
    );
    assert_eq!(SessionStep::decode(&frames[0].payload).unwrap(), step());
    for (frame, event) in frames[1..3].iter().zip(events()) {
        assert_eq!(Event::decode(&frame.payload).unwrap(), event);
    }
    assert_eq!(frames[4].payload, b"next");
    assert_eq!(log.history(one_terminal()).count(), 2);
}
