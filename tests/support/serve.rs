//! The real binary as a server: registered, configured, started, killed, stopped.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use kenshin::admin::Ask;
use kenshin::app::Direct;
use kenshin::config::Config;
use kenshin::keyring::UtilityId;
use kenshin::model::TerminalId;
use kenshin::registry::{Command as Order, ROWS_PER_IMPORT, Row};
use kenshin::wire::hex::Hex;

#[path = "http.rs"]
pub(crate) mod http;
#[path = "plan.rs"]
pub(crate) mod plan;
#[path = "running.rs"]
pub(crate) mod running;

pub(crate) use plan::Registered;
use running::Running;

/// Seconds of UTC now, as the server that is started has them.
pub(crate) fn utc_s() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u32::try_from(since.unwrap().as_secs()).unwrap()
}

/// A server's folder with its configuration, on ports of its own that stay the same.
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) udp: SocketAddr,
    pub(crate) alarm: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
}

/// A port that nobody has, below those that the system gives to whoever asks for any: while a
/// server is down, no terminal's socket takes it.
fn free_port() -> SocketAddr {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(97).wrapping_add(tried);
        let port = u16::try_from(10_000 + place % 22_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let is_free = UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok();
        if is_free {
            return address;
        }
    }
}

impl Site {
    /// Makes the folder, the registry, the key file and the configuration. `more` is added to the
    /// configuration.
    pub(crate) fn new(dir: &Path, utilities: &[Registered], more: &str) -> Self {
        let site = Self {
            dir: dir.to_owned(),
            udp: free_port(),
            alarm: free_port(),
            tcp: free_port(),
            http: free_port(),
        };
        std::fs::create_dir_all(dir).unwrap();
        let mut keys = String::new();
        for utility in utilities {
            keys += &format!(
                "[[utility]]\nid = \"{}\"\nname = \"{}\"\n[[utility.link_master]]\nversion = 1\n\
                 state = \"ACTIVE\"\nkey = \"{}\"\n",
                Hex(&utility.id),
                utility.name,
                Hex(&utility.link_master)
            );
        }
        let key_file = dir.join("keys.toml");
        std::fs::write(&key_file, keys).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "data_dir = \"{data}\"\n{more}\n[listen]\nudp = \"{udp}\"\nudp_alarm = \"{alarm}\"\n\
             tcp = \"{tcp}\"\n[api]\nlisten = \"{http}\"\n[disk]\ncome_back_percent = 97\n\
             alarms_only_percent = 99\n[keys]\nlink_file = \"{keys}\"\nallow_clear_keys = true\n\
             allow_mode0 = true\n[[sink]]\nname = \"records\"\ntype = \"ndjson\"\n\
             dir = \"{records}\"\nfrom = \"start\"\n",
            data = dir.join("data").display(),
            udp = site.udp,
            alarm = site.alarm,
            tcp = site.tcp,
            http = site.http,
            keys = key_file.display(),
            records = site.records().display(),
        );
        std::fs::write(dir.join("kenshin.toml"), &text).unwrap();
        register(&Config::parse(&text, []).unwrap(), utilities);
        site
    }

    /// Where the sink's files are.
    pub(crate) fn records(&self) -> PathBuf {
        self.dir.join("records")
    }

    /// Starts the server and waits until its ports take connections.
    pub(crate) fn start(&self, stderr: Stdio) -> Running {
        self.start_with(stderr, &[])
    }

    /// The same, with variables in its environment.
    pub(crate) fn start_with(&self, stderr: Stdio, variables: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
        command.envs(variables.iter().copied());
        self.start_by(command.args(self.arguments()).stderr(stderr))
    }

    /// The same, without standard error; gives it when the second of its start is over, in which
    /// nothing is answered.
    pub(crate) fn start_serving(&self, variables: &[(&str, &str)]) -> Running {
        let running = self.start_with(Stdio::null(), variables);
        std::thread::sleep(Duration::from_millis(1_100));
        running
    }

    /// What the binary is told to serve.
    pub(crate) fn arguments(&self) -> [String; 3] {
        let config = self.dir.join("kenshin.toml").display().to_string();
        ["serve".to_owned(), "--config".to_owned(), config]
    }

    /// Starts a command that starts the server, and waits until its ports take connections.
    pub(crate) fn start_by(&self, command: &mut Command) -> Running {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut running = Running(quiet.spawn().unwrap());
        for _ in 0..3_000 {
            let ended = running.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended at its start");
            let is_up = |address| std::net::TcpStream::connect(address).is_ok();
            if is_up(self.tcp) && is_up(self.http) {
                return running;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not listen within 30 s");
    }

    /// Asks the operations interface. Gives the status and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = http::get(self.http, path, "").unwrap();
        (answer.status, answer.body)
    }
}

/// Registers as an operator does while no server runs.
fn register(config: &Config, utilities: &[Registered]) {
    let direct = Direct::open(config, plan::link_keys(utilities)).unwrap();
    for utility in utilities {
        let id = UtilityId::new(utility.id);
        let put = Order::UtilityPut {
            utility: id,
            name: Some(utility.name.clone()),
            allow_mode0: Some(true),
        };
        direct.answer(Ask::Registry(put)).unwrap();
        for part in utility.terminals.chunks(ROWS_PER_IMPORT) {
            let row = |(terminal, mode): &([u8; 8], u8)| Row {
                line: 0,
                terminal: TerminalId::new(*terminal),
                utility: id,
                mode: *mode,
                customer: None,
            };
            let import = Order::TerminalImport {
                rows: part.iter().map(row).collect(),
                dry_run: false,
                move_utility: false,
            };
            direct.answer(Ask::Registry(import)).unwrap();
        }
    }
    direct.close().unwrap();
}
