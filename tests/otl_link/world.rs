//! A terminal, a server and the link between them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kenshin::crypto::key::{Command, KeyEncryption, KeyOctets, Link as LinkPurpose, Master};
use kenshin::keyring::{
    Approval, CommandKeyring, CommandSigner as _, KeyState, Ledger, LedgerSnapshot, LinkKeyring,
    LocalSigner, NewKey, Registration, ResultCheck, SignerClock, UtilityId, VolatileJournal,
};
use kenshin::session::otl::answer_gate::AnswerGate;
use kenshin::session::otl::hand_over::WaitingCommand;
use kenshin::session::otl::link::{Link, LinkState};
use kenshin::session::otl::ns_mark::NsMark;
use kenshin::session::otl::open::{Answered, Opened, OpenedUplink, Promotion, open};
use kenshin::session::otl::records::{Known, RecordIndex, RecordKey, content};
use kenshin::session::otl::refusal::Refusal;
use kenshin::session::otl::seal::{Sealed, Sealer, seal_answer, seal_resync_answer};
use kenshin::session::otl::step::{AnswerPlan, Commit, Step, Surroundings};
use kenshin::wire::otl::ident::{KeyVersion, Mode};
use kenshin::wire::otl::meter::Meter;
use kenshin::wire::otl::record::{Record, RecordBody};
use kenshin::wire::otl::registry::commands::{CommandKind, Precondition};
use simulator::codec::record::Alarm;
use simulator::crypto::SecretKey;
use simulator::household::{Household, Profile};
use simulator::keys::{self, KeyRing, Owner, Pair, Purpose};
use simulator::meter::SimMeter;
use simulator::nvm::{MemoryNvm, Wipe};
use simulator::random::{Random as _, Seeded};
use simulator::terminal::{Action, Config, Mounted, NoticeDetail, Terminal};

pub(crate) type SimTerminal = Terminal<MemoryNvm, Seeded, SimMeter>;

pub(crate) const UTILITY: [u8; 8] = *b"gasworks";
pub(crate) const IDENTITY: [u8; 8] = [0x00, 0x07, 0, 0, 0x49, 0x96, 0x02, 0xD2];
pub(crate) const START_UTC_S: u32 = 1_793_404_800;
const DAY_MS: u64 = 86_400_000;

/// Masters of three purposes, two versions each. All of 32 octets, so that every mode works.
fn master(purpose: u8, version: u8) -> [u8; 32] {
    core::array::from_fn(|i| purpose * 16 + version + i as u8)
}

/// What the server keeps on disk.
#[derive(Clone)]
pub(crate) struct Durable {
    pub(crate) link: LinkState,
    pub(crate) records: BTreeMap<(u32, u32), Vec<u8>>,
    pub(crate) quarantined: usize,
    pub(crate) mark: NsMark,
    pub(crate) registration: Registration,
    pub(crate) commands_stopped: bool,
    pub(crate) ledger: LedgerSnapshot,
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

pub(crate) struct Server {
    pub(crate) keys: LinkKeyring,
    pub(crate) link: Link,
    pub(crate) signer: LocalSigner<VolatileJournal>,
    pub(crate) durable: Durable,
    pub(crate) gate: AnswerGate,
    pub(crate) now_utc_s: u32,
    pub(crate) waiting: Option<WaitingCommand>,
    pub(crate) clones: usize,
    pub(crate) proven: Vec<(u32, u8)>,
    pub(crate) last: Option<Result<(), Refusal>>,
    random: Seeded,
    /// Whether the system gives random numbers.
    pub(crate) draws: bool,
    /// The clock of the signer's own machine: nobody here sets it back.
    pub(crate) signer_clock: Arc<AtomicU32>,
}

fn secret(octets: [u8; 32]) -> KeyOctets {
    KeyOctets::from_slice(&octets).unwrap()
}

pub(crate) fn link_keys(registration: Registration) -> LinkKeyring {
    let mut keys = LinkKeyring::new();
    let utility = UtilityId::new(UTILITY);
    keys.add_utility(utility, "test");
    for version in 1..=2 {
        let key = Master::<LinkPurpose>::new(secret(master(1, version)));
        keys.add_master(utility, version, KeyState::Active, true, key)
            .unwrap();
    }
    keys.register(IDENTITY, registration).unwrap();
    keys
}

pub(crate) fn command_keys() -> CommandKeyring {
    let mut keys = CommandKeyring::new();
    let utility = UtilityId::new(UTILITY);
    keys.add_utility(utility, "test");
    for version in 1..=2 {
        let key = Master::<Command>::new(secret(master(2, version)));
        keys.add_command_master(utility, version, KeyState::Active, true, key)
            .unwrap();
        let key = Master::<KeyEncryption>::new(secret(master(3, version)));
        keys.add_kek_master(utility, version, KeyState::Active, true, key)
            .unwrap();
    }
    keys.register(IDENTITY, utility).unwrap();
    keys
}

impl Server {
    pub(crate) fn new(mode: Mode) -> Self {
        let mut registration = Registration::new(UtilityId::new(UTILITY), mode);
        registration.allow_mode0 = mode == Mode::Clear;
        let durable = Durable {
            link: LinkState::default(),
            records: BTreeMap::new(),
            quarantined: 0,
            mark: NsMark::default(),
            registration,
            commands_stopped: false,
            ledger: Ledger::new().snapshot(),
        };
        let clock = Arc::new(AtomicU32::new(START_UTC_S));
        Self::start(durable, Ledger::new(), START_UTC_S - 10, clock)
    }

