//! The mark of server nonces: the last second in which an answer may be sealed, durable ahead of
//! the clock.

use std::sync::atomic::Ordering;

use crate::model::{Event, Lanes};
use crate::net::contract::Outgoing;
use crate::session::otl::machine::Input;
use crate::store::log::{Append, Ticket};
use crate::store::state::fold::KIND_EVENT;

use super::Intake;

/// The token of a frame that no machine waits for: marks only have it.
pub(super) const NO_TOKEN: u64 = u64::MAX;
/// The slot of a frame that is about no terminal.
const NO_SLOT: u32 = u32::MAX;
/// How long before the mark of server nonces is reached a later one is asked for, in seconds.
const MARK_SPARE_S: u32 = 20;

impl Intake {
    /// Has the mark of server nonces taken up as soon as the disk has room for it. Until then only
    /// the last process's mark covers an answer, and mostly none does.
    // spec: FRS-4
    pub fn take_up_mark_later(&self) {
        self.mark_is_old.store(true, Ordering::Release);
    }

    /// Sees to it that answers can be sealed in the next seconds: asks for a later mark if the
    /// durable one is about to be reached.
    // spec: FRS-4
    pub fn keep_mark(&self) {
        let now_utc_s = self.parts.clock.utc_seconds().get();
        let mark = self.parts.state.nonce_mark();
        if mark.covers(now_utc_s.saturating_add(MARK_SPARE_S)) {
            return;
        }
        // On a full disk nobody is answered, and the reserve is not for marks that nobody needs.
        if self.parts.load.takes_nothing() {
            return;
        }
        // Many wait for one mark.
        if self.mark_asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let known = (*self.parts.state.nonce_mark()).clone();
        let known = if self.mark_is_old.load(Ordering::Acquire) {
            known.started(now_utc_s)
        } else {
            known
        };
        let later = known.advanced(now_utc_s);
        let event = Event::NonceMark {
            mark_utc_s: later.mark(),
            gaps: later.gaps(),
        };
        self.submit_mark(&event);
    }

    fn submit_mark(&self, event: &Event) {
        let Ok(payload) = event.encode() else {
            return self.mark_came_back(false);
        };
        let append = Append {
            kind: KIND_EVENT,
            lanes: Lanes::NONE,
            urgent: true,
            terminal: None,
            payload,
            guard: None,
            ticket: Some(Ticket {
                owner: self.home(),
                slot: NO_SLOT,
                token: NO_TOKEN,
                begun_us: None,
            }),
        };
        if self.parts.log.submit(append).is_err() {
            self.mark_came_back(false);
        }
    }

    /// Takes a mark back that the log was asked for.
    pub(super) fn mark_came_back(&self, durable: bool) {
        if durable {
            self.mark_is_old.store(false, Ordering::Release);
        } else {
            self.parts.witness.mark_not_taken();
        }
        self.mark_asked.store(false, Ordering::Release);
    }

    /// Machines that waited for the mark look at it again.
    pub(super) fn retry_waiting(&self, owner: u16, out: &mut Vec<Outgoing>) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for slot in waiting {
            self.go_on(owner, slot, Input::Timeout, out);
        }
    }
}
