//! What is folded behind the log of a running server, and what the log may forget.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kenshin::app::boot::{Booted, boot};
use kenshin::app::folder::{Folder, Folding};
use kenshin::app::retention::{Retention, RetentionOptions};
use kenshin::keyring::{LinkKeyring, UtilityId};
use kenshin::model::event::{TerminalEntry, UtilityEntry};
use kenshin::model::step::{DECODER_VERSION, StepEntry};
use kenshin::model::{
    Event, Lane, Lanes, Lsn, RecordFlags, SessionStep, StepFlags, TerminalId, Zone,
};
use kenshin::store::fs::{Fs, RealFs, SimFs};
use kenshin::store::log::{Append, LogOptions};
use kenshin::store::records::{RecordQuery, records_over_time};
use kenshin::store::state::snapshot;
use kenshin::store::state::sqlite::{AuditFilter, FILE, FoldedReader};
use kenshin::time::{Clock, SystemClock, TestClock, UtcSeconds};
use kenshin::wire::otl::ident::Mode;
use kenshin::wire::otl::limits::FRAME_MAX;
use kenshin::wire::otl::meter::{Meter, Register, RegisterValue, Unit};
use kenshin::wire::otl::record::{ReadingCause, Record, RecordBody, RegisterReading};
use kenshin::wire::otl::report::{Report, Slots};
use kenshin::wire::otl::stamp::{Stamp, Uncertainty};
use kenshin::wire::otl::uplink::{SessionItems, UplinkBody};
use kenshin::wire::writer::Writer;
use proptest::prelude::*;

const NOON: u32 = 1_793_404_800;
const DAY_S: u32 = 86_400;
const SEGMENT: u64 = 16 << 10;

fn terminal(number: u64) -> TerminalId {
    TerminalId::new(number.to_be_bytes())
}

fn start(fs: Arc<dyn Fs>, data: &Path) -> Booted {
    let options = LogOptions {
        segment_bytes: SEGMENT,
        floor_bytes: 0,
        urgent_floor_bytes: 0,
        ..LogOptions::default()
    };
    boot(fs, data, options, 1, LinkKeyring::default()).unwrap()
}

fn folder_of(booted: &Booted, clock: &Arc<dyn Clock>) -> Folder {
    let reader = FoldedReader::new(&booted.data_dir.join("state"));
    Folder::start(booted, clock, Zone::JAPAN, reader, 0).unwrap()
}

fn register(booted: &Booted, count: u64) {
    let id = UtilityId::new(*b"gasworks").to_string();
    let utility = Event::UtilityPut(UtilityEntry {
        id: id.clone(),
        name: "Gas".to_owned(),
        allow_mode0: false,
    });
    booted.append(&utility).unwrap();
    let terminals = (1..=count).map(|number| TerminalEntry {
        id: terminal(number),
        mode: 1,
        customer: Some(format!("C-{number}")),
    });
    let put = Event::TerminalsPut {
        utility: id,
        terminals: terminals.collect(),
    };
    booted.append(&put).unwrap();
}

/// A reading of a terminal at an instant, in a step that was received then.
fn read_at(booted: &Booted, of: u64, counter: u32, at: u32) -> Lsn {
    let stamp = Stamp::Set {
        uncertainty: Uncertainty::from_seconds(2),
        utc_s: at,
    };
    let reading = RegisterReading {
        stamp,
        meter: Meter::new(0, 0).unwrap(),
        cause: ReadingCause::Scheduled,
        value: RegisterValue {
            unit: Unit::from_code(0x13).unwrap(),
            register: Register::new(u64::from(counter)).unwrap(),
        },
    };
    let body = UplinkBody {
        report: Report {
            stamp,
            epoch: NonZeroU32::MIN,
            slots: Slots::new(0, 0).unwrap(),
            command: None,
        },
        records: vec![Record {
            sequence: NonZeroU32::new(counter).unwrap(),
            body: RecordBody::RegisterReading(reading),
        }],
        session_items: SessionItems::default(),
        // As long as an everyday frame.
        padding: 60,
    };
    let mut plaintext = Vec::new();
    let mut writer = Writer::new(&mut plaintext, FRAME_MAX);
    body.encode(Mode::CcmStatic, &mut writer).unwrap();
    let step = SessionStep {
        utility: UtilityId::new(*b"gasworks"),
        mode: 1,
        kept: 0,
        flags: StepFlags::TAKES_REPORT,
        received_utc_s: at,
        counter,
        digest: [0; 4],
        promoted_version: None,
        promoted_mode: None,
        decoder: DECODER_VERSION,
        epoch: Some(NonZeroU32::MIN),
        entries: vec![StepEntry {
            sequence: counter,
            number: 2,
            flags: RecordFlags::default(),
        }],
        command: &[],
        observations: Vec::new(),
        header: &[0; 22],
        plaintext: &plaintext,
    };
    let append = Append {
        kind: 1,
        lanes: Lanes::BULK,
        urgent: false,
        terminal: Some(terminal(of)),
        payload: step.encode().unwrap(),
        guard: None,
        ticket: None,
    };
    booted.log.append_and_wait(append).unwrap()
}

