//! What the system knows of a process that is measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::serve::running::{Running, terminate};

/// How often a process is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(250);
/// Hundredths of a second of processor time in two looks, below which a process is quiet.
const QUIET_TICKS: u64 = 5;

/// A process that is measured.
pub(crate) struct Process(pub(crate) Running);

/// The number of a line `name: number …`, 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

impl Process {
    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap_or_default()
    }

    /// Octets in memory now; 0 where the system does not tell.
    pub(crate) fn resident(&self) -> u64 {
        field(&self.read("status"), "VmRSS:") * 1_024
    }

    /// The most octets that were in memory at once.
    pub(crate) fn most_resident(&self) -> u64 {
        field(&self.read("status"), "VmHWM:") * 1_024
    }

    /// Octets of pages that the process has made dirty, which go to storage: whole pages, each
    /// time that one is made dirty anew. Sockets are not in it.
    pub(crate) fn written(&self) -> u64 {
        field(&self.read("io"), "write_bytes:")
    }

    /// The same by the name of the thread. Threads that have ended are not in it.
    pub(crate) fn written_by_thread(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id()));
        for task in tasks.into_iter().flatten().flatten() {
            let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let written = field(&read("io"), "write_bytes:");
            *all.entry(read("comm").trim().to_owned()).or_default() += written;
        }
        all
    }

    /// Hundredths of a second of processor time.
    fn ticks(&self) -> u64 {
        let stat = self.read("stat");
        // The name stands in parentheses and may hold anything.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let mut numbers = after.split_whitespace().skip(11);
        let mut next = || numbers.next().and_then(|n| n.parse::<u64>().ok());
        next().unwrap_or(0) + next().unwrap_or(0)
    }

    /// Waits until the process does next to nothing, so that what it still has to do does not
    /// burden who comes next. Gives up after `most`; says whether it is quiet.
    pub(crate) fn settle(&self, most: Duration) -> bool {
        let end = Instant::now() + most;
        let mut quiet_looks = 0;
        let mut before = self.ticks();
        while Instant::now() < end {
            std::thread::sleep(LOOK);
            let now = self.ticks();
            let is_quiet = now.saturating_sub(before) < QUIET_TICKS;
            quiet_looks = if is_quiet { quiet_looks + 1 } else { 0 };
            if quiet_looks == 2 {
                return true;
            }
            before = now;
        }
        false
    }

    /// Asks the process to stop and waits for it.
    pub(crate) fn terminate(self) {
        assert_eq!(terminate(self.0), Some(0), "the server stops cleanly");
    }
}
