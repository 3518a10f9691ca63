//! One terminal: its machine, what happens to it, and its way to the server.

mod books;

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::counters::Counters;
use super::mishap::{Fate, Mishaps};
use super::path::Path;
use super::plan::{TerminalPlan, Transport};
use super::script::{Event, Script};
use crate::codec::record::Alarm;
use crate::custody::TerminalLedger;
use crate::household::{Household, Profile};
use crate::keys::{KeyRing, Mode};
use crate::meter::SimMeter;
use crate::nvm::{MemoryNvm, Wipe};
use crate::random::{Random as _, Seeded};
use crate::terminal::{self, Action, Config, Mounted, NoticeDetail, Terminal, TerminalError};
use books::Books;

type Machine = Terminal<MemoryNvm, Seeded, SimMeter>;

/// How soon a terminal that still holds records calls again when the run is over.
const CALL_AGAIN_MS: u64 = 1_000;
/// How often a connection that is held shows life. The specification asks for 25 minutes.
const KEEP_ALIVE_MS: u64 = 5_000;
/// Seconds of a quarter hour, and of a day.
const QUARTER_S: i64 = 900;
const DAY_S: i64 = 86_400;

/// A frame that the shim holds back.
#[derive(Debug)]
enum Held {
    Up { frame: Vec<u8>, alarm: bool },
    Down(Vec<u8>),
}

/// The frame that waits for an answer.
#[derive(Debug)]
struct Asked {
    frame: Vec<u8>,
    first: Instant,
    is_disturbed: bool,
    /// While nothing but the server decides about it: the mark that it was sent under.
    mark: Option<u64>,
}

impl Asked {
    fn leaves_mark(&mut self, counters: &Counters) {
        if let Some(mark) = self.mark.take() {
            counters.leaves_mark(mark);
        }
    }

    fn disturb(&mut self, counters: &Counters) {
        self.is_disturbed = true;
        self.leaves_mark(counters);
    }
}

pub(super) struct Driver {
    plan: TerminalPlan,
    shared: Arc<Shared>,
    random: Seeded,
    script: Script,
    path: Path,
    /// Before the terminal is mounted, and in the moment without power: what a machine is made of.
    parts: Option<(MemoryNvm, Seeded, Vec<Mounted<SimMeter>>)>,
    household: Household,
    next_day: u16,
    /// Days that were measured while the clock was unset.
    days_due: u16,
    books: Books,
    held: Vec<(u64, Held)>,
    asked: Option<Asked>,
    /// The call that is running had an answer.
    is_answered: bool,
    /// When to call again, after the run.
    again_ms: u64,
    keep_alive_ms: u64,
    is_used_up: bool,
}

impl Driver {
    pub(super) fn new(
        seed: u64,
        plan: &TerminalPlan,
        keys: KeyRing,
        path: Path,
        shared: Arc<Shared>,
    ) -> Self {
        let own = seed ^ (u64::from(plan.index) + 1).wrapping_mul(0xA076_1D64_78BD_642F);
        let mut random = Seeded::new(own);
        let script = Script::new(&shared.settings, shared.run_ms(), &mut random);
        let profile = match random.up_to(9) {
            0 => Profile::Vacant,
            1 => Profile::Gaps,
            2..=4 => Profile::Busy,
            _ => Profile::Quiet,
        };
        let household = Household::new(own, profile);
        let serial = format!("{:011}", plan.index);
        let meters = vec![Mounted::gas(serial.as_bytes(), household.register())];
        let nvm = MemoryNvm::provisioned(keys, plan.mode);
        let machine_random = Seeded::new(random.next_u64());
        let zone_s = i64::from(Config::new(plan.owner()).zone_quarter_hours) * QUARTER_S;
        let today = (i64::from(shared.settings.start_utc_s) + zone_s) / DAY_S;
        // All days of the run lie before today.
        let days = usize::from(script.backlog_days) + script.events.len() + 1;
        let first_day = today.saturating_sub(i64::try_from(days).unwrap_or(0));
        Self {
            books: Books::new(plan, Arc::clone(&shared.counters)),
            plan: *plan,
            random,
            script,
            path,
            parts: Some((nvm, machine_random, meters)),
            household,
            next_day: u16::try_from(first_day).unwrap_or(0),
            days_due: 0,
            held: Vec::new(),
            asked: None,
            is_answered: false,
            again_ms: shared.run_ms(),
            keep_alive_ms: 0,
            is_used_up: false,
            shared,
        }
    }