/// Waits until something holds; 60 s at most.
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 60 s: {what}");
}

fn snapshot_of(booted: &Booted, kept: usize) -> Lsn {
    let position = booted.state.folded();
    let dir = booted.data_dir.join("state");
    snapshot::write(&booted.state, position, &dir, &*booted.fs, kept).unwrap();
    position
}

/// All that can be asked.
fn shown(reader: &FoldedReader, terminals: u64) -> Vec<String> {
    let of = |number| {
        let id = terminal(number);
        format!("{:?}", reader.meters(id).unwrap())
    };
    let mut all: Vec<String> = (1..=terminals).map(of).collect();
    all.push(format!(
        "{:?}",
        reader.audit(&AuditFilter::default(), None, 1_000).unwrap()
    ));
    all
}

#[test]
fn after_retention_and_the_loss_of_its_file_folded_state_is_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let booted = start(Arc::clone(&fs), dir.path());
    let folder = folder_of(&booted, &clock);
    register(&booted, 7);
    for counter in 1..800 {
        read_at(&booted, 1 + u64::from(counter) % 7, counter, NOON + counter);
    }
    let end = booted.log.durable_end();
    until("all is folded", || folder.folding().position() >= end);
    snapshot_of(&booted, 1);

    // Only a copy is missing: the log forgets nothing without it.
    let options = RetentionOptions {
        octets: Some(2 * SEGMENT),
        days: None,
    };
    let folding = Some(Arc::clone(folder.folding()));
    let mut retention = Retention::new(options, &booted, folding, Arc::clone(&clock));
    retention.forget().unwrap();
    assert_eq!(booted.log.first(), Lsn::ZERO);
    until("a copy is made", || {
        folder.folding().wanted_copy().is_none()
    });
    retention.forget().unwrap();
    let first = booted.log.first();
    assert!(first > Lsn::ZERO, "{:?}", booted.log.status());

    for counter in 800..900 {
        read_at(&booted, 1 + u64::from(counter) % 7, counter, NOON + counter);
    }
    assert!(folder.stop(Duration::from_secs(60)));
    booted.log.close().unwrap();
    drop(booted);
    let reader = FoldedReader::new(&dir.path().join("state"));
    let before = shown(&reader, 7);
    assert!(before[0].contains("register"), "{before:?}");

    std::fs::remove_file(dir.path().join("state").join(FILE)).unwrap();
    let booted = start(fs, dir.path());
    assert_eq!(booted.log.first(), first);
    let folder = folder_of(&booted, &clock);
    let end = booted.log.durable_end();
    until("all is folded again", || folder.folding().position() >= end);
    assert!(folder.stop(Duration::from_secs(60)));
    assert_eq!(shown(&reader, 7), before);
}

#[test]
fn a_file_that_is_lost_or_damaged_while_the_server_runs_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let booted = start(Arc::new(RealFs), dir.path());
    let folder = folder_of(&booted, &clock);
    let path = dir.path().join("state").join(FILE);
    register(&booted, 3);
    for counter in 1..4_u32 {
        read_at(&booted, u64::from(counter), counter, NOON);
        let end = booted.log.durable_end();
        until("all is folded", || folder.folding().position() >= end);
        std::fs::remove_file(&path).unwrap();
        // The next frames meet the loss; terminals are answered all the while.
        read_at(&booted, u64::from(counter), counter + 100, NOON + 1);
        let reader = folder.folding().reader();
        let end = booted.log.durable_end();
        until("it is built again", || {
            let seen = reader.meters(terminal(u64::from(counter)));
            seen.is_ok_and(|seen| seen.position >= end && !seen.value.is_empty())
        });
    }
    assert!(folder.stop(Duration::from_secs(60)));
}