    /// A process that comes up on what is on disk.
    fn start(
        mut durable: Durable,
        ledger: Ledger,
        now_utc_s: u32,
        signer_clock: Arc<AtomicU32>,
    ) -> Self {
        durable.mark = durable.mark.started(now_utc_s);
        let clock = Arc::clone(&signer_clock);
        let clock = SignerClock::new(move || clock.load(Ordering::Relaxed));
        Self {
            keys: link_keys(durable.registration.clone()),
            link: Link::new(durable.link),
            signer: LocalSigner::new(command_keys(), ledger, VolatileJournal, clock),
            signer_clock,
            gate: AnswerGate::new(now_utc_s),
            now_utc_s,
            waiting: None,
            clones: 0,
            proven: Vec::new(),
            last: None,
            random: Seeded::new(u64::from(now_utc_s) ^ 0x5EED),
            draws: true,
            durable,
        }
    }

    /// What a backup taken now would hold.
    pub(crate) fn backup(&self) -> Durable {
        Durable {
            ledger: self.signer.snapshot().unwrap(),
            ..self.durable.clone()
        }
    }

    /// A restart that forgets all that is not on disk.
    pub(crate) fn restart(&mut self) {
        let ledger = Ledger::reopen(self.signer.snapshot().unwrap());
        let clock = Arc::clone(&self.signer_clock);
        let next = Self::start(self.durable.clone(), ledger, self.now_utc_s, clock);
        let before = std::mem::replace(self, next);
        self.carry_over(before);
    }

    /// A restart on an older copy of the disk.
    pub(crate) fn restore(&mut self, backup: Durable) {
        let ledger = Ledger::restore(backup.ledger.clone());
        let clock = Arc::clone(&self.signer_clock);
        let next = Self::start(backup, ledger, self.now_utc_s, clock);
        let before = std::mem::replace(self, next);
        self.carry_over(before);
    }

    /// What lies outside of the process: the source of randomness, the waiting command, the tally.
    fn carry_over(&mut self, before: Self) {
        self.random = before.random;
        self.waiting = before.waiting;
        self.proven = before.proven;
        self.clones += before.clones;
    }

    /// Approves a command and puts it where the terminal's next call finds it.
    pub(crate) fn approve(&mut self, sequence: u32, kind: CommandKind, parameters: &[u8]) {
        self.approve_with(sequence, kind, parameters, Precondition::NONE);
    }

