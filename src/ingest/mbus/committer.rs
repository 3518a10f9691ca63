//! Waiting for the disk on behalf of those who must not.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::model::TerminalId;
use crate::store::log::Underway;
use crate::store::state::meters::Mark;

/// A frame that the log has.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) underway: Underway,
    pub(super) meter: TerminalId,
    pub(super) mark: Mark,
    /// Whether anybody may have made its meter up, which was not known.
    pub(super) is_made_up: bool,
}

/// A frame whose fate is known.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) meter: TerminalId,
    pub(super) mark: Mark,
    /// [`Waiting::is_made_up`].
    pub(super) is_made_up: bool,
    /// Whether it is durable, and folded.
    pub(super) is_durable: bool,
}

/// Two threads that wait: frames of one queue of the log are settled in the order in which they
/// were queued, and what is urgent does not wait for what is not. How many wait is bounded by those
/// queues.
pub(super) struct Committer {
    urgent: Option<Sender<Waiting>>,
    other: Option<Sender<Waiting>>,
    threads: Vec<JoinHandle<()>>,
    settle: Arc<dyn Fn(Settled) + Send + Sync>,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").finish_non_exhaustive()
    }
}

impl Committer {
    pub(super) fn start(settle: impl Fn(Settled) + Send + Sync + 'static) -> io::Result<Self> {
        let settle: Arc<dyn Fn(Settled) + Send + Sync> = Arc::new(settle);
        let mut committer = Self {
            urgent: None,
            other: None,
            threads: Vec::new(),
            settle: Arc::clone(&settle),
        };
        for is_urgent in [true, false] {
            let (sender, waiting) = channel();
            let settle = Arc::clone(&settle);
            let thread = std::thread::Builder::new().name("mbus-commit".to_owned());
            let thread = thread.spawn(move || settle_all(&waiting, &*settle))?;
            committer.threads.push(thread);
            let place = if is_urgent {
                &mut committer.urgent
            } else {
                &mut committer.other
            };
            *place = Some(sender);
        }
        Ok(committer)
    }

    pub(super) fn wait_for(&self, waiting: Waiting, urgent: bool) {
        let sender = if urgent { &self.urgent } else { &self.other };
        let Waiting {
            meter,
            mark,
            is_made_up,
            ..
        } = waiting;
        let sent = sender.as_ref().map(|sender| sender.send(waiting));
        if !matches!(sent, Some(Ok(()))) {
            // The thread has ended by a bug: nobody is to wait for it.
            (self.settle)(Settled {
                meter,
                mark,
                is_made_up,
                is_durable: false,
            });
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.urgent = None;
        self.other = None;
        for thread in self.threads.drain(..) {
            // A panic was told when it happened.
            thread.join().ok();
        }
    }
}

fn settle_all(waiting: &Receiver<Waiting>, settle: &dyn Fn(Settled)) {
    for Waiting {
        underway,
        meter,
        mark,
        is_made_up,
    } in waiting
    {
        let is_durable = underway.wait().is_ok();
        settle(Settled {
            meter,
            mark,
            is_made_up,
            is_durable,
        });
    }
}
