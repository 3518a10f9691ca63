//! Terminals of a plan that call the real binary over UDP, one call after another. A terminal's own
//! time runs ahead where it only waits; the server's is real.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use kenshin::wire::hex::Hex;
use simulator::codec::record::{Alarm, CommandResult, MeterRef, Record};
use simulator::fleet::{FleetPlan, TerminalPlan};
use simulator::household::{Household, Profile};
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::store::ToldSafe;
use simulator::terminal::{Action, Config, Event, Mounted, NoticeDetail, Terminal};

use super::serve::Site;

/// How long an answer is waited for. A server says nothing twice in a second.
const ANSWER_WAIT: Duration = Duration::from_millis(1_300);
const METER: MeterRef = MeterRef {
    slot: 0,
    generation: 0,
};

/// What a call came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// Records told safe by it.
    pub(crate) told_safe: usize,
    /// Whether the server asked to come back, in an answer that verified.
    pub(crate) came_back: bool,
    /// Datagrams that came from the server.
    pub(crate) answers: usize,
}

pub(crate) struct Caller {
    /// Utility and terminal, as they stand in the id of a record.
    name: String,
    terminal: Terminal<MemoryNvm, Seeded, SimMeter>,
    household: Household,
    day: u16,
    socket: UdpSocket,
    now_ms: u64,
    /// Transmissions of one call at most.
    pub(crate) patience: usize,
}

impl Caller {
    pub(crate) fn new(plan: &FleetPlan, of: &TerminalPlan, utc_s: u32) -> Self {
        let nvm = MemoryNvm::provisioned(plan.keys(of).unwrap(), of.mode);
        let mounted = vec![Mounted::gas(b"12345678901", 123_456)];
        let random = Seeded::new(u64::from(of.index) + 1);
        let config = Config::new(of.owner());
        let terminal = Terminal::new(config, nvm, random, mounted, 0).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
        Self {
            name: format!("{}-{}", Hex(&of.utility), Hex(&of.identity)),
            terminal,
            household: Household::new(u64::from(of.index), Profile::Quiet),
            day: u16::try_from(utc_s / 86_400).unwrap() - 300,
            socket,
            now_ms: 0,
            patience: 4,
        }
    }

    pub(crate) fn told_safe(&self) -> usize {
        self.terminal.told_safe().len()
    }

    /// The ids of the records that were told safe.
    pub(crate) fn safe_ids(&self) -> BTreeSet<String> {
        self.ids(|_| true)
    }

    /// The ids of the alarm notices that were told safe.
    pub(crate) fn safe_alarm_ids(&self) -> BTreeSet<String> {
        self.ids(|one| matches!(one.record.as_ref(), Record::AlarmNotice(_)))
    }

    fn ids(&self, is_wanted: impl Fn(&ToldSafe) -> bool) -> BTreeSet<String> {
        let safe = self.terminal.told_safe().iter();
        let id = |one: &ToldSafe| format!("{}-{:08x}-{}-0", self.name, one.epoch, one.sequence);
        safe.filter(|one| is_wanted(one)).map(id).collect()
    }

    /// Where it calls from.
    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// Calls with what waits.
    pub(crate) fn call(&mut self, site: &Site) -> Outcome {
        self.terminal.wake(self.now_ms);
        self.talk(site)
    }

    /// Calls with a day's reading.
    pub(crate) fn reading(&mut self, site: &Site) -> Outcome {
        let day = self.household.day(self.day);
        self.terminal.push_day(day).unwrap();
        self.day += 1;
        self.call(site)
    }

    /// Calls with the result of a command.
    pub(crate) fn result(&mut self, site: &Site) -> Outcome {
        let result = CommandResult {
            stamp: self.terminal.clock().stamp(self.now_ms),
            command: 1,
            kind: 2,
            meter: METER,
            valve: 1,
            outcome: 1,
            data: Vec::new(),
            proof: None,
        };
        self.terminal.push(Record::CommandResult(result)).unwrap();
        self.call(site)
    }

    /// Raises an alarm, which is sent at once.
    pub(crate) fn alarm(&mut self, site: &Site) -> Outcome {
        let alarm = Alarm {
            alarm: 2,
            state: 1,
            code: *b"02",
        };
        let detail = NoticeDetail::default();
        let raised = self.terminal.raise(self.now_ms, 0, &[alarm], &detail);
        raised.unwrap();
        self.talk(site)
    }

    fn talk(&mut self, site: &Site) -> Outcome {
        let before = self.told_safe();
        let mut outcome = Outcome::default();
        let mut sent = 0;
        // A call is some transmissions and waits long.
        for _ in 0..200 {
            match self.terminal.poll(self.now_ms).unwrap() {
                Action::Transmit { frame, alarm } => {
                    sent += 1;
                    let to = if alarm { site.alarm } else { site.udp };
                    self.socket.send_to(&frame, to).unwrap();
                }
                Action::WaitUntil(until_ms) => {
                    let mut octets = [0; 2_048];
                    match self.socket.recv_from(&mut octets) {
                        Ok((len, _)) => {
                            outcome.answers += 1;
                            self.now_ms += 50;
                            let handled = self.terminal.handle(self.now_ms, &octets[..len]);
                            handled.unwrap();
                        }
                        Err(_) if sent >= self.patience => break,
                        Err(_) => self.now_ms = until_ms.max(self.now_ms + 100),
                    }
                }
                Action::Sleep { .. } => break,
            }
        }
        let events = self.terminal.take_events();
        let is_come_back = |event: &Event| matches!(event, Event::ComeBack { .. });
        outcome.came_back = events.iter().any(is_come_back);
        outcome.told_safe = self.told_safe() - before;
        outcome
    }
}

/// The ids of the records in files.
pub(crate) fn ids_in<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> BTreeSet<String> {
    let texts = files.into_iter().map(std::fs::read_to_string);
    let text: String = texts.map(Result::unwrap).collect();
    // The last line of a file that was taken away may be torn.
    let records = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    records
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until all that is safe is in the sink's files, and says what is not after half a minute.
pub(crate) fn assert_delivered(site: &Site, more: &[&Path], safe: &BTreeSet<String>) {
    let mut missing = Vec::new();
    for _ in 0..600 {
        let entries = std::fs::read_dir(site.records()).unwrap();
        let files = entries.map(|one| one.unwrap().path());
        let found = ids_in(files.chain(more.iter().map(|path| path.to_path_buf())));
        missing = safe.difference(&found).cloned().collect();
        if missing.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("told safe and not delivered: {missing:?}");
}
