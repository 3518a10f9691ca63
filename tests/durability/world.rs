//! A server on a simulated disk, and terminals that call it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin::app::boot::{Booted, boot};
use kenshin::app::keeper::{Keeper, KeeperOptions, tell};
use kenshin::forward::lane::LaneTask;
use kenshin::forward::{Attachment, Begin, Sinks};
use kenshin::ingest::intake::{Intake, Parts};
use kenshin::ingest::load::Load;
use kenshin::model::{Lane, Lsn, SessionStep, Zone};
use kenshin::net::contract::{FrameHandler as _, Outgoing, PathId};
use kenshin::session::otl::machine::{NoCommands, NoSigner};
use kenshin::store::fs::{Fs as _, SimFs};
use kenshin::store::log::{LogOptions, PoisonReason};
use kenshin::store::ndjson::{NdjsonFiles, NdjsonFolder, Rotation, delivered_to};
use kenshin::store::state::fold::KIND_STEP;
use kenshin::telemetry::DiskLevel;
use kenshin::time::{Clock as _, TestClock, UtcSeconds};
use kenshin::wire::otl::ident::Mode;
use kenshin::wire::otl::limits::FRAME_MAX;
use kenshin::wire::otl::record::Record;
use kenshin::wire::otl::uplink::Salvage;
use kenshin::wire::writer::Writer;
use simulator::codec::record::Alarm;
use simulator::custody::{Checker, Content, Custody, Ledger, RecordId, TerminalLedger};
use simulator::fleet::{FleetPlan, TerminalPlan};
use simulator::household::{Household, Profile};
use simulator::keys;
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::store::Stored;
use simulator::terminal::{Action, Config, Mounted, NoticeDetail, Terminal};
use tokio_util::sync::CancellationToken;

use super::heard::Heard;
use super::plan::{enrol, link_keys, registered};

const START_UTC_S: u32 = 1_793_404_800;
const DATA: &str = "/data";
const RECORDS: &str = "/records/all";
const ROTATION: Rotation = Rotation {
    octets: 3_000,
    age_ms: 600_000,
};
/// The alarm notice record.
const ALARM_NOTICE: u8 = 5;

struct Caller {
    plan: TerminalPlan,
    ledger: TerminalLedger,
    /// The store epoch that the ledger knows, 0 before the first.
    epoch: u32,
    next_sequence: u32,
    told: usize,
    terminal: Terminal<MemoryNvm, Seeded, SimMeter>,
    household: Household,
    day: u16,
    /// The server nonces of the answers that it took.
    nonces: BTreeSet<[u8; 8]>,
}

impl Caller {
    /// Enters in the ledger what is new: answers first, since they speak of the epoch before.
    fn enter(&mut self) {
        let store = self.terminal.store();
        for told in &self.terminal.told_safe()[self.told..] {
            let (epoch, sequence) = (told.epoch, told.sequence);
            self.ledger.told_safe(RecordId { epoch, sequence });
        }
        self.told = self.terminal.told_safe().len();
        let id = |sequence| RecordId {
            epoch: store.epoch(),
            sequence,
        };
        if store.epoch() != self.epoch {
            for stored in store.records().filter(|_| self.epoch != 0) {
                let (id, content) = (id(stored.sequence), made(stored));
                self.ledger.renewed(self.epoch, id, content);
            }
            self.epoch = store.epoch();
        }
        for stored in store.records_from(self.next_sequence) {
            self.ledger.created(id(stored.sequence), made(stored));
        }
        self.next_sequence = store.next_sequence();
    }
}

fn made(stored: &Stored) -> Content {
    Content {
        number: stored.record.number(),
        body: Arc::clone(&stored.body),
        record: Some(Arc::clone(&stored.record)),
    }
}

struct Server {
    sinks: Arc<Sinks>,
    lanes: [LaneTask; 2],
    booted: Booted,
    intake: Intake,
    keeper: Keeper,
}

pub(crate) struct World {
    pub(crate) fs: SimFs,
    plan: FleetPlan,
    clock: Arc<TestClock>,
    server: Option<Server>,
    callers: Vec<Caller>,
    now_ms: u64,
    turn: usize,
}

