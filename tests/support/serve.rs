//! The real binary as a server: registered, configured, started, killed, stopped.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kenshin::app::boot::{boot, lock};
use kenshin::keyring::LinkKeyring;
use kenshin::model::event::{TERMINALS_PER_EVENT, TerminalEntry, UtilityEntry};
use kenshin::model::{Event, TerminalId};
use kenshin::store::fs::RealFs;
use kenshin::store::log::LogOptions;

#[path = "running.rs"]
pub(crate) mod running;

use running::Running;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A utility with its terminals: identities and modes.
pub(crate) struct Registered {
    pub(crate) id: [u8; 8],
    pub(crate) name: String,
    pub(crate) link_master: Vec<u8>,
    pub(crate) terminals: Vec<([u8; 8], u8)>,
}

/// A server's folder with its configuration, on ports of its own that stay the same.
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) udp: SocketAddr,
    pub(crate) alarm: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
}

fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn free_tcp() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

impl Site {
    /// Makes the folder, the registry, the key file and the configuration. `more` is added to the
    /// configuration.
    pub(crate) fn new(dir: &Path, utilities: &[Registered], more: &str) -> Self {
        let site = Self {
            dir: dir.to_owned(),
            udp: free_udp(),
            alarm: free_udp(),
            tcp: free_tcp(),
            http: free_tcp(),
        };
        std::fs::create_dir_all(dir).unwrap();
        site.register(utilities);
        let mut keys = String::new();
        for utility in utilities {
            keys += &format!(
                "[[utility]]\nid = \"{}\"\nname = \"{}\"\n[[utility.link_master]]\nversion = 1\n\
                 state = \"ACTIVE\"\nkey = \"{}\"\n",
                hex(&utility.id),
                utility.name,
                hex(&utility.link_master)
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
        std::fs::write(dir.join("kenshin.toml"), text).unwrap();
        site
    }

    /// Where the sink's files are.
    pub(crate) fn records(&self) -> PathBuf {
        self.dir.join("records")
    }

    fn register(&self, utilities: &[Registered]) {
        let fs = Arc::new(RealFs);
        let data = self.dir.join("data");
        let _lock = lock(&*fs, &data).unwrap();
        let keys = LinkKeyring::new();
        let booted = boot(fs, &data, LogOptions::default(), 1, keys).unwrap();
        for utility in utilities {
            booted
                .append(&Event::UtilityPut(UtilityEntry {
                    id: hex(&utility.id),
                    name: utility.name.clone(),
                    allow_mode0: true,
                }))
                .unwrap();
            for part in utility.terminals.chunks(TERMINALS_PER_EVENT) {
                let entry = |(id, mode): &([u8; 8], u8)| TerminalEntry {
                    id: TerminalId::new(*id),
                    mode: *mode,
                    customer: None,
                };
                booted
                    .append(&Event::TerminalsPut {
                        utility: hex(&utility.id),
                        terminals: part.iter().map(entry).collect(),
                    })
                    .unwrap();
            }
        }
        booted.log.close().unwrap();
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
}

impl Site {
    /// Asks the operations interface. Gives the status and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: kenshin\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.get(9..12).unwrap().parse().unwrap();
        (status, text)
    }
}