    pub(crate) fn approve_with(
        &mut self,
        sequence: u32,
        kind: CommandKind,
        parameters: &[u8],
        precondition: Precondition,
    ) {
        let not_after_utc_s = self.now_utc_s + 172_800;
        let approval = Approval {
            kind: kind.code(),
            meter: 0,
            precondition: precondition.code(),
            not_after_utc_s,
            parameters: parameters.to_vec(),
        };
        self.signer.approve(IDENTITY, sequence, approval).unwrap();
        self.waiting = Some(WaitingCommand {
            key_version: KeyVersion::new(1).unwrap(),
            sequence: sequence.try_into().unwrap(),
            kind,
            meter: Meter::from_octet(0),
            precondition,
            not_after_utc_s,
            parameters: parameters.to_vec(),
        });
    }

    /// Approves the installation of link key version 2.
    pub(crate) fn approve_link_key_2(&mut self, sequence: u32) {
        let base = self.keys.base_key_for_install(&IDENTITY, 2).unwrap();
        let new = NewKey::Link { version: 2, base };
        let parameters = self
            .signer
            .keys()
            .install_parameters(&IDENTITY, 1, &new)
            .unwrap();
        self.approve(sequence, CommandKind::KEY_INSTALL, parameters.as_octets());
    }

    /// Takes a frame from the air and gives the answer, if there is one.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        match open(frame, &self.keys) {
            Err(refusal) => {
                self.last = Some(Err(refusal));
                None
            }
            Ok(Opened::Resync(resync)) => {
                self.last = Some(Ok(()));
                self.promote(&resync.promotion);
                self.advance_mark();
                let mut with = Sealer {
                    now_utc_s: self.now_utc_s,
                    random: &mut || self.draws.then(|| self.random.u32()),
                    mark: &self.durable.mark,
                    signer: &self.signer,
                };
                let window = self.durable.link.window;
                frame_of(seal_resync_answer(&resync, &window, &mut self.gate, &mut with).unwrap())
            }
            Ok(Opened::Unreadable(uplink)) => {
                self.last = Some(Err(uplink.refusal));
                let around = Surroundings {
                    now_utc_s: self.now_utc_s,
                    waiting: None,
                    commands_stopped: self.durable.commands_stopped,
                    mark: &self.durable.mark,
                };
                let step = self.link.receive_unreadable(&uplink, &around);
                let plan = self.take(step)?;
                self.seal(&plan, &uplink.header, &uplink.answered, frame.len())
            }
            Ok(Opened::Uplink(uplink)) => {
                self.last = Some(Ok(()));
                self.uplink(*uplink, frame.len())
            }
        }
    }

    fn uplink(&mut self, uplink: OpenedUplink, len: usize) -> Option<Vec<u8>> {
        let header = uplink.header;
        let answered = Answered {
            header: uplink.answered.header,
            tag: uplink.answered.tag,
            key: open_again(&self.keys, &header).expect("the key that opened the frame"),
        };
        let around = Surroundings {
            now_utc_s: self.now_utc_s,
            waiting: self.waiting.as_ref(),
            commands_stopped: self.durable.commands_stopped,
            mark: &self.durable.mark,
        };
        let index = Index(&self.durable.records);
        let step = self.link.receive(uplink, &index, &around);
        let plan = self.take(step)?;
        self.seal(&plan, &header, &answered, len)
    }

    /// Makes durable what is to be, and gives what is to be answered.
    fn take(&mut self, step: Step) -> Option<AnswerPlan> {
        let plan = match step {
            Step::Commit(commit) => {
                self.make_durable(&commit);
                self.link.committed(*commit)
            }
            Step::Answer(plan) => {
                self.promote(&plan.promotion);
                Some(*plan)
            }
            Step::Clone { window } => {
                self.durable.link.window = window;
                self.clones += 1;
                None
            }
            Step::Joined | Step::Silent | Step::Shed | Step::Unsure => None,
        };
        self.durable.link = *self.link.state();
        plan
    }

    fn promote(&mut self, promotion: &Promotion) {
        if let Some(version) = promotion.version {
            self.keys.promote(&IDENTITY, version.get()).unwrap();
        }
        if let Some(mode) = promotion.mode {
            self.keys.promote_mode(&IDENTITY, mode).unwrap();
        }
        self.durable.registration = self.keys.registration(&IDENTITY).unwrap().clone();
    }

    fn make_durable(&mut self, commit: &Commit) {
        let epoch = commit.report.map_or(NonZeroU32::MAX, |report| report.epoch);
        for record in &commit.records {
            let key = (epoch.get(), record.sequence.get());
            self.durable.records.insert(key, content(record));
            self.check_result(record, epoch);
        }
        self.durable.quarantined += commit.conflicts.len() + commit.damaged.len();
        self.durable.commands_stopped |= commit.rollback_suspected;
        if let Some(command) = &commit.command
            && command.kind == CommandKind::MODE_CHANGE
        {
            let mode = Mode::from_number(command.parameters[0]).unwrap();
            self.keys.offer_mode(&IDENTITY, mode).unwrap();
        }
        self.promote(&commit.promotion);
    }

    /// What the signer says of a result: only that resolves a command.
    fn check_result(&mut self, record: &Record, epoch: NonZeroU32) {
        let RecordBody::CommandResult(result) = &record.body else {
            return;
        };
        let Some(proof) = result.proof else { return };
        let octets = content(record);
        let check = ResultCheck {
            key_version: proof.key_version.get(),
            input: kenshin::crypto::otl::ResultInput {
                identity: IDENTITY,
                store_epoch: epoch.get(),
                record_sequence: record.sequence.get(),
                record_type: octets[0],
                body: &octets[1..],
            },
            mac: proof.mac.0,
        };
        if self.signer.verify_result(&check).is_ok() {
            self.proven.push((result.command, result.outcome.code()));
        }
    }

    fn advance_mark(&mut self) {
        if !self.durable.mark.covers(self.now_utc_s) {
            self.durable.mark = self.durable.mark.clone().advanced(self.now_utc_s);
        }
    }

    fn seal(
        &mut self,
        plan: &AnswerPlan,
        header: &kenshin::wire::otl::header::UplinkHeader,
        answered: &Answered,
        len: usize,
    ) -> Option<Vec<u8>> {
        self.advance_mark();
        let mut with = Sealer {
            now_utc_s: self.now_utc_s,
            random: &mut || self.draws.then(|| self.random.u32()),
            mark: &self.durable.mark,
            signer: &self.signer,
        };
        frame_of(seal_answer(plan, header, answered, len, &mut self.gate, &mut with).unwrap())
    }
}

