//! What wakes a loop: an eventfd for a UDP worker, a notification for the completer of TCP.
//!
//! Both coalesce. A worker that is at work is only marked, so that the commit thread makes a
//! system call only for one that sleeps.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::Notify;

use super::contract::Waker;

const AT_WORK: u8 = 0;
const MARKED: u8 = 1;
const ASLEEP: u8 = 2;

/// Wakes a thread that sleeps in `poll`.
#[derive(Debug)]
pub(super) struct PollWaker {
    state: AtomicU8,
    event: EventFd,
}

impl PollWaker {
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            state: AtomicU8::new(AT_WORK),
            event: EventFd::from_flags(flags)?,
        })
    }

    /// Says that the loop is about to sleep. False if it was marked meanwhile: then it must not.
    pub(super) fn fall_asleep(&self) -> bool {
        self.state
            .compare_exchange(AT_WORK, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Says that the loop is at work. Returns whether it was marked since the last time.
    pub(super) fn rise(&self, rang: bool) -> bool {
        if rang {
            // Not readable any more is all that matters.
            self.event.read().ok();
        }
        self.state.swap(AT_WORK, Ordering::AcqRel) == MARKED
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Waker for PollWaker {
    fn wake(&self) {
        if self.state.swap(MARKED, Ordering::AcqRel) == ASLEEP {
            // Fails only if 2^64 - 2 wake-ups wait to be read, and then the loop wakes anyway.
            self.event.write(1).ok();
        }
    }
}

/// Wakes a task.
#[derive(Debug, Default)]
pub(super) struct TaskWaker {
    pub(super) notify: Notify,
}

impl Waker for TaskWaker {
    fn wake(&self) {
        self.notify.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_at_work_is_marked_and_does_not_fall_asleep() {
        let waker = PollWaker::new().unwrap();
        waker.wake();
        waker.wake();
        assert!(!waker.fall_asleep());
        assert_eq!(waker.event.read(), Err(Errno::EAGAIN), "no call was made");
        assert!(waker.rise(false));
        assert!(!waker.rise(false));
    }

    #[test]
    fn a_loop_asleep_is_rung_once() {
        let waker = PollWaker::new().unwrap();
        assert!(waker.fall_asleep());
        waker.wake();
        waker.wake();
        assert_eq!(waker.event.read(), Ok(1));
        assert!(waker.rise(true));
        assert!(waker.fall_asleep());
    }
}
