//! A log with steps in it, and sinks that remember.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kenshin::forward::{Attachment, Begin, Delivery, DeliveryError, LaneBatch, Sink, Sinks};
use kenshin::keyring::UtilityId;
use kenshin::model::step::{DECODER_VERSION, StepEntry};
use kenshin::model::{Event, Lanes, Lsn, RecordFlags, SessionStep, StepFlags, TerminalId};
use kenshin::store::fs::{Fs, SimFs};
use kenshin::store::log::{
    Append, CommitLog, CommitObserver, DurableFrame, LogOptions, Refused, Ticket,
};
use kenshin::store::state::directory::SinkCursors;
use kenshin::wire::otl::ident::Mode;
use kenshin::wire::otl::uplink::Salvage;
use parking_lot::{Condvar, Mutex};

use super::otl;

pub(crate) const GAS: UtilityId = UtilityId::new(*b"gasworks");
pub(crate) const WATER: UtilityId = UtilityId::new(*b"waterone");
pub(crate) const RECEIVED_UTC_S: u32 = 1_798_761_800;

pub(crate) fn terminal() -> TerminalId {
    "00000002dfdc1c35".parse().unwrap()
}

/// Holds the observer of a log back while it is shut.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn shut(&self) {
        *self.0.0.lock() = true;
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock() = false;
        self.0.1.notify_all();
    }
}

