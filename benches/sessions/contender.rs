//! Who is measured: a process with two addresses; and the folder of a server.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::frames::{LINK_MASTER, UTILITY, identity};
use crate::process::Process;
use crate::serve::running::Running;
use crate::serve::{Registered, Site};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(300);
/// Nothing is answered in the second of a start.
const SILENT: Duration = Duration::from_millis(1_200);

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) process: Process,
}

/// A server's folder, its registry and its ports. Removed when it is dropped: drop the contender
/// before.
pub(crate) struct Home {
    pub(crate) site: Site,
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.site.dir).ok();
    }
}

impl Home {
    /// Makes a folder under `dir` with so many terminals of [`crate::frames`] registered.
    pub(crate) fn register(dir: &Path, label: &str, terminals: u32) -> Self {
        let begun = Instant::now();
        let folder = dir.join(format!("sessions-{label}-{}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        let utility = Registered {
            id: UTILITY,
            name: "bench".to_owned(),
            link_master: LINK_MASTER.to_vec(),
            terminals: (0..terminals).map(|number| (identity(number), 1)).collect(),
        };
        let site = Site::new(&folder, &[utility], "");
        println!(
            "  {label}: {terminals} terminals registered in {:.1?}",
            begun.elapsed()
        );
        Self { site }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.site.dir.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.data().join("log")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.site.records()
    }

    /// Starts the server and does not wait for it. `settings` are variables of its configuration.
    pub(crate) fn spawn(&self, settings: &[(&str, &str)]) -> Contender {
        let lines = File::create(self.site.dir.join("server.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kenshin"))
            .arg("serve")
            .arg("--config")
            .arg(self.site.dir.join("kenshin.toml"))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(lines)
            .spawn()
            .unwrap();
        Contender {
            name: "kenshin",
            udp: self.site.udp,
            tcp: self.site.tcp,
            process: Process(Running(child)),
        }
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Contender {
        let begun = Instant::now();
        let mut contender = self.spawn(settings);
        while TcpStream::connect(contender.tcp).is_err() {
            let ended = contender.process.0.try_wait().unwrap();
            let is_late = begun.elapsed() > START_MAX;
            assert!(
                ended.is_none() && !is_late,
                "the server does not listen: {}",
                std::fs::read_to_string(self.site.dir.join("server.log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("  server listens after {:.1?}", begun.elapsed());
        std::thread::sleep(SILENT);
        contender
    }
}
