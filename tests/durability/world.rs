//! A server on a simulated disk, and terminals that call it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kenshin::app::boot::{Booted, boot};
use kenshin::app::keeper::{Keeper, KeeperOptions};
use kenshin::crypto::key::{KeyOctets, Link, Master};
use kenshin::ingest::history::Unreadable;
use kenshin::ingest::intake::{Intake, Parts};
use kenshin::ingest::load::Load;
use kenshin::ingest::witness::Witness;
use kenshin::keyring::{KeyState, LinkKeyring, UtilityId};
use kenshin::model::event::{TerminalEntry, UtilityEntry};
use kenshin::model::{Event, SessionStep, TerminalId};
use kenshin::net::contract::{FrameHandler as _, Outgoing, PathId};
use kenshin::session::otl::machine::{MachineEvent, NoCommands, NoSigner};
use kenshin::session::otl::open::Opened;
use kenshin::session::otl::records::content;
use kenshin::session::otl::refusal::Refusal;
use kenshin::session::otl::step::Commit;
use kenshin::store::fs::SimFs;
use kenshin::store::log::{LogOptions, PoisonReason};
use kenshin::store::state::fold::KIND_STEP;
use kenshin::telemetry::DiskLevel;
use kenshin::time::{Clock as _, TestClock, UtcSeconds};
use kenshin::wire::otl::ident::Mode;
use kenshin::wire::otl::uplink::Salvage;
use simulator::codec::record::{Alarm, MeterRef, Unit};
use simulator::fleet::{FleetPlan, KEY_VERSION, TerminalPlan};
use simulator::household::{Household, Profile};
use simulator::keys;
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::terminal::{Action, Config, Mounted, NoticeDetail, Terminal};

const START_UTC_S: u32 = 1_793_404_800;
const DATA: &str = "/data";
/// The alarm notice record.
const ALARM_NOTICE: u8 = 5;

struct Silent;

impl Witness for Silent {
    fn refused(&self, _: &Refusal) {}
    fn verified(&self, _: &Opened) {}
    fn step(&self, _: TerminalId, _: &Commit) {}
    fn came_back(&self, _: bool, _: u64) {}
    fn not_taken(&self) {}
    fn machine(&self, _: TerminalId, _: &MachineEvent) {}
    fn steady_failures(&self, _: TerminalId, _: u8) {}
    fn no_randomness(&self) {}
    fn unreadable_history(&self, _: &Unreadable) {}
}

struct Caller {
    plan: TerminalPlan,
    terminal: Terminal<MemoryNvm, Seeded, SimMeter>,
    household: Household,
    day: u16,
}

struct Server {
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

fn link_keys(plan: &FleetPlan) -> LinkKeyring {
    let mut keys = LinkKeyring::new();
    for utility in plan.utilities().unwrap() {
        let id = UtilityId::new(utility.id);
        keys.add_utility(id, &utility.name);
        let master = KeyOctets::from_slice(utility.link_master.expose()).unwrap();
        let master = Master::<Link>::new(master);
        keys.add_master(id, KEY_VERSION, KeyState::Active, true, master)
            .unwrap();
    }
    keys
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn caller(plan: &FleetPlan, of: TerminalPlan, seed: u64) -> Caller {
    let nvm = MemoryNvm::provisioned(plan.keys(&of).unwrap(), of.mode);
    let mounted = vec![Mounted {
        meter: MeterRef {
            slot: 0,
            generation: 0,
        },
        medium: 3,
        unit: Unit::LITRE,
        digits: 8,
        serial: b"12345678901".to_vec(),
        device: SimMeter::new(Unit::LITRE, 123_456),
    }];
    let random = Seeded::new(seed ^ u64::from(of.index));
    let terminal = Terminal::new(Config::new(of.owner()), nvm, random, mounted, 0).unwrap();
    Caller {
        plan: of,
        terminal,
        household: Household::new(u64::from(of.index), Profile::Quiet),
        day: u16::try_from(START_UTC_S / 86_400).unwrap() - 300,
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
            ..LogOptions::default()
        };
        let fs = Arc::new(self.fs.clone());
        let keys = link_keys(&self.plan);
        // Power may go while the server starts; then it does not.
        let Ok(booted) = boot(fs, Path::new(DATA), options, 1, keys) else {
            return;
        };
        if booted.take_up_mark(&*self.clock).is_err() {
            return;
        }
        let load = Arc::new(Load::default());
        let intake = Intake::new(Parts {
            state: Arc::clone(&booted.state),
            log: Arc::clone(&booted.log),
            completions: Arc::clone(&booted.completions),
            load: Arc::clone(&load),
            clock: Arc::clone(&self.clock) as Arc<dyn kenshin::time::Clock>,
            commands: Arc::new(NoCommands),
            signer: Arc::new(NoSigner),
            witness: Arc::new(Silent),
            live_max: 100,
        });
        let options = KeeperOptions {
            come_back_percent: 85,
            alarms_only_percent: 95,
            quota_octets: None,
            snapshot_every_octets: 8 << 10,
            queue_frames: 1_000,
            retention_octets: None,
        };
        let keeper = Keeper::new(options, &booted, load);
        self.server = Some(Server {
            booted,
            intake,
            keeper,
        });
        // Nothing is answered in the second of a start.
        self.pass(2_000);
    }

    fn register(&self) {
        let booted = &self.server.as_ref().unwrap().booted;
        for utility in self.plan.utilities().unwrap() {
            let id = hex(&utility.id);
            let entry = |one: TerminalPlan| TerminalEntry {
                id: TerminalId::new(one.identity),
                mode: one.mode.code(),
                customer: None,
            };
            booted
                .append(&Event::UtilityPut(UtilityEntry {
                    id: id.clone(),
                    name: utility.name,
                    allow_mode0: true,
                }))
                .unwrap();
            booted
                .append(&Event::TerminalsPut {
                    utility: id,
                    terminals: self.plan.terminals().map(entry).collect(),
                })
                .unwrap();
        }
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
        while self.now_ms < end_ms {
            let now_ms = self.now_ms;
            match self.callers[at].terminal.poll(now_ms).unwrap() {
                Action::Transmit { frame, .. } => {
                    for answer in self.exchange(at, &frame) {
                        let now_ms = self.now_ms;
                        self.callers[at].terminal.handle(now_ms, &answer).unwrap();
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

    pub(crate) fn poison(&self) -> Option<PoisonReason> {
        let log = &self.server.as_ref()?.booted.log;
        log.status().poison.map(|poison| poison.reason)
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

    /// Everything that was told safe is in the log, with the same content. Gives how much that is.
    pub(crate) fn check(&self, seed: u64) -> u64 {
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
                assert!(octets.starts_with(found), "seed {seed}: {key:?} is altered");
                told += 1;
            }
        }
        told
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
                    let double = kept.insert(key, content(record));
                    assert!(double.is_none(), "{key:?} was kept twice");
                }
            }
        }
    }
}