fn frame_of(sealed: Sealed) -> Option<Vec<u8>> {
    match sealed {
        Sealed::Frame { frame, .. } | Sealed::Repeat(frame) => Some(frame),
        Sealed::Silent | Sealed::NoRandom => None,
        Sealed::NeedsMark => panic!("the mark was advanced before"),
    }
}

/// The key of a frame, derived a second time, since opening it handed the first one on.
fn open_again(
    keys: &LinkKeyring,
    header: &kenshin::wire::otl::header::UplinkHeader,
) -> Option<Option<kenshin::crypto::otl::LinkKey>> {
    let version = header.key_version().map_or(0, |version| version.get());
    keys.opening_key(&IDENTITY, header.mode(), version)
        .ok()
        .map(|opening| opening.key)
}

/// What the link does to a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Deliver,
    Lose,
    /// It comes twice.
    Twice,
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) terminal: Option<SimTerminal>,
    pub(crate) now_ms: u64,
    /// Every uplink that left, in order.
    pub(crate) uplinks: Vec<Vec<u8>>,
    /// Every answer that left, with the uplink that it answers.
    pub(crate) answers: Vec<(Vec<u8>, Vec<u8>)>,
    /// All that was ever told safe, over restarts of the terminal.
    pub(crate) safe: Vec<(u32, u32, Vec<u8>)>,
    pub(crate) up: fn(usize) -> Fate,
    pub(crate) down: fn(usize) -> Fate,
    household: Household,
    day: u16,
}

pub(crate) fn sim_mode(mode: Mode) -> keys::Mode {
    keys::Mode::from_code(mode.number()).unwrap()
}