    /// The terminal's life in this run.
    pub(super) async fn run(mut self) -> TerminalLedger {
        sleep_until(self.shared.instant(self.script.begin_ms)).await;
        if self.live().await.is_err() {
            self.shared.counters.failed();
        }
        self.call_over();
        self.books.into_ledger()
    }

    async fn live(&mut self) -> Result<(), TerminalError> {
        let mut machine = self.mount()?;
        loop {
            let now_ms = self.shared.now_ms();
            if now_ms >= self.shared.end_ms() {
                return Ok(());
            }
            machine = self.happen(now_ms, machine)?;
            self.release(now_ms, &mut machine).await?;
            let action = machine.poll(now_ms)?;
            self.settle_books(&mut machine);
            let until_ms = match action {
                Action::Transmit { frame, alarm } => {
                    self.transmit(now_ms, frame, alarm).await;
                    continue;
                }
                Action::WaitUntil(at_ms) => at_ms,
                Action::Sleep { until_ms } => {
                    self.call_over();
                    if self.is_done(now_ms, &machine) {
                        return Ok(());
                    }
                    self.call_again(now_ms, &mut machine, until_ms).await
                }
            };
            self.wait(until_ms, &mut machine).await?;
        }
    }

    /// A technician mounts the terminal: days wait in its store, and mostly its clock is set.
    fn mount(&mut self) -> Result<Machine, TerminalError> {
        let now_ms = self.shared.now_ms();
        let mut machine = self.power_on(now_ms)?;
        if self.plan.index % 8 != 5 {
            machine.set_clock(now_ms, self.utc_s(now_ms))?;
        }
        self.days_due = self.script.backlog_days;
        self.measure(&mut machine)?;
        Ok(machine)
    }

