//! A server without sockets, on a simulated disk, and what it tells outward.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kenshin::app::boot::{Booted, boot};
use kenshin::forward::{Attachment, Begin, Delivery, DeliveryError, Forwarder, LaneBatch, Sinks};
use kenshin::ingest::intake::{Intake, Parts};
use kenshin::ingest::load::Load;
use kenshin::model::{Lane, Lsn, TerminalId, Zone};
use kenshin::net::contract::{FrameHandler as _, Outgoing, PathId, Verdict};
use kenshin::session::otl::machine::{NoCommands, NoSigner};
use kenshin::store::fs::SimFs;
use kenshin::store::log::LogOptions;
use kenshin::store::state::MeterTrack;
use kenshin::store::state::hot::HotEntry;
use kenshin::time::{Clock, TestClock, UtcSeconds};
use parking_lot::Mutex;
use serde_json::Value;

use super::hand::Hand;
use super::heard::Heard;
use super::plan::{Registered, enrol, link_keys};

pub(crate) const START_UTC_S: u32 = 1_793_404_800;
pub(crate) const IDENTITY: [u8; 8] = [0, 7, 0, 0, 0, 0, 0, 1];
const UTILITY: [u8; 8] = *b"townsgas";
const MASTER: [u8; 16] = *b"gas link master.";
const DATA: &str = "/data";

pub(crate) struct World {
    fs: SimFs,
    booted: Booted,
    intake: Intake,
    clock: Arc<TestClock>,
    pub(crate) load: Arc<Load>,
    pub(crate) heard: Heard,
}

fn utilities() -> [Registered; 1] {
    [Registered {
        id: UTILITY,
        name: "gas".to_owned(),
        link_master: MASTER.to_vec(),
        terminals: vec![(IDENTITY, 1)],
    }]
}

fn booted(fs: &SimFs) -> Booted {
    let options = LogOptions {
        floor_bytes: 0,
        urgent_floor_bytes: 0,
        ..LogOptions::default()
    };
    boot(
        Arc::new(fs.clone()),
        Path::new(DATA),
        options,
        1,
        link_keys(&utilities()),
    )
    .unwrap()
}

pub(crate) fn hand() -> Hand {
    Hand::new(UTILITY, &MASTER, IDENTITY, START_UTC_S)
}

impl World {
    pub(crate) fn new() -> Self {
        let fs = SimFs::new();
        let booted = booted(&fs);
        enrol(&booted, &utilities(), false);
        let clock = Arc::new(TestClock::new(UtcSeconds::new(START_UTC_S)));
        booted.take_up_mark(&*clock).unwrap();
        let heard = Heard::default();
        let load = Arc::new(Load::default());
        let intake = Intake::new(Parts {
            allow_mode0: true,
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            completions: Arc::clone(&booted.completions),
            load: Arc::clone(&load),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            commands: Arc::new(NoCommands),
            signer: Arc::new(NoSigner),
            witness: Arc::new(heard.clone()),
            live_max: 100,
        });
        // Nothing is answered in the second of a start.
        clock.advance_s(2);
        Self {
            fs,
            booted,
            intake,
            clock,
            load,
            heard,
        }
    }

    /// One answer a second leaves for a terminal.
    pub(crate) fn pass_a_second(&self) {
        self.clock.advance_s(1);
    }

    /// Hours pass, and the server does what it does meanwhile.
    pub(crate) fn pass_hours(&self, hours: u32) {
        for _ in 0..hours * 60 {
            self.clock.advance_s(60);
            self.intake.tick(0, &mut Vec::new());
        }
        let now_utc_s = self.clock.utc_seconds().get();
        while !self.booted.state.nonce_mark().covers(now_utc_s) {
            self.intake.complete(0, &mut Vec::new());
            self.intake.keep_mark();
            std::thread::yield_now();
        }
    }

    /// Hands frames over at once, waits until all is durable, and gives the verdicts and how many
    /// answers there were.
    pub(crate) fn take(&self, frames: &[Vec<u8>]) -> (Vec<Verdict>, usize) {
        let path = PathId::Udp {
            worker: 0,
            peer: ([127, 0, 0, 1], 10_000).into(),
        };
        let mut out = Vec::new();
        let verdicts = frames
            .iter()
            .map(|frame| self.intake.receive(0, path, frame, &mut out))
            .collect();
        while self.intake.pending() > 0 {
            self.intake.complete(0, &mut out);
            std::thread::yield_now();
        }
        let is_answer = |one: &&Outgoing| matches!(one, Outgoing::Send { .. });
        (verdicts, out.iter().filter(is_answer).count())
    }

    /// What state has of the terminal and its meters, without where in the log that came from.
    pub(crate) fn state(&self) -> (HotEntry, Vec<Option<MeterTrack>>) {
        state_of(&self.booted)
    }

    /// The same, of a server that starts on what is durable now. Ends the one before.
    pub(crate) fn state_after_restart(&self) -> (HotEntry, Vec<Option<MeterTrack>>) {
        let crashed = self.fs.crash(1);
        state_of(&booted(&crashed))
    }

    /// Every record that a sink gets, by its id; without its position, which tells the order.
    pub(crate) fn outward(&self) -> BTreeMap<String, Value> {
        let log = &self.booted.log;
        let sinks = Arc::new(Sinks::new(Arc::clone(log), &BTreeMap::new()));
        let attachment = Attachment {
            kind: "test",
            utility: None,
        };
        let sink = sinks.attach("test", attachment, Begin::Start).unwrap();
        let end = log.durable_end();
        let forwarder = Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).unwrap();
        let memory = Memory::default();
        for lane in [Lane::Alarm, Lane::Bulk] {
            let delivery = Box::new(memory.clone());
            forwarder.run(&sink, lane, delivery).unwrap();
        }
        let reached = || sink.position(Lane::Alarm).min(sink.position(Lane::Bulk));
        for _ in 0..2_000 {
            if reached() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(reached() >= end, "the sink gets all within 10 s");
        forwarder.stop(Duration::from_secs(8));
        sinks.save(&sink).unwrap();
        drop(sink);
        let mut records = BTreeMap::new();
        for mut line in memory.lines.lock().drain(..) {
            line.as_object_mut().unwrap().remove("position");
            let id = line["id"].as_str().unwrap().to_owned();
            assert!(
                records.insert(id, line).is_none(),
                "one record is there twice"
            );
        }
        records
    }
}

fn state_of(booted: &Booted) -> (HotEntry, Vec<Option<MeterTrack>>) {
    let terminal = TerminalId::new(IDENTITY);
    let found = booted.state.table.with(terminal, |entry| {
        let meters = (0..=u8::MAX).map(|meter| entry.meter(meter)).collect();
        let mut hot = *entry.hot;
        hot.applied = Lsn::ZERO;
        // Counted anew in each process.
        hot.version = 0;
        // Which of the meters is here is the order's affair, and `meters` has them all.
        hot.meter = MeterTrack::default();
        (hot, meters)
    });
    found.unwrap()
}

#[derive(Clone, Default)]
struct Memory {
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Delivery for Memory {
    fn deliver(&mut self, batch: &LaneBatch) -> Result<(), DeliveryError> {
        let lines = batch.lines.split(|octet| *octet == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice(line).unwrap());
        self.lines.lock().extend(lines);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }
}