fn owner() -> Owner {
    Owner {
        utility: keys::Utility(UTILITY),
        identity: keys::Identity(IDENTITY),
    }
}

fn sim_keys() -> KeyRing {
    let base = |purpose: Purpose| {
        let master = SecretKey::new(&master(purpose.code(), 1)).unwrap();
        Pair::of(keys::base_key(&master, &owner(), purpose, 1).unwrap())
    };
    KeyRing {
        link: base(Purpose::Link),
        command: base(Purpose::Command),
        key_encryption: base(Purpose::KeyEncryption),
    }
}

impl World {
    pub(crate) fn new(mode: Mode) -> Self {
        let nvm = MemoryNvm::provisioned(sim_keys(), sim_mode(mode));
        let config = Config::new(owner());
        let terminal = Terminal::new(
            config,
            nvm,
            Seeded::new(7),
            vec![Mounted::gas(b"12345678901", 123_456)],
            0,
        )
        .unwrap();
        Self {
            server: Server::new(mode),
            terminal: Some(terminal),
            now_ms: 0,
            uplinks: Vec::new(),
            answers: Vec::new(),
            safe: Vec::new(),
            up: |_| Fate::Deliver,
            down: |_| Fate::Deliver,
            household: Household::new(1, Profile::Quiet),
            day: (START_UTC_S / 86_400) as u16,
        }
    }

    pub(crate) fn terminal(&mut self) -> &mut SimTerminal {
        self.terminal.as_mut().unwrap()
    }

    /// A perfect link from now on.
    pub(crate) fn mend_link(&mut self) {
        self.up = |_| Fate::Deliver;
        self.down = |_| Fate::Deliver;
    }