#[test]
fn a_damaged_row_that_a_question_meets_is_mended_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let booted = start(Arc::new(RealFs), dir.path());
    let folder = folder_of(&booted, &clock);
    register(&booted, 3);
    read_at(&booted, 2, 7, NOON);
    let end = booted.log.durable_end();
    until("all is folded", || folder.folding().position() >= end);
    let wanted = shown(folder.folding().reader(), 3);
    {
        // Another row than its check says.
        let path = dir.path().join("state").join(FILE);
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let changed = connection.execute("UPDATE meter SET register = 8", ());
        assert_eq!(changed.unwrap(), 1);
    }
    let reader = folder.folding().reader();
    let error = reader.meters(terminal(2)).unwrap_err();
    assert!(error.is_of_the_file(), "{error}");
    until("it is mended", || {
        let seen = reader.meters(terminal(2));
        seen.is_ok_and(|seen| seen.position >= end)
    });
    assert_eq!(shown(reader, 3), wanted);
    assert!(folder.stop(Duration::from_secs(60)));
}

#[test]
fn a_stop_waits_for_folding_no_longer_than_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let booted = start(Arc::new(RealFs), dir.path());
    let folder = folder_of(&booted, &clock);
    let reader = folder.folding().reader().clone();
    until("the file is there", || {
        reader.audit(&AuditFilter::default(), None, 1).is_ok()
    });
    // Whoever has the file keeps the thread from writing to it for seconds.
    let path = dir.path().join("state").join(FILE);
    let other = rusqlite::Connection::open(path).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    register(&booted, 1);
    let end = booted.log.durable_end();
    std::thread::sleep(Duration::from_millis(100));
    assert!(folder.folding().position() < end);
    assert!(!folder.stop(Duration::ZERO), "it ended while it cannot");
    booted.log.close().unwrap();
    other.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn readings_of_a_terminal_are_found_across_sealed_segments_newest_first_and_by_page() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new());
    let booted = start(fs, Path::new("data"));
    register(&booted, 3);
    for counter in 1..=600 {
        let of = 1 + u64::from(counter) % 3;
        read_at(&booted, of, counter, NOON + counter * 60);
    }
    assert!(
        booted.log.status().segments > 4,
        "{:?}",
        booted.log.status()
    );
    let mut query = RecordQuery {
        terminal: terminal(1),
        lane: Lane::Bulk,
        from_utc_s: NOON + 120 * 60,
        to_utc_s: NOON + 480 * 60,
        before: None,
        limit: 50,
    };
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let page = records_over_time(&booted.log, &booted.state, &query, Zone::JAPAN, |record| {
            found.push(record.sequence);
        });
        pages += 1;
        match page.unwrap().next {
            Some(next) => query.before = Some(next),
            None => break,
        }
    }
    let wanted: Vec<u32> = (120..480).filter(|n| n % 3 == 0).rev().collect();
    assert_eq!(found, wanted);
    assert!(pages >= 3, "{pages}");
    query.lane = Lane::Alarm;
    query.before = None;
    let (log, state) = (&booted.log, &booted.state);
    let page = records_over_time(log, state, &query, Zone::JAPAN, |_| panic!("no alarm"));
    assert_eq!(page.unwrap().next, None);
}

