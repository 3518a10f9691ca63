//! Who is measured: a process with two addresses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::frames::{LINK_MASTER, UTILITY, identity};
use crate::serve::{Registered, Site};

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) child: Child,
    /// The server's folder, removed in the end.
    pub(crate) folder: Option<PathBuf>,
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}

impl Contender {
    /// Resident memory of the process, in octets; 0 where the system does not tell.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1_024
    }

    /// Octets that the process gave to the kernel to write, sockets included.
    pub(crate) fn written(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()));
        let io = io.unwrap_or_default();
        let line = io.lines().find(|line| line.starts_with("write_bytes:"));
        let octets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        octets.unwrap_or(0)
    }

    /// Octets of log that are on the disk.
    pub(crate) fn log_octets(&self) -> u64 {
        let Some(folder) = &self.folder else { return 0 };
        let files = std::fs::read_dir(folder.join("data").join("log"));
        let files = files.into_iter().flatten().flatten();
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }
}

/// Starts the server with the terminals of [`crate::frames`] registered.
pub(crate) fn start_server(dir: &Path, terminals: u32) -> Contender {
    let folder = dir.join(format!("sessions-{}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    let utility = Registered {
        id: UTILITY,
        name: "bench".to_owned(),
        link_master: LINK_MASTER.to_vec(),
        terminals: (0..terminals).map(|number| (identity(number), 1)).collect(),
    };
    let site = Site::new(&folder, &[utility], "");
    let child = site.start(Stdio::null());
    // Nothing is answered in the second of a start.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    Contender {
        name: "kenshin",
        udp: site.udp,
        tcp: site.tcp,
        child,
        folder: Some(folder),
    }
}