    fn utc_s(&self, now_ms: u64) -> u32 {
        let passed_s = u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX);
        self.shared.settings.start_utc_s.saturating_add(passed_s)
    }

    fn power_on(&mut self, now_ms: u64) -> Result<Machine, TerminalError> {
        let parts = self.parts.take().ok_or(TerminalError::NoMeter)?;
        let (nvm, random, meters) = parts;
        let config = Config::new(self.plan.owner());
        let machine = Terminal::new(config, nvm, random, meters, now_ms)?;
        self.books.powered_on(machine.store());
        Ok(machine)
    }

    /// Stores the days that are due, if the terminal knows what day it is.
    fn measure(&mut self, machine: &mut Machine) -> Result<(), TerminalError> {
        while self.days_due > 0 && machine.clock().is_set() {
            self.days_due -= 1;
            machine.push_day(self.household.day(self.next_day))?;
            self.next_day = self.next_day.saturating_add(1);
        }
        self.books.created(machine.store());
        Ok(())
    }

    /// What the script has for this time.
    fn happen(&mut self, now_ms: u64, mut machine: Machine) -> Result<Machine, TerminalError> {
        while let Some((at_ms, event)) = self.script.events.front().copied() {
            if at_ms > now_ms {
                break;
            }
            self.script.events.pop_front();
            match event {
                Event::Call => {
                    self.days_due = self.days_due.saturating_add(1);
                    self.measure(&mut machine)?;
                    if now_ms >= self.books.not_before_ms() {
                        machine.wake(now_ms);
                    }
                }
                Event::Alarm => {
                    let alarm = Alarm {
                        alarm: 2,
                        state: 1,
                        code: *b"02",
                    };
                    machine.raise(now_ms, 0, &[alarm], &NoticeDetail::default())?;
                    self.books.created(machine.store());
                }
                Event::Restart => machine = self.restart(now_ms, machine)?,
            }
        }
        Ok(machine)
    }

    /// Power goes and comes back. Rarely the memory suffers: the counter, or the waiting records.
    fn restart(&mut self, now_ms: u64, machine: Machine) -> Result<Machine, TerminalError> {
        self.shared.counters.restarted();
        self.call_over();
        self.path.cut();
        let (mut nvm, random, meters) = machine.power_off();
        match self.random.up_to(9) {
            0 => nvm.wipe(Wipe::Records),
            1 | 2 if self.plan.mode != Mode::Clear => nvm.wipe(Wipe::Counters),
            _ => {}
        }
        self.parts = Some((nvm, random, meters));
        self.power_on(now_ms)
    }

    fn fate(&mut self, now_ms: u64) -> Fate {
        if now_ms >= self.shared.run_ms() {
            return Fate::Deliver;
        }
        let mishaps: Mishaps = self.shared.settings.mishaps;
        let fate = mishaps.draw(&mut self.random);
        let counters = &self.shared.counters;
        match fate {
            Fate::Deliver => return fate,
            Fate::Lose => counters.lost(),
            Fate::Twice => counters.duplicated(),
            Fate::Late(_) => counters.delayed(),
        }
        if let Some(asked) = self.asked.as_mut() {
            asked.disturb(counters);
        }
        fate
    }

    async fn transmit(&mut self, now_ms: u64, frame: Vec<u8>, alarm: bool) {
        let is_resync = frame.first() == Some(&0x12);
        let asks = is_resync || frame.get(1).is_some_and(|flags| flags & 0x08 != 0);
        let mut is_repeat = false;
        if asks {
            is_repeat = self.ask(&frame);
            self.path.await_answer_to(&frame);
        }
        self.shared.counters.uplink(is_repeat);
        match self.fate(now_ms) {
            Fate::Lose => self.path.cut(),
            Fate::Late(ms) => self
                .held
                .push((now_ms.saturating_add(ms), Held::Up { frame, alarm })),
            Fate::Twice => {
                self.send(&frame, alarm).await;
                self.send(&frame, alarm).await;
            }
            Fate::Deliver => self.send(&frame, alarm).await,
        }
    }

    /// Notes a frame that asks for an answer; says whether it is one that was sent before.
    fn ask(&mut self, frame: &[u8]) -> bool {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.frame == frame) {
            asked.disturb(&self.shared.counters);
            return true;
        }
        let counters = &self.shared.counters;
        match self.asked.as_mut() {
            Some(asked) => asked.leaves_mark(counters),
            None => counters.flies(),
        }
        self.asked = Some(Asked {
            frame: frame.to_vec(),
            first: Instant::now(),
            is_disturbed: false,
            mark: Some(counters.joins_mark()),
        });
        false
    }

    async fn send(&mut self, frame: &[u8], alarm: bool) {
        if !self.path.send(frame, alarm).await {
            self.shared.counters.connection_failed();
        }
    }

    /// Frames whose delay is over go on their way.
    async fn release(&mut self, now_ms: u64, machine: &mut Machine) -> Result<(), TerminalError> {
        while let Some(at) = self.held.iter().position(|(at_ms, _)| *at_ms <= now_ms) {
            match self.held.swap_remove(at).1 {
                Held::Up { frame, alarm } => self.send(&frame, alarm).await,
                Held::Down(frame) => self.hear(machine, &frame)?,
            }
        }
        Ok(())
    }

    /// Until the machine, the script, the shim or the network has something.
    async fn wait(&mut self, until_ms: u64, machine: &mut Machine) -> Result<(), TerminalError> {
        let scripted = self.script.events.front().map_or(u64::MAX, |(at, _)| *at);
        let held = self.held.iter().map(|(at, _)| *at).min();
        let until_ms = until_ms.min(scripted).min(held.unwrap_or(u64::MAX));
        let frame = tokio::select! {
            frame = self.path.receive() => frame,
            () = sleep_until(self.shared.instant(until_ms)) => return Ok(()),
        };
        let now_ms = self.shared.now_ms();
        match self.fate(now_ms) {
            Fate::Lose => Ok(()),
            Fate::Late(ms) => {
                self.held
                    .push((now_ms.saturating_add(ms), Held::Down(frame)));
                Ok(())
            }
            Fate::Twice => {
                self.hear(machine, &frame)?;
                self.hear(machine, &frame)
            }
            Fate::Deliver => self.hear(machine, &frame),
        }
    }

    fn hear(&mut self, machine: &mut Machine, frame: &[u8]) -> Result<(), TerminalError> {
        machine.handle(self.shared.now_ms(), frame)?;
        self.settle_books(machine);
        if self.days_due > 0 {
            self.measure(machine)?;
        }
        Ok(())
    }

    /// Enters into the books what the machine did since the last time.
    fn settle_books(&mut self, machine: &mut Machine) {
        let events = machine.take_events();
        for event in &events {
            match event {
                terminal::Event::Answered { counter, ack } => self.answered(*counter, *ack),
                terminal::Event::Resynced { .. } => self.stop_asking(),
                terminal::Event::OverBudget if !self.is_used_up => {
                    self.is_used_up = true;
                    self.shared.counters.used_up();
                }
                _ => {}
            }
        }
        self.books.settle(&events, machine);
    }

    fn answered(&mut self, counter: u32, ack: bool) {
        self.is_answered = true;
        let octets = counter.to_be_bytes();
        let is_asked = |asked: &Asked| asked.frame.get(11..15) == Some(octets.as_slice());
        if !self.asked.as_ref().is_some_and(is_asked) {
            return;
        }
        let Some(mut asked) = self.asked.take() else {
            return;
        };
        let counters = &self.shared.counters;
        asked.leaves_mark(counters);
        counters.landed();
        if ack {
            let took = asked.first.elapsed();
            counters.ack.record(took);
            if !asked.is_disturbed {
                counters.ack_undisturbed.record(took);
            }
        }
    }

    fn call_over(&mut self) {
        if std::mem::take(&mut self.is_answered) {
            self.shared.counters.session();
        }
        self.stop_asking();
        self.path.rest();
    }

    fn stop_asking(&mut self) {
        if let Some(mut asked) = self.asked.take() {
            asked.leaves_mark(&self.shared.counters);
            self.shared.counters.landed();
        }
    }

    /// Whether nothing is left to do or to be done.
    fn is_done(&self, now_ms: u64, machine: &Machine) -> bool {
        let is_over = now_ms >= self.shared.run_ms() && self.script.events.is_empty();
        let is_settled = machine.store().is_empty() && self.held.is_empty();
        is_over && (is_settled || self.is_used_up)
    }

    /// While a terminal sleeps: keeps its connection alive, and after the run calls until all is
    /// told safe. Gives the time to look again.
    async fn call_again(&mut self, now_ms: u64, machine: &mut Machine, until_ms: u64) -> u64 {
        let mut next_ms = until_ms;
        if now_ms < self.shared.run_ms() {
            next_ms = next_ms.min(self.shared.run_ms());
        }
        if self.plan.transport == Transport::TcpHeld && self.path.is_held() {
            if now_ms >= self.keep_alive_ms {
                self.path.keep_alive().await;
                self.keep_alive_ms = now_ms.saturating_add(KEEP_ALIVE_MS);
            }
            next_ms = next_ms.min(self.keep_alive_ms);
        }
        if machine.store().is_empty() {
            return next_ms;
        }
        let again_ms = self.again_ms.max(self.books.not_before_ms());
        if now_ms >= again_ms {
            machine.wake(now_ms);
            self.again_ms = now_ms.saturating_add(CALL_AGAIN_MS);
            return now_ms;
        }
        next_ms.min(again_ms)
    }
}
