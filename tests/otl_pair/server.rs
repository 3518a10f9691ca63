//! A server process with one terminal, and a store that takes its time.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use kenshin::keyring::{KeyError, LinkKeyring, OpeningKey, Registration};
use kenshin::session::otl::link::LinkState;
use kenshin::session::otl::machine::{
    Admission, CallOrder, CommitOrder, Context, Input, Machine, MachineEvent, NoCommands, NoSigner,
    Output, PathKey, Rest, Token,
};
use kenshin::session::otl::ns_mark::NsMark;
use kenshin::session::otl::open::{Opened, OpeningKeys, Promotion, open};
use kenshin::session::otl::records::{Known, RecordIndex, RecordKey, content};
use kenshin::session::otl::refusal::Refusal;
use kenshin::session::otl::step::LinkChange;
use kenshin::wire::otl::ident::{Identity, KeyVersion, Mode};
use kenshin::wire::otl::uplink::Salvage;
use simulator::random::{Random as _, Seeded};

use super::journal::{self, Journal};
use super::parties::{IDENTITY, link_keys, registration};

/// 2026-10-31T00:00:00Z.
pub(crate) const START_UTC_S: u32 = 1_793_404_800;

/// Where the terminal is, as the server sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Path {
    Udp(u16),
    Tcp(u32),
}

impl PathKey for Path {
    fn is_connection(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(port) => write!(f, "udp:{port}"),
            Self::Tcp(number) => write!(f, "tcp#{number}"),
        }
    }
}

/// What the server keeps on disk.
#[derive(Clone)]
pub(crate) struct Durable {
    pub(crate) link: LinkState,
    pub(crate) version: u32,
    pub(crate) records: BTreeMap<(u32, u32), Vec<u8>>,
    pub(crate) conflicts: usize,
    pub(crate) mark: NsMark,
    pub(crate) registration: Registration,
}

struct Index<'a>(&'a BTreeMap<(u32, u32), Vec<u8>>);

impl RecordIndex for Index<'_> {
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known {
        match self.0.get(&(key.epoch.get(), key.sequence.get())) {
            None => Known::No,
            Some(kept) if kept == content => Known::Same,
            Some(_) => Known::Other,
        }
    }
}

/// Registrations lie in the server's table, masters in its ring.
struct Keys<'a> {
    ring: &'a LinkKeyring,
    registration: &'a Registration,
}

impl OpeningKeys for Keys<'_> {
    fn opening_key(
        &self,
        identity: &[u8; 8],
        mode: Mode,
        key_version: u8,
    ) -> Result<OpeningKey, KeyError> {
        if *identity != IDENTITY {
            return Err(KeyError::UnknownTerminal);
        }
        self.ring
            .opening_key_for(self.registration, identity, mode, key_version)
    }
}

/// What one frame of the log holds.
enum Entry {
    Step {
        change: LinkChange,
        epoch: u32,
        records: Vec<(u32, Vec<u8>)>,
        conflicts: usize,
        promotion: Promotion,
    },
    CloneMark(u32),
    Promotion(Promotion),
    Call(u32),
}

struct Queued {
    due_ms: u64,
    token: Token,
    guard: u32,
    /// None: the disk will fail it.
    entry: Option<Entry>,
}

/// What leaves the server.
pub(crate) enum Sent {
    Frame { path: Path, octets: Vec<u8> },
    Close { path: Path, code: u8 },
}

pub(crate) struct Server {
    ring: LinkKeyring,
    machine: Option<Machine<Path>>,
    rest: Rest<Path>,
    pub(crate) durable: Durable,
    queue: VecDeque<Queued>,
    mark_due_ms: Option<u64>,
    /// How long a commit takes.
    pub(crate) commit_ms: u64,
    /// How many of the next commits fail.
    pub(crate) failing: u32,
    pub(crate) admission: Admission,
    started_utc_s: u32,
    random: Seeded,
    pub(crate) events: Vec<MachineEvent>,
    pub(crate) sent: Vec<Sent>,
}

pub(crate) fn utc_s(now_ms: u64) -> u32 {
    START_UTC_S + u32::try_from(now_ms / 1_000).unwrap()
}

