//! Processes that are not left behind, and that nobody waits for without end.

use std::ops::{Deref, DerefMut};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};

/// How long a process may take to end that was told to, or that something ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with whoever started it, whatever becomes of the test.
///
/// Signals go to processes that are there for sure: until a child was waited for, its number is
/// nobody else's, and no group but its own has it.
pub(crate) struct Running(pub(crate) Child);

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // What it started itself, if it leads a group of its own: never the group of the test.
            let pid = pid_of(self.0.id());
            if getpgid(Some(pid)) == Ok(pid) {
                killpg(pid, Signal::SIGKILL).ok();
            }
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}

impl Running {
    /// Sends a signal to the process, which must be there.
    pub(crate) fn signal(&mut self, signal: Signal) {
        assert_eq!(self.0.try_wait().unwrap(), None, "the process has ended");
        kill(pid_of(self.0.id()), signal).unwrap();
    }

    /// Sends a signal to a process that this one started, in the group that this one leads.
    pub(crate) fn signal_in_group(&mut self, pid: u32, signal: Signal) {
        assert_eq!(self.0.try_wait().unwrap(), None, "the process has ended");
        let (leader, pid) = (pid_of(self.0.id()), pid_of(pid));
        assert_eq!(getpgid(Some(pid)), Ok(leader), "{pid} is another's process");
        kill(pid, signal).unwrap();
    }

    /// Waits for the end of the process and gives its exit code. One that is still there after a
    /// minute is killed, and the test fails.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.ended_within(PATIENCE)
    }

    /// The same, after so long.
    pub(crate) fn ended_within(&mut self, at_most: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = self.0.id();
        panic!("process {pid} hangs: it should have ended within {at_most:?}");
    }
}

fn pid_of(pid: u32) -> Pid {
    let pid = i32::try_from(pid).unwrap();
    assert!(pid > 1, "{pid} is no child of a test");
    Pid::from_raw(pid)
}

/// Asks a process to stop and gives its exit code.
pub(crate) fn terminate(mut process: Running) -> Option<i32> {
    process.signal(Signal::SIGTERM);
    process.ended()
}