#[test]
fn a_terminal_that_is_silent_for_long_is_looked_for_piece_by_piece() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new());
    let booted = start(fs, Path::new("data"));
    register(&booted, 2);
    read_at(&booted, 2, 1, NOON);
    for counter in 1..=4_000 {
        read_at(&booted, 1, counter, NOON + counter);
    }
    read_at(&booted, 2, 2, NOON + 5_000);
    for counter in 4_001..=4_100 {
        read_at(&booted, 1, counter, NOON + 1_000 + counter);
    }
    let segments = booted.log.status().segments;
    assert!(segments > 40, "{segments}");
    let mut query = RecordQuery {
        terminal: terminal(2),
        lane: Lane::Bulk,
        from_utc_s: 0,
        to_utc_s: u32::MAX,
        before: None,
        limit: 50,
    };
    let mut pages = Vec::new();
    loop {
        let mut found = Vec::new();
        let page = records_over_time(&booted.log, &booted.state, &query, Zone::JAPAN, |record| {
            found.push(record.sequence)
        });
        pages.push(found);
        match page.unwrap().next {
            Some(next) => query.before = Some(next),
            None => break,
        }
    }
    assert_eq!(pages.first(), Some(&vec![2]), "its last frame is known");
    assert_eq!(pages.last(), Some(&vec![1]), "{pages:?}");
    assert!(pages.len() <= 1 + segments / 32, "{pages:?}");
}

/// A server on a simulated disk, with a log of some segments.
struct Kept {
    fs: SimFs,
    booted: Booted,
    clock: Arc<TestClock>,
    counter: u32,
}

impl Kept {
    fn new() -> Self {
        let fs = SimFs::new();
        let booted = start(Arc::new(fs.clone()), Path::new("data"));
        register(&booted, 1);
        Self {
            fs,
            booted,
            clock: Arc::new(TestClock::new(UtcSeconds::new(NOON))),
            counter: 0,
        }
    }

    fn steps(&mut self, count: u32, at: u32) {
        for _ in 0..count {
            self.counter += 1;
            read_at(&self.booted, 1, self.counter, at);
        }
    }

    fn retention(&self, options: RetentionOptions, folding: Option<Arc<Folding>>) -> Retention {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Retention::new(options, &self.booted, folding, clock)
    }

    fn copy_at(&self, position: Lsn) {
        let name = format!("data/state/folded-{:020}.sqlite", position.get());
        self.fs.put(&PathBuf::from(name), vec![0]);
    }

    fn sink_at(&self, position: Lsn) {
        let event = Event::SinkAdvanced {
            sink: "cloud".to_owned(),
            alarm: self.booted.log.durable_end(),
            bulk: position,
        };
        self.booted.append(&event).unwrap();
    }
}

