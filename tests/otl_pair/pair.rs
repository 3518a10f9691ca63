//! A terminal, a server, the link between them, and virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use kenshin::session::otl::machine::Input;
use kenshin::wire::otl::ident::{Direction, Mode};
use simulator::codec::record::Alarm;
use simulator::household::{Household, Profile};
use simulator::nvm::Wipe;
use simulator::random::{Random as _, Seeded};
use simulator::terminal::{Action, Event, NoticeDetail};

use super::journal::{Journal, describe};
use super::parties::{self, SimTerminal};
use super::server::{Path, START_UTC_S, Sent, Server};

pub(crate) const DAY_MS: u64 = 86_400_000;

/// What the network does to datagrams. Connections lose nothing and keep their order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) lost_percent: u64,
    pub(crate) twice_percent: u64,
    pub(crate) delay_ms: (u64, u64),
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        lost_percent: 0,
        twice_percent: 0,
        delay_ms: (200, 200),
    };
}

enum Happens {
    AtServer { path: Path, octets: Vec<u8> },
    AtTerminal { path: Path, octets: Vec<u8> },
    ServerSeesEnd(u32),
}

pub(crate) struct PairWorld {
    pub(crate) server: Server,
    terminal: Option<SimTerminal>,
    pub(crate) now_ms: u64,
    pub(crate) journal: Journal,
    pub(crate) weather: Weather,
    /// How many of the next uplinks and answers are lost, whatever the weather.
    pub(crate) lose_up: u32,
    pub(crate) lose_down: u32,
    /// The network's address for the terminal.
    pub(crate) port: u16,
    /// Whether the terminal uses TCP, and whether it keeps the connection while it sleeps.
    pub(crate) uses_tcp: bool,
    pub(crate) holds_tcp: bool,
    connection: Option<u32>,
    next_connection: u32,
    /// Connections keep their order.
    busy_until: HashMap<Path, u64>,
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    happens: HashMap<u64, Happens>,
    next_event: u64,
    random: Seeded,
    pub(crate) household: Household,
    day: u16,
    pub(crate) days_pushed: usize,
    /// All that was ever told safe, over restarts of the terminal.
    pub(crate) safe: Vec<(u32, u32, Vec<u8>)>,
    told: usize,
    pub(crate) uplinks: Vec<Vec<u8>>,
}

impl PairWorld {
    pub(crate) fn new(mode: Mode, seed: u64, journal: Journal) -> Self {
        Self {
            server: Server::new(mode),
            terminal: Some(parties::new_terminal(mode, seed)),
            now_ms: 0,
            journal,
            weather: Weather::FAIR,
            lose_up: 0,
            lose_down: 0,
            port: 4001,
            uses_tcp: false,
            holds_tcp: false,
            connection: None,
            next_connection: 1,
            busy_until: HashMap::new(),
            heap: BinaryHeap::new(),
            happens: HashMap::new(),
            next_event: 0,
            random: Seeded::new(seed ^ 0x11_4B),
            household: Household::new(seed, Profile::Quiet),
            day: (START_UTC_S / 86_400) as u16,
            days_pushed: 0,
            safe: Vec::new(),
            told: 0,
            uplinks: Vec::new(),
        }
    }

    pub(crate) fn terminal(&mut self) -> &mut SimTerminal {
        self.terminal.as_mut().unwrap()
    }

    fn note(&mut self, who: &str, what: &str) {
        self.journal.note(self.now_ms, who, what);
    }

    fn later(&mut self, at_ms: u64, what: Happens) {
        let id = self.next_event;
        self.next_event += 1;
        self.heap.push(Reverse((at_ms, id)));
        self.happens.insert(id, what);
    }