fn caller(plan: &FleetPlan, of: TerminalPlan, seed: u64) -> Caller {
    let nvm = MemoryNvm::provisioned(plan.keys(&of).unwrap(), of.mode);
    let mounted = vec![Mounted::gas(b"12345678901", 123_456)];
    let random = Seeded::new(seed ^ u64::from(of.index));
    let terminal = Terminal::new(Config::new(of.owner()), nvm, random, mounted, 0).unwrap();
    Caller {
        ledger: TerminalLedger::new(of.utility, of.identity, 36),
        epoch: 0,
        next_sequence: 1,
        told: 0,
        plan: of,
        terminal,
        household: Household::new(u64::from(of.index), Profile::Quiet),
        day: u16::try_from(START_UTC_S / 86_400).unwrap() - 300,
        nonces: BTreeSet::new(),
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let plan = FleetPlan {
            seed,
            terminals: 16,
            utilities: 1,
        };
        let clear = |one: &TerminalPlan| one.mode == keys::Mode::Clear;
        let callers: Vec<Caller> = plan
            .terminals()
            .filter(|one| !clear(one))
            .take(3)
            .map(|one| caller(&plan, one, seed))
            .collect();
        let mut world = Self {
            fs: SimFs::new(),
            plan,
            clock: Arc::new(TestClock::new(UtcSeconds::new(START_UTC_S))),
            server: None,
            callers,
            now_ms: 0,
            turn: 0,
        };
        world.boot();
        world.register();
        world
    }

    fn boot(&mut self) {
        let options = LogOptions {
            segment_bytes: 16 << 10,
            known_durable: delivered_to(&self.fs, Path::new(RECORDS))
                .unwrap()
                .unwrap_or(Lsn::ZERO),
            ..LogOptions::default()
        };
        let fs = Arc::new(self.fs.clone());
        let keys = link_keys(&registered(&self.plan));
        // Power may go while the server starts; then it does not.
        let Ok(booted) = boot(fs, Path::new(DATA), options, 1, keys) else {
            return;
        };
        let Ok(is_mark_taken_up) = booted.take_up_mark(&*self.clock) else {
            return;
        };
        let load = Arc::new(Load::default());
        let intake = Intake::new(Parts {
            allow_mode0: true,
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            completions: Arc::clone(&booted.completions),
            load: Arc::clone(&load),
            clock: Arc::clone(&self.clock) as Arc<dyn kenshin::time::Clock>,
            commands: Arc::new(NoCommands),
            signer: Arc::new(NoSigner),
            witness: Arc::new(Heard::default()),
            live_max: 100,
        });
        if !is_mark_taken_up {
            intake.take_up_mark_later();
        }
        let options = KeeperOptions {
            come_back_percent: 85,
            alarms_only_percent: 95,
            quota_octets: None,
            snapshot_every_octets: 8 << 10,
            reserve_octets: 0,
            queue_frames: 1_000,
            snapshots_kept: 2,
            queue_octets: 1 << 20,
        };
        let keeper = Keeper::new(options, &booted, load);
        keeper.look();
        let Some((sinks, lanes)) = self.follow(&booted) else {
            return;
        };
        self.server = Some(Server {
            sinks,
            lanes,
            booted,
            intake,
            keeper,
        });
        // Nothing is answered in the second of a start.
        self.pass(2_000);
    }

    /// A sink of files for all records; none if the power goes.
    fn follow(&self, booted: &Booted) -> Option<(Arc<Sinks>, [LaneTask; 2])> {
        let known = booted.state.directory().sinks.clone();
        let sinks = Arc::new(Sinks::new(Arc::clone(&booted.log), &known));
        let attachment = Attachment {
            kind: "ndjson",
            utility: None,
        };
        let sink = sinks.attach("files", attachment, Begin::Start).ok()?;
        let folder = NdjsonFolder::new(Arc::new(self.fs.clone()), PathBuf::from(RECORDS));
        let lane = |lane| {
            let clock = Arc::clone(&self.clock) as Arc<dyn kenshin::time::Clock>;
            let files = NdjsonFiles::new(&folder, lane, ROTATION, clock);
            LaneTask::new(&sinks, &sink, lane, Zone::JAPAN, Box::new(files))
        };
        let lanes = [lane(Lane::Alarm), lane(Lane::Bulk)];
        Some((sinks, lanes))
    }

    /// Delivers what is in the log, and now and then keeps the cursors. Whatever fails is tried
    /// again by a later call, or by the next process.
    fn deliver(&mut self) {
        let is_time_to_save = self.turn.is_multiple_of(3);
        let Some(server) = &mut self.server else {
            return;
        };
        for lane in &mut server.lanes {
            let turns = std::iter::repeat_with(|| lane.turn()).take(1_000);
            let mut going = turns.take_while(|turn| matches!(turn, Ok(turn) if !turn.is_at_end));
            assert!(
                going.nth(998).is_none(),
                "a lane does not come to the end of the log"
            );
        }
        if is_time_to_save {
            server.sinks.save_due().ok();
        }
    }

    fn register(&self) {
        let booted = &self.server.as_ref().unwrap().booted;
        enrol(booted, &registered(&self.plan), true);
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.clock.set_monotonic_ms(self.now_ms);
        let seconds = u32::try_from(ms.div_ceil(1_000)).unwrap();
        let now = self.clock.utc_seconds();
        self.clock.set_utc(now.saturating_add(seconds));
    }

    pub(crate) fn step_clock(&mut self, by_s: i64) {
        let now = i64::from(self.clock.utc_seconds().get());
        let stepped = u32::try_from(now + by_s).unwrap();
        self.clock.set_utc(UtcSeconds::new(stepped));
    }

    /// Frames out, answers in, for one terminal until it sleeps, a minute at most.
    fn talk(&mut self, at: usize) {
        let end_ms = self.now_ms + 60_000;
        self.callers[at].enter();
        while self.now_ms < end_ms {
            let now_ms = self.now_ms;
            match self.callers[at].terminal.poll(now_ms).unwrap() {
                Action::Transmit { frame, .. } => {
                    for answer in self.exchange(at, &frame) {
                        let now_ms = self.now_ms;
                        let caller = &mut self.callers[at];
                        let before = caller.terminal.ticket();
                        caller.terminal.handle(now_ms, &answer).unwrap();
                        let nonce = caller.terminal.ticket();
                        let is_new = nonce == before || caller.nonces.insert(nonce);
                        assert!(is_new, "a server nonce came twice");
                        caller.enter();
                    }
                    self.pass(1_000);
                }
                Action::WaitUntil(until) => {
                    let until = until.max(self.now_ms + 100);
                    self.pass(until - self.now_ms);
                }
                Action::Sleep { .. } => return,
            }
        }
    }

    fn exchange(&mut self, at: usize, frame: &[u8]) -> Vec<Vec<u8>> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let port = 10_000 + u16::try_from(at).unwrap();
        let path = PathId::Udp {
            worker: 0,
            peer: ([127, 0, 0, 1], port).into(),
        };
        let mut out = Vec::new();
        server.intake.tick(0, &mut out);
        server.intake.receive(0, path, frame, &mut out);
        while server.intake.pending() > 0 {
            server.intake.complete(0, &mut out);
            std::thread::yield_now();
        }
        let octets = out.into_iter().filter_map(|one| match one {
            Outgoing::Send { octets, .. } => Some(octets),
            Outgoing::Close { .. } => None,
        });
        octets.collect()
    }

    /// Terminals in turn have something new, and call.
    pub(crate) fn run(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn += 1;
            if self.turn.is_multiple_of(5) {
                self.raise_alarm();
            } else {
                self.run_readings(1);
            }
            if let Some(server) = &mut self.server {
                server.keeper.round();
            }
            self.deliver();
        }
    }

    pub(crate) fn run_readings(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn += 1;
            let at = self.turn % self.callers.len();
            let now_ms = self.now_ms;
            let caller = &mut self.callers[at];
            let day = caller.household.day(caller.day);
            // A terminal without a clock has no days.
            if caller.terminal.push_day(day).is_ok() {
                caller.day += 1;
            }
            caller.terminal.wake(now_ms);
            self.talk(at);
        }
    }

    pub(crate) fn raise_alarm(&mut self) {
        let at = self.turn % self.callers.len();
        let alarm = Alarm {
            alarm: 2,
            state: 1,
            code: *b"02",
        };
        let now_ms = self.now_ms;
        self.callers[at]
            .terminal
            .raise(now_ms, 0, &[alarm], &NoticeDetail::default())
            .unwrap();
        self.talk(at);
    }

    pub(crate) fn keep_house(&mut self) -> DiskLevel {
        self.server.as_mut().unwrap().keeper.round().disk
    }

    /// Half a minute of housekeeping. Whether the process is to end and start again.
    pub(crate) fn is_told_to_start_again(&mut self) -> bool {
        let broken = CancellationToken::new();
        let keeper = &mut self.server.as_mut().unwrap().keeper;
        let mut was = DiskLevel::default();
        for _ in 0..120 {
            tell(&keeper.round(), &mut was, &broken);
        }
        broken.is_cancelled()
    }

    pub(crate) fn poison(&self) -> Option<PoisonReason> {
        let log = &self.server.as_ref()?.booted.log;
        log.status().poison.map(|poison| poison.reason)
    }

    /// Whether the durable mark of server nonces covers the present second.
    pub(crate) fn is_marked(&self) -> bool {
        let state = &self.server.as_ref().unwrap().booted.state;
        state.nonce_mark().covers(self.clock.utc_seconds().get())
    }

    pub(crate) fn gaps(&self) -> usize {
        let state = &self.server.as_ref().unwrap().booted.state;
        state.nonce_mark().gaps().len()
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison().is_some() || self.server.is_none()
    }

    /// The power goes, comes back, and the server starts on what the disk kept.
    pub(crate) fn lose_power(&mut self, seed: u64) {
        let after = self.fs.crash(seed);
        self.server = None;
        self.fs = after;
        self.boot();
    }

    /// The server stops in order and starts again.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        self.boot();
    }

    pub(crate) fn told_safe(&self) -> usize {
        let told = |caller: &Caller| caller.terminal.told_safe().len();
        self.callers.iter().map(told).sum()
    }

    /// Records told safe in the bulk lane and in the alarm lane.
    pub(crate) fn told_safe_by_lane(&self) -> (usize, usize) {
        let all = self.callers.iter().flat_map(|one| one.terminal.told_safe());
        let (alarms, bulk): (Vec<_>, Vec<_>) =
            all.partition(|safe| safe.record.number() == ALARM_NOTICE);
        (bulk.len(), alarms.len())
    }

    /// Everything that was told safe is in the log with the same content, and has reached the sink.
    /// Gives how much that is.
    pub(crate) fn check(&mut self, seed: u64) -> u64 {
        self.deliver();
        let server = self
            .server
            .as_ref()
            .expect("the server starts after a crash");
        let kept = kept(&server.booted);
        let mut told = 0;
        for caller in &self.callers {
            for safe in caller.terminal.told_safe() {
                let key = (caller.plan.identity, safe.epoch, safe.sequence);
                let found = kept.get(&key);
                let found = found.unwrap_or_else(|| panic!("seed {seed}: {key:?} is lost"));
                let mut octets = vec![safe.record.number()];
                octets.extend_from_slice(&safe.body);
                assert_eq!(&octets, found, "seed {seed}: {key:?} is altered");
                told += 1;
            }
        }
        let custody = self.custody();
        assert!(custody.is_clean(), "seed {seed}: {custody:#?}");
        assert_eq!(custody.told_safe, told, "seed {seed}");
        told
    }

    /// What the sink holds, compared with what terminals made.
    fn custody(&self) -> Custody {
        let ledger = Ledger {
            terminals: self.callers.iter().map(|one| one.ledger.clone()).collect(),
        };
        let dir = Path::new(RECORDS);
        let mut names = self.fs.list(dir).unwrap_or_default();
        names.sort_by_cached_key(|name| {
            let stem = name.split(".ndjson").next().unwrap();
            let mut parts = stem.split('-');
            let lane = parts.next().unwrap().to_owned();
            let first: u64 = parts.nth(1).unwrap().parse().unwrap();
            (lane, first, name.clone())
        });
        let mut checker = Checker::new(&ledger).unwrap();
        for name in names {
            let content = self.fs.content(&dir.join(&name)).unwrap();
            let end = content.iter().rposition(|octet| *octet == b'\n');
            let whole = end.map_or(0, |end| end + 1);
            assert!(
                whole == content.len() || name.ends_with(".part"),
                "{name} is torn"
            );
            for line in content[..whole].split_inclusive(|octet| *octet == b'\n') {
                checker.line(line.strip_suffix(b"\n").unwrap());
            }
        }
        checker.finish()
    }
}