fn octets(octets: u64) -> RetentionOptions {
    RetentionOptions {
        octets: Some(octets),
        days: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Whoever is slowest holds the log: a sink, the oldest snapshot that is kept, the copy of
    // folded state.
    #[test]
    fn retention_never_passes_whoever_is_slowest(
        moves in proptest::collection::vec((0..5_u8, any::<u16>()), 1..24),
        kept_segments in 0..6_u64,
        days in proptest::option::of(0..3_u32),
        folds in any::<bool>(),
    ) {
        let mut kept = Kept::new();
        let reader = FoldedReader::new(Path::new("data/state"));
        let folding = folds.then(|| Arc::new(Folding::new(reader)));
        let options = RetentionOptions { octets: Some(kept_segments * SEGMENT), days };
        let mut retention = kept.retention(options, folding);
        let (mut sink, mut copy, mut snapshots) = (None, None, Vec::new());
        for (what, where_to) in moves {
            let end = kept.booted.log.durable_end();
            let somewhere = Lsn::new(u64::from(where_to) * end.get() / (1 << 16));
            match what {
                0 => kept.steps(60, NOON - DAY_S),
                1 => {
                    // A new one begins with what the log has.
                    let to = sink.unwrap_or_else(|| kept.booted.log.first());
                    let to = somewhere.max(to);
                    kept.sink_at(to);
                    sink = Some(to);
                }
                2 => {
                    snapshots.push(snapshot_of(&kept.booted, 2));
                }
                3 => {
                    let to = somewhere.max(copy.unwrap_or_default());
                    kept.copy_at(to);
                    copy = Some(to);
                }
                _ => {}
            }
            retention.forget().unwrap();
            let first = kept.booted.log.first();
            if let Some(sink) = sink {
                prop_assert!(first <= sink, "{first} beyond the sink at {sink}");
            }
            let oldest = snapshots.iter().rev().take(2).min().copied().unwrap_or_default();
            prop_assert!(first <= oldest, "{first} beyond the snapshot at {oldest}");
            if folds {
                let copy = copy.unwrap_or_default();
                prop_assert!(first <= copy, "{first} beyond the copy at {copy}");
            }
        }
    }
}

#[test]
fn retention_by_size_leaves_what_is_to_be_kept_and_little_more() {
    let mut kept = Kept::new();
    kept.steps(800, NOON);
    snapshot_of(&kept.booted, 1);
    kept.retention(octets(3 * SEGMENT), None).forget().unwrap();
    let status = kept.booted.log.status();
    let left = status.durable_end.saturating_since(status.first);
    assert!((3 * SEGMENT..5 * SEGMENT).contains(&left), "{left}");
}

#[test]
fn retention_by_age_drops_segments_that_ended_before_and_no_others() {
    let mut kept = Kept::new();
    kept.steps(200, NOON - 10 * DAY_S);
    let old_end = kept.booted.log.durable_end();
    kept.steps(200, NOON - 3 * DAY_S);
    kept.steps(200, NOON);
    snapshot_of(&kept.booted, 1);
    let days = |days| RetentionOptions {
        octets: None,
        days: Some(days),
    };
    kept.retention(days(20), None).forget().unwrap();
    assert_eq!(kept.booted.log.first(), Lsn::ZERO);
    kept.retention(days(5), None).forget().unwrap();
    let first = kept.booted.log.first();
    assert!(first > Lsn::ZERO && first <= old_end, "{first} {old_end}");
    assert!(old_end.saturating_since(first) < 2 * SEGMENT);
}

#[test]
fn what_the_clock_of_a_wrong_year_dated_is_kept() {
    let mut kept = Kept::new();
    kept.steps(400, NOON + 1_000 * DAY_S);
    kept.steps(100, NOON);
    snapshot_of(&kept.booted, 1);
    let options = RetentionOptions {
        octets: None,
        days: Some(1),
    };
    kept.retention(options, None).forget().unwrap();
    assert_eq!(kept.booted.log.first(), Lsn::ZERO);
}

#[test]
fn without_a_snapshot_nothing_is_forgotten() {
    let mut kept = Kept::new();
    kept.steps(400, NOON);
    kept.retention(octets(0), None).forget().unwrap();
    assert_eq!(kept.booted.log.first(), Lsn::ZERO);
}

#[test]
fn retention_is_tried_once_a_minute_and_when_a_snapshot_is_new() {
    let mut kept = Kept::new();
    let mut retention = kept.retention(octets(0), None);
    retention.round(false).unwrap();
    kept.steps(400, NOON);
    snapshot_of(&kept.booted, 1);
    retention.round(false).unwrap();
    assert_eq!(kept.booted.log.first(), Lsn::ZERO, "not yet");
    kept.clock.set_monotonic_ms(60_000);
    retention.round(false).unwrap();
    assert!(kept.booted.log.first() > Lsn::ZERO);
}

#[test]
fn a_copy_is_asked_for_only_when_it_lets_much_be_forgotten() {
    let mut kept = Kept::new();
    let folding = Arc::new(Folding::new(FoldedReader::new(Path::new("data/state"))));
    let kept_octets = 32 * SEGMENT;
    let mut retention = kept.retention(octets(kept_octets), Some(Arc::clone(&folding)));
    while kept.booted.log.durable_end().get() < 34 * SEGMENT {
        kept.steps(20, NOON);
    }
    snapshot_of(&kept.booted, 1);
    retention.forget().unwrap();
    assert_eq!(folding.wanted_copy(), None, "a segment or two beyond 32");
    while kept.booted.log.durable_end().get() < 40 * SEGMENT {
        kept.steps(20, NOON);
    }
    snapshot_of(&kept.booted, 1);
    retention.forget().unwrap();
    let wanted = folding.wanted_copy().unwrap();
    assert!(wanted >= Lsn::new(kept_octets / 8), "{wanted}");
    assert_eq!(
        kept.booted.log.first(),
        Lsn::ZERO,
        "the copy is not there yet"
    );
    kept.copy_at(wanted);
    retention.forget().unwrap();
    assert_eq!(kept.booted.log.first(), wanted);
}