    /// Lets virtual time pass, with all that the terminal wants to send in it.
    pub(crate) fn run_for(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 100_000, "the terminal does not come to rest");
            let now = self.now_ms;
            match self.terminal().poll(now).unwrap() {
                Action::Transmit { frame, .. } => self.exchange(frame),
                Action::WaitUntil(at) | Action::Sleep { until_ms: at } => {
                    if at > end {
                        break;
                    }
                    self.now_ms = at.max(self.now_ms + 1);
                }
            }
        }
        self.now_ms = end;
        self.collect();
    }

    fn exchange(&mut self, frame: Vec<u8>) {
        // An uplink takes a second to arrive, and so does its answer.
        self.set_server_time(self.utc_s() + 1);
        let fate = (self.up)(self.uplinks.len());
        self.uplinks.push(frame.clone());
        let times = match fate {
            Fate::Lose => 0,
            Fate::Deliver => 1,
            Fate::Twice => 2,
        };
        for _ in 0..times {
            if let Some(answer) = self.server.receive(&frame) {
                self.answer(&frame, answer);
            }
            self.set_server_time(self.server.now_utc_s + 1);
        }
    }

    /// The server's clock and the signer's, which both tell the truth unless a test says otherwise.
    pub(crate) fn set_server_time(&mut self, utc_s: u32) {
        self.server.now_utc_s = utc_s;
        self.server.signer_clock.store(utc_s, Ordering::Relaxed);
    }

    fn answer(&mut self, uplink: &[u8], answer: Vec<u8>) {
        let fate = (self.down)(self.answers.len());
        self.answers.push((uplink.to_vec(), answer.clone()));
        let times = match fate {
            Fate::Lose => 0,
            Fate::Deliver => 1,
            Fate::Twice => 2,
        };
        for _ in 0..times {
            let at = self.now_ms + 2_000;
            self.now_ms = at;
            self.terminal().handle(at, &answer).unwrap();
        }
    }

    /// The server's true time.
    pub(crate) fn utc_s(&self) -> u32 {
        START_UTC_S + u32::try_from(self.now_ms / 1_000).unwrap()
    }

    /// One more day is measured; it goes out with the next call.
    pub(crate) fn push_day(&mut self) {
        let day = self.household.day(self.day);
        self.day += 1;
        self.terminal().push_day(day).unwrap();
    }

    /// A day's record, or in between an alarm.
    pub(crate) fn push_day_or_alarm(&mut self, round: u64) {
        if round.is_multiple_of(3) {
            let alarm = Alarm {
                alarm: 2,
                state: 1,
                code: *b"02",
            };
            let now = self.now_ms;
            self.terminal()
                .raise(now, 0, &[alarm], &NoticeDetail::default())
                .unwrap();
        } else {
            self.push_day();
        }
    }

    /// A day passes: a record is made, the slot comes, the terminal calls.
    pub(crate) fn day(&mut self) {
        self.push_day();
        self.run_for(DAY_MS);
    }

    /// The terminal sets itself up: first call, clock, slot.
    pub(crate) fn settle(&mut self) {
        self.run_for(DAY_MS);
        assert!(
            self.terminal().clock().is_set(),
            "the first answers set the clock"
        );
    }

    /// As [`Self::settle`], for a terminal that nobody answers.
    pub(crate) fn settle_without_clock(&mut self) {
        self.run_for(DAY_MS);
    }

    /// Power goes and comes back; `wipe` says what memory lost.
    pub(crate) fn power_cycle(&mut self, wipe: Option<Wipe>) {
        self.collect();
        let (mut nvm, mut random, meters) = self.terminal.take().unwrap().power_off();
        if let Some(wipe) = wipe {
            nvm.wipe(wipe);
        }
        nvm.power_on();
        let random = Seeded::new(random.next_u64());
        self.boot(nvm, random, meters);
    }

    pub(crate) fn boot(&mut self, nvm: MemoryNvm, random: Seeded, meters: Vec<Mounted<SimMeter>>) {
        let config = Config::new(owner());
        self.terminal = Some(Terminal::new(config, nvm, random, meters, self.now_ms).unwrap());
    }

    /// Takes over what the terminal was told since the last time.
    fn collect(&mut self) {
        let told: Vec<_> = self.terminal().told_safe().to_vec();
        for safe in told {
            let mut octets = vec![safe.record.number()];
            octets.extend_from_slice(&safe.body);
            let fact = (safe.epoch, safe.sequence, octets);
            if !self.safe.contains(&fact) {
                self.safe.push(fact);
            }
        }
    }

    /// Nothing was told safe that the server does not hold, content included.
    pub(crate) fn check_custody(&mut self) {
        self.collect();
        for (epoch, sequence, octets) in &self.safe {
            let kept = self.server.durable.records.get(&(*epoch, *sequence));
            let kept = kept.unwrap_or_else(|| panic!("{epoch}/{sequence} told safe and not kept"));
            assert!(
                octets.starts_with(kept),
                "{epoch}/{sequence} kept with other content"
            );
        }
    }

    /// Everything that the terminal ever stored was told safe and is kept.
    pub(crate) fn check_all_in(&mut self) {
        self.check_custody();
        assert!(
            self.terminal().store().is_empty(),
            "records are still waiting"
        );
    }
}

/// The MAC of a bound command, made with the signer's key.
pub(crate) fn mac_of(
    key: &kenshin::crypto::otl::CommandKey,
    item: &kenshin::wire::otl::command::CommandItem,
    ns: kenshin::wire::otl::ident::Ns,
    uplink: &[u8],
    header: &kenshin::wire::otl::header::UplinkHeader,
) -> [u8; 16] {
    let mode = header.mode();
    let head = kenshin::crypto::otl::CommandHead {
        key_version: item.key_version.get(),
        sequence: item.sequence.get(),
        kind: item.kind.code(),
        meter: item.meter.octet(),
        precondition: item.precondition.code(),
        not_after_utc_s: item.not_after_utc_s,
    };
    let input = kenshin::crypto::otl::CommandInput {
        identity: IDENTITY,
        head,
        parameters: &item.parameters,
        bound_to: Some(kenshin::crypto::otl::AnsweredUplink {
            server_nonce: ns.octets(),
            header: &uplink[..mode.uplink_header_len()],
            tag: &uplink[uplink.len() - mode.tag_len()..],
        }),
    };
    key.mac(&input).unwrap().0
}
