//! Terminals that are called by the server, over real sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kenshin::app::Server;
use kenshin::config::Config;
use kenshin::keyring::KeyError;
use kenshin::model::TerminalId;
use kenshin::shutdown::Shutdown;
use kenshin::time::{Clock, SystemClock};
use simulator::fleet::{FleetPlan, TerminalPlan};
use simulator::household::{Household, Profile};
use simulator::keys::Mode;
use simulator::meter::SimMeter;
use simulator::nvm::MemoryNvm;
use simulator::random::Seeded;
use simulator::terminal::{Action, Config as TerminalConfig, Event, Mounted, Terminal};

use super::serve::plan::{link_keys, registered};
use super::serve::{Site, utc_s};

const PLAN: FleetPlan = FleetPlan {
    seed: 3,
    terminals: 8,
    utilities: 1,
};

/// A way to the server that stays open.
enum Way {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
}

impl Way {
    fn send(&mut self, frame: &[u8]) {
        match self {
            Self::Udp(socket, server) => {
                socket.send_to(frame, *server).unwrap();
            }
            Self::Tcp(stream) => {
                let len = u16::try_from(frame.len()).unwrap().to_be_bytes();
                stream.write_all(&[&len, frame].concat()).unwrap();
            }
        }
    }

    /// The next frame, if one comes within that time.
    fn receive(&mut self, within: Duration) -> Option<Vec<u8>> {
        let within = Some(within.max(Duration::from_millis(1)));
        match self {
            Self::Udp(socket, _) => {
                let mut buffer = [0; 1_500];
                socket.set_read_timeout(within).unwrap();
                let len = socket.recv(&mut buffer).ok()?;
                Some(buffer[..len].to_vec())
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(within).unwrap();
                let mut len = [0; 2];
                match stream.peek(&mut len) {
                    Ok(2) => {}
                    Ok(_) => panic!("the connection was closed"),
                    Err(error) => {
                        let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                        assert!(kinds.contains(&error.kind()), "{error}");
                        return None;
                    }
                }
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.read_exact(&mut len).unwrap();
                let mut frame = vec![0; usize::from(u16::from_be_bytes(len))];
                stream.read_exact(&mut frame).unwrap();
                Some(frame)
            }
        }
    }
}

struct Caller {
    plan: TerminalPlan,
    terminal: Terminal<MemoryNvm, Seeded, SimMeter>,
    household: Household,
    day: u16,
    way: Way,
    began: Instant,
    events: Vec<Event>,
}

impl Caller {
    fn new(plan: TerminalPlan, way: Way) -> Self {
        let mounted = vec![Mounted::gas(b"12345678901", 123_456)];
        let nvm = MemoryNvm::provisioned(PLAN.keys(&plan).unwrap(), plan.mode);
        let config = TerminalConfig::new(plan.owner());
        let random = Seeded::new(plan.index.into());
        let mut terminal = Terminal::new(config, nvm, random, mounted, 0).unwrap();
        terminal.set_clock(0, utc_s()).unwrap();
        Self {
            plan,
            terminal,
            household: Household::new(plan.index.into(), Profile::Quiet),
            day: u16::try_from(utc_s() / 86_400).unwrap() - 30,
            way,
            began: Instant::now(),
            events: Vec::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn measure(&mut self) {
        self.terminal
            .push_day(self.household.day(self.day))
            .unwrap();
        self.day += 1;
    }

    /// Does what the machine wants until it sleeps.
    fn act(&mut self) {
        for _ in 0..10_000 {
            let now_ms = self.now_ms();
            let until_ms = match self.terminal.poll(now_ms).unwrap() {
                Action::Transmit { frame, .. } => {
                    self.way.send(&frame);
                    continue;
                }
                Action::WaitUntil(until_ms) => until_ms,
                Action::Sleep { .. } => break,
            };
            let within = Duration::from_millis(until_ms.saturating_sub(now_ms));
            self.hear(within);
        }
        self.events.extend(self.terminal.take_events());
    }

    fn hear(&mut self, within: Duration) -> bool {
        let frame = self.way.receive(within);
        let is_heard = frame.is_some();
        if let Some(frame) = frame {
            self.terminal.handle(self.now_ms(), &frame).unwrap();
        }
        is_heard
    }

    fn safe(&self) -> usize {
        self.terminal.told_safe().len()
    }
}

/// As an operator does it.
fn call(site: &Site, terminal: TerminalId) {
    let config = site.dir.join("kenshin.toml");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command.args(["terminal", "call", &terminal.to_string(), "--json"]);
    let called = command.arg("--config").arg(config).output().unwrap();
    let told = String::from_utf8(called.stdout).unwrap();
    assert_eq!(called.status.code(), Some(0), "{told}");
    assert!(
        told.contains(&format!("{{\"called\":\"{terminal}\"}}")),
        "{told}"
    );
}

// spec: SES-12, SES-13, SEC-8
#[test]
fn a_terminal_that_holds_a_connection_or_listens_on_udp_is_called_and_calls() {
    let dir = tempfile::tempdir().unwrap();
    let utilities = registered(&PLAN);
    let site = Site::new(dir.path(), &utilities, "");
    let text = std::fs::read_to_string(site.dir.join("kenshin.toml")).unwrap();
    let config = Config::parse(&text, []).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let server = Server::start(&config, link_keys(&utilities), &clock, runtime.handle()).unwrap();
    let nobody = server.call(TerminalId::new([9; 8]));
    assert!(matches!(nobody, Err(KeyError::UnknownTerminal)));
    let of_mode = |mode: Mode, nth: usize| {
        let mut all = PLAN.terminals().filter(|one| one.mode == mode);
        all.nth(nth).unwrap()
    };
    let udp = || Way::Udp(UdpSocket::bind("127.0.0.1:0").unwrap(), site.udp);
    let tcp = || Way::Tcp(TcpStream::connect(site.tcp).unwrap());
    let callers = [
        (of_mode(Mode::CcmStatic, 0), udp()),
        (of_mode(Mode::CcmStatic, 1), tcp()),
        (of_mode(Mode::CcmSession, 0), udp()),
        (of_mode(Mode::GcmSession, 0), tcp()),
    ];
    for (plan, way) in callers {
        let mut caller = Caller::new(plan, way);
        caller.measure();
        caller.terminal.wake(caller.now_ms());
        caller.act();
        let before = caller.safe();
        assert!(
            before > 0,
            "{:?}: its first call is acknowledged",
            caller.plan
        );
        assert!(!caller.hear(Duration::from_millis(300)), "nobody calls it");
        caller.measure();
        call(&site, TerminalId::new(plan.identity));
        assert!(
            caller.hear(Duration::from_secs(20)),
            "{plan:?}: it is called"
        );
        caller.act();
        let called = |event: &Event| matches!(event, Event::Called(_));
        assert_eq!(caller.events.iter().filter(|one| called(one)).count(), 1);
        assert!(
            caller.safe() > before,
            "{plan:?}: it calls, and is acknowledged"
        );
    }
    runtime.block_on(server.stop(&config, &Shutdown::new()));
}