type Key = ([u8; 8], u32, u32);

/// What the log holds, read from its beginning.
fn kept(booted: &Booted) -> BTreeMap<Key, Vec<u8>> {
    let mut kept = BTreeMap::new();
    let mut reader = booted.log.reader(booted.log.first());
    loop {
        let batch = reader.next_batch(1 << 20).unwrap();
        if batch.is_empty() {
            return kept;
        }
        for frame in batch.iter().filter(|frame| frame.kind == KIND_STEP) {
            let step = SessionStep::decode(frame.payload).unwrap();
            let mode = Mode::from_number(step.mode).unwrap();
            let salvage = Salvage::decode(step.plaintext, step.header.len(), mode).unwrap();
            for (record, entry) in salvage.body.records.iter().zip(&step.entries) {
                if entry.flags.is_new() {
                    let id = frame.terminal.unwrap().octets();
                    let key = (id, step.epoch.unwrap().get(), entry.sequence);
                    let double = kept.insert(key, octets_of(record));
                    assert!(double.is_none(), "{key:?} was kept twice");
                }
            }
        }
    }
}

/// The type octet and the body, as a terminal sends them.
fn octets_of(record: &Record) -> Vec<u8> {
    let mut octets = vec![record.body.number()];
    let mut writer = Writer::new(&mut octets, FRAME_MAX);
    record.body.encode(&mut writer).unwrap();
    octets
}