impl CommitObserver for Gate {
    fn durable(&mut self, _: &[DurableFrame<'_>]) {
        let mut is_shut = self.0.0.lock();
        self.0.1.wait_while(&mut is_shut, |is_shut| *is_shut);
    }
    fn refused(&mut self, _: &Ticket, _: Refused) {}
}

pub(crate) fn log_on(fs: &SimFs) -> Arc<CommitLog> {
    gated_log_on(fs, Gate::default())
}

pub(crate) fn gated_log_on(fs: &SimFs, gate: Gate) -> Arc<CommitLog> {
    let options = LogOptions {
        floor_bytes: 0,
        urgent_floor_bytes: 0,
        ..LogOptions::default()
    };
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    let log = CommitLog::open(fs, Path::new("data/log"), options, Box::new(gate));
    Arc::new(log.unwrap())
}

/// Flips a bit of the frame that stands at a position of the first segment.
pub(crate) fn damage(fs: &SimFs, at: Lsn) {
    let path = Path::new("data/log").join(format!("{:020}.klog", 0));
    fs.flip(&path, usize::try_from(at.get()).unwrap() + 30);
}

/// The plaintext of a vector of `records.toml` whose frame the keys open.
pub(crate) fn plaintext_of(name: &str) -> Vec<u8> {
    let vectors = otl::vectors("otl/records");
    let vector = vectors
        .iter()
        .find(|one| one.title.ends_with(name))
        .unwrap();
    otl::decoder()
        .decode(&vector.octets("hex"))
        .plaintext
        .unwrap()
}

pub(crate) fn everyday() -> Vec<u8> {
    plaintext_of(" record_everyday")
}

/// A plaintext with one alarm notice.
pub(crate) fn alarm() -> Vec<u8> {
    let vectors = otl::vectors("otl/records");
    let is_alarm = |one: &&otl::Vector| one.text("json").contains(r#""type":"alarm_notice""#);
    let vector = vectors.iter().find(is_alarm).unwrap();
    otl::decoder()
        .decode(&vector.octets("hex"))
        .plaintext
        .unwrap()
}

/// The step of a plaintext as ingest makes it, with these flags on every record.
pub(crate) fn step(utility: UtilityId, plaintext: &[u8], flags: RecordFlags) -> SessionStep<'_> {
    let salvage = Salvage::decode(plaintext, 22, Mode::CcmStatic).unwrap();
    let decoded = salvage.body.records.iter().map(|record| StepEntry {
        sequence: record.sequence.get(),
        number: record.body.number(),
        flags,
    });
    let damaged = salvage.damaged.iter().map(|item| StepEntry {
        sequence: item.sequence.map_or(0, NonZeroU32::get),
        number: item.number,
        flags: flags.with(RecordFlags::UNDECODABLE),
    });
    SessionStep {
        utility,
        mode: 1,
        kept: 0,
        flags: StepFlags::TAKES_REPORT,
        received_utc_s: RECEIVED_UTC_S,
        counter: 7,
        digest: [0; 4],
        promoted_version: None,
        promoted_mode: None,
        decoder: DECODER_VERSION,
        epoch: Some(salvage.body.report.epoch),
        entries: decoded.chain(damaged).collect(),
        command: &[],
        observations: Vec::new(),
        header: &[0; 22],
        plaintext,
    }
}

pub(crate) fn append_step(log: &CommitLog, step: &SessionStep<'_>) -> Lsn {
    let mut lanes = Lanes::NONE;
    if step.has_new_alarm() {
        lanes = lanes.with(Lanes::ALARM);
    }
    if step.has_new_bulk() {
        lanes = lanes.with(Lanes::BULK);
    }
    let append = Append {
        kind: 1,
        lanes,
        urgent: false,
        terminal: Some(terminal()),
        payload: step.encode().unwrap(),
        guard: None,
        ticket: None,
    };
    log.append_and_wait(append).unwrap()
}

pub(crate) fn add(log: &CommitLog, utility: UtilityId, plaintext: &[u8]) -> Lsn {
    append_step(log, &step(utility, plaintext, RecordFlags::default()))
}

/// The cursors that the log's events add up to, as state folds them.
pub(crate) fn durable_cursors(log: &CommitLog) -> std::collections::BTreeMap<String, SinkCursors> {
    let mut sinks = std::collections::BTreeMap::new();
    let mut reader = log.reader(log.first());
    loop {
        let batch = reader.next_batch(1 << 20).unwrap();
        if batch.is_empty() {
            return sinks;
        }
        for frame in batch.iter().filter(|frame| frame.kind == 2) {
            match Event::decode(frame.payload).unwrap() {
                Event::SinkCreated { sink, from } => {
                    sinks.insert(
                        sink,
                        SinkCursors {
                            alarm: from,
                            bulk: from,
                        },
                    );
                }
                Event::SinkAdvanced { sink, alarm, bulk } => {
                    sinks.insert(sink, SinkCursors { alarm, bulk });
                }
                Event::SinkSkipped { sink, to, .. } => {
                    let cursors = sinks.get_mut(&sink).unwrap();
                    cursors.alarm = cursors.alarm.max(to);
                    cursors.bulk = cursors.bulk.max(to);
                }
                Event::SinkRemoved { sink } => {
                    sinks.remove(&sink);
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn attach(sinks: &Sinks, name: &str, begin: Begin) -> Arc<Sink> {
    let attachment = Attachment {
        kind: "test",
        utility: None,
    };
    sinks.attach(name, attachment, begin).unwrap()
}

/// A sink that keeps lines, and fails while told to.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) lines: Arc<Mutex<Vec<serde_json::Value>>>,
    pub(crate) fails: Arc<AtomicBool>,
}

impl Memory {
    pub(crate) fn ids(&self) -> Vec<String> {
        ids(&self.lines.lock())
    }
}

pub(crate) fn ids(lines: &[serde_json::Value]) -> Vec<String> {
    let id = |line: &serde_json::Value| line["id"].as_str().unwrap().to_owned();
    lines.iter().map(id).collect()
}

pub(crate) fn parse_lines(octets: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(octets).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Delivery for Memory {
    fn deliver(&mut self, batch: &LaneBatch) -> Result<(), DeliveryError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(DeliveryError("the sink is dead".into()));
        }
        self.lines.lock().extend(parse_lines(&batch.lines));
        Ok(())
    }

    fn idle(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// Waits until something holds; 20 s at most.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 20 s: {what}");
}
