//! Whoever counts and logs what the intake sees. A seam, so that the intake knows no metric and no
//! logger, and tests can watch it.

use crate::model::TerminalId;
use crate::session::otl::machine::MachineEvent;
use crate::session::otl::refusal::Refusal;
use crate::session::otl::step::Commit;

use super::history::Unreadable;

/// What the intake tells. Called for each frame, from many threads.
pub trait Witness: Send + Sync {
    /// A frame was refused.
    // spec: ERR-1
    fn refused(&self, refusal: &Refusal);

    /// A step is durable.
    fn durable(&self, terminal: TerminalId, commit: &Commit);

    /// The answers of a batch were handed to their listener together: the answer to each new frame
    /// so many microseconds after the listener had handed the frame to the intake.
    fn answered(&self, took_us: &[u64]);

    /// A frame was dropped, because there is no room to serve its terminal. What the log does not
    /// take is [`MachineEvent::CommitFailed`].
    fn no_place(&self);

    /// The log did not take a later mark of server nonces; it is asked again.
    fn mark_not_taken(&self);

    /// A machine tells something.
    fn machine(&self, terminal: TerminalId, event: &MachineEvent);

    /// A thousand frames of a terminal failed under one key version.
    // spec: SES-11
    fn steady_failures(&self, terminal: TerminalId, key_version: u8);

    /// The log cannot be read where a repeat was looked for; the frame is dropped unacknowledged.
    fn unreadable_history(&self, what: &Unreadable);
}
