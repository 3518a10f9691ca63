//! Processes that are not left behind.

use std::ops::{Deref, DerefMut};
use std::process::Child;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A process that ends with whoever started it, whatever becomes of the test.
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
            // What it started itself, if it leads a group of its own.
            killpg(pid_of(self.0.id()), Signal::SIGKILL).ok();
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(pid_of(pid), signal).unwrap();
}

/// Asks a process to stop and gives its exit code.
pub(crate) fn terminate(mut process: Running) -> Option<i32> {
    signal(process.id(), Signal::SIGTERM);
    process.wait().unwrap().code()
}