    /// Lets virtual time pass.
    pub(crate) fn run_for(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 200_000, "nothing comes to rest");
            let now = self.now_ms;
            self.server.tick(now, &mut self.journal);
            self.carry();
            let wakes_ms = match self.terminal().poll(now).unwrap() {
                Action::Transmit { frame, .. } => {
                    self.transmit(frame);
                    continue;
                }
                Action::WaitUntil(at) => at,
                Action::Sleep { until_ms } => {
                    if !self.holds_tcp {
                        self.hang_up();
                    }
                    until_ms
                }
            };
            self.tell();
            let arrives_ms = self.heap.peek().map(|Reverse((at, _))| *at);
            let server_ms = self.server.due_ms();
            let next = [Some(wakes_ms), arrives_ms, server_ms];
            let next = next.into_iter().flatten().min().unwrap();
            if next > end {
                break;
            }
            self.now_ms = next.max(now);
            if arrives_ms == Some(next) {
                let Reverse((_, id)) = self.heap.pop().unwrap();
                let what = self.happens.remove(&id).unwrap();
                self.happen(what);
            } else if next <= now && wakes_ms == next {
                self.now_ms = now + 1;
            }
        }
        self.now_ms = end;
        self.server.tick(end, &mut self.journal);
        self.tell();
    }

    fn transmit(&mut self, octets: Vec<u8>) {
        let path = if self.uses_tcp {
            let number = self.connect();
            Path::Tcp(number)
        } else {
            Path::Udp(self.port)
        };
        let what = describe(&octets, Direction::FromTerminal);
        self.note("terminal", &format!("{path} > {what}"));
        self.uplinks.push(octets.clone());
        self.send_up(path, octets);
    }

    fn connect(&mut self) -> u32 {
        if let Some(number) = self.connection {
            return number;
        }
        let number = self.next_connection;
        self.next_connection += 1;
        self.connection = Some(number);
        self.note("terminal", &format!("connects as tcp#{number}"));
        number
    }

    /// Puts octets on the way to the server, as anybody could.
    pub(crate) fn send_up(&mut self, path: Path, octets: Vec<u8>) {
        if self.lose_up > 0 {
            self.lose_up -= 1;
            return self.note("network", "loses it");
        }
        for at_ms in self.arrivals(path) {
            let octets = octets.clone();
            self.later(at_ms, Happens::AtServer { path, octets });
        }
    }

    /// When copies of a frame come out of the network.
    fn arrivals(&mut self, path: Path) -> Vec<u64> {
        let weather = self.weather;
        let (least, most) = weather.delay_ms;
        let mut copies = 1;
        if matches!(path, Path::Udp(_)) {
            if self.random.up_to(99) < weather.lost_percent {
                self.note("network", "loses it");
                return Vec::new();
            }
            if self.random.up_to(99) < weather.twice_percent {
                copies = 2;
            }
        }
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let mut at_ms = self.now_ms + least + self.random.up_to(most - least);
            if matches!(path, Path::Tcp(_)) {
                let busy = self.busy_until.entry(path).or_insert(0);
                at_ms = at_ms.max(*busy);
                *busy = at_ms;
            }
            arrivals.push(at_ms);
        }
        arrivals
    }

    /// Carries what the server wants sent.
    fn carry(&mut self) {
        for sent in std::mem::take(&mut self.server.sent) {
            let (path, octets) = match sent {
                Sent::Frame { path, octets } => (path, octets),
                Sent::Close { path, code } => (path, vec![0x1F, code]),
            };
            let what = describe(&octets, Direction::FromServer);
            self.note("server", &format!("{path} < {what}"));
            if self.lose_down > 0 {
                self.lose_down -= 1;
                self.note("network", "loses it");
                continue;
            }
            for at_ms in self.arrivals(path) {
                let octets = octets.clone();
                self.later(at_ms, Happens::AtTerminal { path, octets });
            }
        }
    }

    fn happen(&mut self, what: Happens) {
        let now = self.now_ms;
        match what {
            Happens::AtServer { path, octets } => {
                let taken = self.server.receive(now, path, &octets, &mut self.journal);
                if let (Err(_), Path::Tcp(_)) = (taken, path) {
                    self.server.sent.push(Sent::Close { path, code: 0 });
                }
            }
            Happens::AtTerminal { path, octets } => self.at_terminal(path, &octets),
            Happens::ServerSeesEnd(number) => {
                self.note("server", &format!("sees the end of tcp#{number}"));
                let input = Input::PathClosed(Path::Tcp(number));
                self.server.handle(now, input, &mut self.journal);
            }
        }
    }

    fn at_terminal(&mut self, path: Path, octets: &[u8]) {
        let is_there = match path {
            Path::Udp(port) => port == self.port,
            Path::Tcp(number) => self.connection == Some(number),
        };
        if !is_there {
            return self.note("network", &format!("finds nobody at {path}"));
        }
        let now = self.now_ms;
        self.terminal().handle(now, octets).unwrap();
        if octets.first() == Some(&0x1F) {
            self.connection = None;
        }
        self.tell();
    }

    /// The terminal ends its connection, or the network does; the server sees it a second later.
    pub(crate) fn hang_up(&mut self) {
        if let Some(number) = self.connection.take() {
            self.later(self.now_ms + 1_000, Happens::ServerSeesEnd(number));
        }
    }

    /// The connection is dead, and nobody but the terminal knows.
    pub(crate) fn lose_connection(&mut self) {
        let number = self.connection.take();
        self.note("network", &format!("forgets tcp#{}", number.unwrap_or(0)));
    }

    /// Notes what the terminal says of itself, and takes over what it was told.
    fn tell(&mut self) {
        for event in self.terminal().take_events() {
            let line = match event {
                Event::Answered { counter, ack: true } => format!("accepts: {counter} is safe"),
                Event::Answered { counter, .. } => format!("accepts: {counter} is not said safe"),
                Event::Refused(refusal) => format!("ignores it: {refusal:?}"),
                Event::ComeBack { at_ms } => {
                    format!("comes back in {} s", (at_ms - self.now_ms) / 1_000)
                }
                other => format!("{other:?}"),
            };
            self.note("terminal", &line);
        }
        let known = self.told;
        let told: Vec<_> = self.terminal().told_safe()[known..].to_vec();
        if told.is_empty() {
            return;
        }
        self.told += told.len();
        let mut sequences: Vec<u32> = told.iter().map(|safe| safe.sequence).collect();
        sequences.sort_unstable();
        let left = self.terminal().store().len();
        self.note(
            "terminal",
            &format!("told safe: {sequences:?}, {left} wait"),
        );
        for safe in told {
            let mut octets = vec![safe.record.number()];
            octets.extend_from_slice(&safe.body);
            self.safe.push((safe.epoch, safe.sequence, octets));
        }
    }

    /// One more day is measured; it goes out with the next call.
    pub(crate) fn push_day(&mut self) {
        let day = self.household.day(self.day);
        self.day += 1;
        self.days_pushed += 1;
        self.terminal().push_day(day).unwrap();
    }

    /// A day is measured, and the terminal calls now instead of at its slot.
    pub(crate) fn push_day_and_call(&mut self) {
        self.push_day();
        let now = self.now_ms;
        self.terminal().wake(now);
    }

    pub(crate) fn alarm(&mut self) {
        let alarm = Alarm {
            alarm: 2,
            state: 1,
            code: *b"02",
        };
        let now = self.now_ms;
        self.note("terminal", "raises an alarm");
        self.terminal()
            .raise(now, 0, &[alarm], &NoticeDetail::default())
            .unwrap();
    }

    /// A day passes: a record is made, the slot comes, the terminal calls.
    pub(crate) fn day(&mut self) {
        self.push_day();
        self.run_for(DAY_MS);
    }

    /// Power goes and comes back; `wipe` says what memory lost.
    pub(crate) fn power_cycle(&mut self, wipe: Option<Wipe>) {
        self.tell();
        self.told = 0;
        self.hang_up();
        let (mut nvm, mut random, meters) = self.terminal.take().unwrap().power_off();
        if let Some(wipe) = wipe {
            nvm.wipe(wipe);
        }
        nvm.power_on();
        let random = Seeded::new(random.next_u64());
        self.terminal = Some(parties::boot(nvm, random, meters, self.now_ms));
        self.note("terminal", &format!("restarts, lost {wipe:?}"));
    }

    pub(crate) fn call_now(&mut self) {
        self.note("server", "wants the terminal to call");
        let now = self.now_ms;
        self.server.call_now(now, &mut self.journal);
    }

    pub(crate) fn restart_server(&mut self) {
        self.note("server", "dies and starts again");
        let now = self.now_ms;
        self.server.restart(now);
        self.hang_up();
    }

    /// Nothing was told safe that the server does not hold, content included.
    pub(crate) fn check_custody(&mut self) {
        for (epoch, sequence, octets) in &self.safe {
            let kept = self.server.durable.records.get(&(*epoch, *sequence));
            let kept = kept.unwrap_or_else(|| panic!("{epoch}/{sequence} told safe and not kept"));
            assert!(
                octets.starts_with(kept),
                "{epoch}/{sequence} kept with other content"
            );
        }
    }

    /// Everything that the terminal ever stored was told safe and is kept, once.
    pub(crate) fn check_all_in(&mut self) {
        self.check_custody();
        let left = self.terminal().store().len();
        assert_eq!(left, 0, "records are still waiting");
        let kept = self.server.durable.records.values();
        let mut days: Vec<_> = kept.filter(|content| content[0] == 0x01).collect();
        assert_eq!(days.len(), self.days_pushed, "days that are kept");
        days.sort_unstable();
        days.dedup();
        assert_eq!(days.len(), self.days_pushed, "a day is kept twice");
    }
}
