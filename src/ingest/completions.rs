//! What became durable, on its way back to whoever waits for it.
//!
//! The commit thread folds each frame into state first and then puts its ticket into the mailbox of
//! its owner, so that whoever takes it out finds state that knows the frame.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::net::contract::Waker;
use crate::store::log::{CommitObserver, DurableFrame, Refused, Ticket};
use crate::store::state::State;
use crate::store::state::fold::FoldFrame;

/// One step that came back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completion {
    /// Its ticket.
    pub ticket: Ticket,
    /// Whether it is durable; if not, nobody must act as if it were.
    pub durable: bool,
}

/// Whoever counts commits: told the frames of each, and their octets as written.
pub type CommitCount = Box<dyn Fn(u64, u64) + Send + Sync>;

/// A mailbox an owner.
#[derive(Default)]
pub struct Completions {
    boxes: Vec<Mutex<Vec<Completion>>>,
    wakers: OnceLock<Vec<Arc<dyn Waker>>>,
    count: OnceLock<CommitCount>,
}

impl std::fmt::Debug for Completions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Completions")
            .field("owners", &self.boxes.len())
            .finish_non_exhaustive()
    }
}

impl Completions {
    /// Mailboxes for this many owners.
    #[must_use]
    pub fn new(owners: u16) -> Self {
        Self {
            boxes: (0..owners).map(|_| Mutex::default()).collect(),
            wakers: OnceLock::new(),
            count: OnceLock::new(),
        }
    }

    /// How many owners there are.
    #[must_use]
    pub fn owners(&self) -> u16 {
        u16::try_from(self.boxes.len()).unwrap_or(u16::MAX)
    }

    /// Names the owners' wakers, once, when the listeners exist. Until then nobody is woken.
    pub fn set_wakers(&self, wakers: Vec<Arc<dyn Waker>>) {
        // A second set would belong to listeners of another server.
        drop(self.wakers.set(wakers));
    }

    /// Names whoever counts commits from now on, once.
    pub fn set_count(&self, count: CommitCount) {
        // As with the wakers.
        drop(self.count.set(count));
    }

    /// Takes what has come back for an owner. `into` is emptied first.
    pub fn take(&self, owner: u16, into: &mut Vec<Completion>) {
        into.clear();
        if let Some(mailbox) = self.boxes.get(usize::from(owner)) {
            std::mem::swap(&mut *mailbox.lock(), into);
        }
    }

    fn put(&self, completion: Completion) {
        if let Some(mailbox) = self.boxes.get(usize::from(completion.ticket.owner)) {
            mailbox.lock().push(completion);
        }
    }

    fn count(&self, frames: &[DurableFrame<'_>]) {
        if let (Some(count), Some(first), Some(last)) =
            (self.count.get(), frames.first(), frames.last())
        {
            // The frames of a batch stand together.
            let octets = last.next.saturating_since(first.lsn);
            count(u64::try_from(frames.len()).unwrap_or(u64::MAX), octets);
        }
    }

    fn wake(&self, owners: u64) {
        let Some(wakers) = self.wakers.get() else {
            return;
        };
        for (owner, waker) in wakers.iter().enumerate().take(64) {
            if owners >> owner & 1 == 1 {
                waker.wake();
            }
        }
    }
}

/// Whoever hears of a frame that cannot be folded.
pub type Unfolded = Box<dyn FnMut(&dyn std::error::Error) + Send>;

/// Watches over the commit thread on behalf of state and of whoever waits.
pub struct StepObserver {
    state: Arc<State>,
    completions: Arc<Completions>,
    unfolded: Unfolded,
}

impl std::fmt::Debug for StepObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepObserver").finish_non_exhaustive()
    }
}

impl StepObserver {
    /// An observer. `unfolded` hears of a frame that this server wrote and cannot fold, which is a
    /// bug of it; the frame is durable all the same.
    #[must_use]
    pub fn new(state: Arc<State>, completions: Arc<Completions>, unfolded: Unfolded) -> Self {
        Self {
            state,
            completions,
            unfolded,
        }
    }
}

/// The bit of an owner, for waking each once a batch.
fn bit(owner: u16) -> u64 {
    1u64.checked_shl(u32::from(owner)).unwrap_or(0)
}

impl CommitObserver for StepObserver {
    fn durable(&mut self, frames: &[DurableFrame<'_>]) {
        self.completions.count(frames);
        let mut owners = 0;
        for frame in frames {
            let fold = FoldFrame {
                lsn: frame.lsn,
                kind: frame.kind,
                terminal: frame.terminal,
                payload: frame.payload,
                raises_version: frame.guard.is_some(),
            };
            if let Err(error) = self.state.fold(&fold) {
                (self.unfolded)(&error);
            }
            // A frame without a ticket is nobody's: whoever wants to know of it waits for the log.
            if let Some(ticket) = frame.ticket {
                self.completions.put(Completion {
                    ticket,
                    durable: true,
                });
                owners |= bit(ticket.owner);
            }
        }
        if let Some(last) = frames.last() {
            self.state.note_folded(last.next);
        }
        self.completions.wake(owners);
    }

    fn refused(&mut self, ticket: &Ticket, _: Refused) {
        self.completions.put(Completion {
            ticket: *ticket,
            durable: false,
        });
        self.completions.wake(bit(ticket.owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Lanes, Lsn};
    use crate::store::state::fold::KIND_EVENT;

    #[test]
    fn a_frame_without_a_ticket_comes_back_to_nobody() {
        let completions = Arc::new(Completions::new(1));
        let state = Arc::new(State::default());
        let unfolded = Box::new(|error: &dyn std::error::Error| panic!("{error}"));
        let mut observer = StepObserver::new(state, Arc::clone(&completions), unfolded);
        let event = Event::SinkAdvanced {
            sink: "files".to_owned(),
            alarm: Lsn::new(8),
            bulk: Lsn::new(8),
        };
        let payload = event.encode().unwrap();
        let ticket = Ticket {
            owner: 0,
            slot: 0,
            token: 0,
            begun_us: None,
        };
        let frame = |ticket| DurableFrame {
            lsn: Lsn::new(16),
            next: Lsn::new(64),
            kind: KIND_EVENT,
            lanes: Lanes::NONE,
            terminal: None,
            payload: &payload,
            guard: None,
            ticket,
        };
        let mut came_back = Vec::new();
        observer.durable(&[frame(None)]);
        completions.take(0, &mut came_back);
        assert_eq!(came_back, []);
        observer.durable(&[frame(Some(ticket))]);
        completions.take(0, &mut came_back);
        assert_eq!(came_back.len(), 1);
    }
}