impl Server {
    pub(crate) fn new(mode: Mode) -> Self {
        let before = START_UTC_S - 10;
        let durable = Durable {
            link: LinkState::default(),
            version: 0,
            records: BTreeMap::new(),
            conflicts: 0,
            mark: NsMark::default().started(before),
            registration: registration(mode),
        };
        Self {
            ring: link_keys(),
            machine: None,
            rest: Rest::default(),
            durable,
            queue: VecDeque::new(),
            mark_due_ms: None,
            commit_ms: 5,
            failing: 0,
            admission: Admission::Serve,
            started_utc_s: before,
            random: Seeded::new(0x5EED),
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// The process ends without a word, and another one comes up on what is on disk.
    pub(crate) fn restart(&mut self, now_ms: u64) {
        self.machine = None;
        self.rest = Rest::default();
        self.queue.clear();
        self.mark_due_ms = None;
        self.started_utc_s = utc_s(now_ms);
        self.durable.mark = self.durable.mark.clone().started(self.started_utc_s);
    }

    /// Takes a frame from the network.
    pub(crate) fn receive(
        &mut self,
        now_ms: u64,
        path: Path,
        frame: &[u8],
        journal: &mut Journal,
    ) -> Result<(), Refusal> {
        let keys = Keys {
            ring: &self.ring,
            registration: &self.durable.registration,
        };
        let opened = match open(frame, &keys) {
            Ok(opened) => opened,
            Err(refusal) => {
                journal.note(now_ms, "server", &format!("refuses a frame: {refusal}"));
                return Err(refusal);
            }
        };
        check_plaintext(&opened, frame);
        let input = Input::Frame {
            opened,
            path,
            octets_len: frame.len(),
        };
        self.handle(now_ms, input, journal);
        Ok(())
    }

    /// The terminal is to be called.
    pub(crate) fn call_now(&mut self, now_ms: u64, journal: &mut Journal) {
        let mode = self.durable.registration.mode;
        let version = self.durable.registration.promoted_link_version.unwrap();
        let keys = Keys {
            ring: &self.ring,
            registration: &self.durable.registration,
        };
        let opening = keys.opening_key(&IDENTITY, mode, version).unwrap();
        let order = CallOrder {
            identity: Identity::new(IDENTITY),
            mode,
            key_version: KeyVersion::new(version).unwrap(),
            key: opening.key.unwrap(),
        };
        self.handle(now_ms, Input::CallNow(Box::new(order)), journal);
    }

    pub(crate) fn handle(&mut self, now_ms: u64, input: Input<Path>, journal: &mut Journal) {
        let (state, version) = (self.durable.link, self.durable.version);
        let (started, rest) = (self.started_utc_s, self.rest);
        let machine = self
            .machine
            .get_or_insert_with(|| Machine::new(state, version, started, rest));
        let index = Index(&self.durable.records);
        let mut ctx = Context {
            now_utc_s: utc_s(now_ms),
            now_ms,
            index: &index,
            commands: &NoCommands,
            signer: &NoSigner,
            mark: &self.durable.mark,
            commands_stopped: false,
            random: &mut || Some(self.random.u32()),
            admission: self.admission,
        };
        machine.handle(&mut ctx, input);
        while let Some(output) = self.machine.as_mut().and_then(Machine::poll) {
            self.output(now_ms, output, journal);
        }
        let machine = self.machine.as_mut().unwrap();
        if machine.is_failed() {
            // Not before everything under way came back.
            let _resumed: bool = machine.resume(self.durable.link, self.durable.version);
        }
    }

    fn output(&mut self, now_ms: u64, output: Output<Path>, journal: &mut Journal) {
        match output {
            Output::Commit {
                token,
                guard_version,
                urgent,
            } => self.submit(now_ms, token, guard_version, urgent, journal),
            Output::Transmit { path, octets } => self.sent.push(Sent::Frame { path, octets }),
            Output::Close { path, code } => {
                journal.note(now_ms, "server", &format!("closes {path} with code {code}"));
                self.sent.push(Sent::Close { path, code });
            }
            Output::NeedsMark => {
                if self.mark_due_ms.is_none() {
                    journal.note(now_ms, "server", "needs a later mark of server nonces");
                }
                self.mark_due_ms.get_or_insert(now_ms + self.commit_ms);
            }
            // The answer that follows says the same.
            Output::Event(MachineEvent::Ended) => {}
            Output::Event(event) => {
                journal.note(now_ms, "server", &journal::event(event));
                self.events.push(event);
            }
        }
    }

    fn submit(
        &mut self,
        now_ms: u64,
        token: Token,
        guard: u32,
        urgent: bool,
        journal: &mut Journal,
    ) {
        let machine = self.machine.as_ref().unwrap();
        let entry = entry_of(machine.commit_order(token).unwrap());
        let urgent = if urgent { ", urgent" } else { "" };
        let what = describe(&entry);
        journal.note(
            now_ms,
            "server",
            &format!("orders v{guard}: {what}{urgent}"),
        );
        let last = self.queue.back().map_or(0, |queued| queued.due_ms);
        let fails = self.failing > 0;
        self.failing = self.failing.saturating_sub(1);
        self.queue.push_back(Queued {
            due_ms: (now_ms + self.commit_ms).max(last),
            token,
            guard,
            entry: Some(entry).filter(|_| !fails),
        });
    }

    /// When the disk has something to say, or the machine wants to be called.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let commit = self.queue.front().map(|queued| queued.due_ms);
        [commit, self.mark_due_ms].into_iter().flatten().min()
    }

    /// Whatever is due by now.
    pub(crate) fn tick(&mut self, now_ms: u64, journal: &mut Journal) {
        if self.mark_due_ms.is_some_and(|due| due <= now_ms) {
            self.mark_due_ms = None;
            journal.note(now_ms, "disk", "has the mark of server nonces durable");
            self.durable.mark = self.durable.mark.clone().advanced(utc_s(now_ms));
            self.handle(now_ms, Input::Timeout, journal);
        }
        while self.queue.front().is_some_and(|q| q.due_ms <= now_ms) {
            let queued = self.queue.pop_front().unwrap();
            let is_current = queued.guard == self.durable.version;
            let input = match queued.entry.filter(|_| is_current) {
                Some(entry) => {
                    let line = format!("has v{} durable", queued.guard);
                    journal.note(now_ms, "disk", &line);
                    self.fold(entry);
                    Input::Committed(queued.token)
                }
                None => Input::CommitFailed(queued.token),
            };
            self.handle(now_ms, input, journal);
        }
        self.drop_idle(now_ms);
    }

    pub(crate) const fn has_machine(&self) -> bool {
        self.machine.is_some()
    }

    pub(crate) const fn knows_its_answers(&self) -> bool {
        self.rest.answers.is_some()
    }

    pub(crate) const fn carries_a_listener(&self) -> bool {
        self.rest.listener.is_some()
    }

    fn drop_idle(&mut self, now_ms: u64) {
        let answers = self.rest.answers;
        self.rest.answers = answers.filter(|answers| !answers.are_over(now_ms, utc_s(now_ms)));
        let Some(machine) = &self.machine else { return };
        if let Some(rest) = machine.rest() {
            assert_eq!(
                machine.state(),
                &self.durable.link,
                "known and durable differ"
            );
            self.rest = rest;
            self.machine = None;
        }
    }

    /// Exactly what a rebuild from the log would do.
    fn fold(&mut self, entry: Entry) {
        let durable = &mut self.durable;
        durable.version += 1;
        match entry {
            Entry::Step {
                change,
                epoch,
                records,
                conflicts,
                promotion,
            } => {
                durable.link.apply(&change);
                durable.conflicts += conflicts;
                for (sequence, content) in records {
                    let before = durable.records.insert((epoch, sequence), content);
                    assert!(before.is_none(), "record {sequence} is kept twice");
                }
                self.promote(&promotion);
            }
            Entry::CloneMark(counter) => durable.link.window.note_clone(counter),
            Entry::Promotion(promotion) => self.promote(&promotion),
            Entry::Call(counter) => durable.link.last_call = counter,
        }
    }

    // What a frame proved: the version is promoted and the mode pinned.
    fn promote(&mut self, promotion: &Promotion) {
        let registration = &mut self.durable.registration;
        if let Some(version) = promotion.version {
            registration.promoted_link_version = Some(version.get());
        }
        if let Some(mode) = promotion.mode {
            registration.mode = mode;
            registration.pending_mode = None;
        }
    }
}

fn entry_of(order: &CommitOrder) -> Entry {
    match order {
        CommitOrder::Step(step) => {
            let commit = &step.commit;
            let epoch = commit.report.map_or(NonZeroU32::MAX, |report| report.epoch);
            let kept = commit.records.iter();
            Entry::Step {
                change: commit.change(false),
                epoch: epoch.get(),
                records: kept.map(|r| (r.sequence.get(), content(r))).collect(),
                conflicts: commit.conflicts.len(),
                promotion: commit.promotion,
            }
        }
        CommitOrder::CloneMark { counter } => Entry::CloneMark(*counter),
        CommitOrder::Promotion(promotion) => Entry::Promotion(*promotion),
        CommitOrder::Call { call_counter } => Entry::Call(*call_counter),
    }
}

fn describe(entry: &Entry) -> String {
    let promoted = |promotion: &Promotion| match promotion.version {
        Some(version) => format!(", link key {}", version.get()),
        None => String::new(),
    };
    match entry {
        Entry::Step {
            change,
            records,
            promotion,
            ..
        } => {
            let sequences: Vec<u32> = records.iter().map(|(sequence, _)| *sequence).collect();
            let counter = change.counter.get();
            format!("frame {counter} with {sequences:?}{}", promoted(promotion))
        }
        Entry::CloneMark(counter) => format!("{counter} is never safe again"),
        Entry::Promotion(promotion) => format!("what was proven{}", promoted(promotion)),
        Entry::Call(counter) => format!("call counter {counter}"),
    }
}

/// What is kept of a frame reads the same without a key.
fn check_plaintext(opened: &Opened, frame: &[u8]) {
    let Opened::Uplink(uplink) = opened else {
        return;
    };
    let header = uplink.header.encode();
    assert!(frame.starts_with(header.as_slice()));
    let offset = header.as_slice().len();
    let mode = uplink.header.mode();
    let again = Salvage::decode(&uplink.plaintext, offset, mode).unwrap();
    assert_eq!(again.body, uplink.body);
}
