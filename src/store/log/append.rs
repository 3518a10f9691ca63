//! What is given to the log and what comes back.

use std::fmt;

use super::error::Refused;
use crate::model::{Lanes, Lsn, TerminalId};

/// One frame to append, whole or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// What it is: 1 to 254. The log gives it no meaning.
    pub kind: u8,
    /// The lanes that it has something for.
    pub lanes: Lanes,
    /// Whether it goes before all that is queued and not urgent.
    pub urgent: bool,
    /// Whom it is about. All zeros is the same as none.
    pub terminal: Option<TerminalId>,
    /// At most [`PAYLOAD_MAX`](super::PAYLOAD_MAX) octets.
    pub payload: Vec<u8>,
    /// The condition under which it is appended.
    pub guard: Option<Guard>,
    /// Handed back to the observer as it is; none if nobody but the caller waits for the frame.
    pub ticket: Option<Ticket>,
}

/// A condition on a slot's version, judged by the commit thread in the order of the log. Versions
/// begin at 0 when the log is opened, and a guarded frame that is written adds 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Guard {
    /// Whose version: below [`LogOptions::guard_slots`](super::LogOptions::guard_slots).
    pub slot: u32,
    /// The version that it must have; none for any.
    pub expected: Option<u32>,
}

/// What the log hands back to whoever appended. It means nothing to the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ticket {
    /// Whose mailbox.
    pub owner: u16,
    /// Which slot.
    pub slot: u32,
    /// Which step.
    pub token: u64,
    /// When what it belongs to began, in microseconds of the appender's clock; none if nobody
    /// asks.
    pub begun_us: Option<u64>,
}

/// A frame that is durable.
#[derive(Clone, Copy, Debug)]
pub struct DurableFrame<'a> {
    /// Where it stands.
    pub lsn: Lsn,
    /// Where the next one stands.
    pub next: Lsn,
    /// See [`Append::kind`].
    pub kind: u8,
    /// See [`Append::lanes`].
    pub lanes: Lanes,
    /// See [`Append::terminal`].
    pub terminal: Option<TerminalId>,
    /// See [`Append::payload`].
    pub payload: &'a [u8],
    /// See [`Append::guard`].
    pub guard: Option<Guard>,
    /// See [`Append::ticket`].
    pub ticket: Option<Ticket>,
}

/// Learns what became of frames. Called on the commit thread, so it must not block, and must not
/// wait for the log.
pub trait CommitObserver: Send {
    /// These frames, in the order of the log, are synced to disk. No other frame stands between
    /// the last call's and these.
    fn durable(&mut self, frames: &[DurableFrame<'_>]);

    /// A frame with a ticket was not appended, and will not be. Not called for
    /// [`append_and_wait`](super::CommitLog::append_and_wait), which returns the reason.
    fn refused(&mut self, ticket: &Ticket, why: Refused);
}

/// What may be chosen when a log is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogOptions {
    /// Octets after which a segment is sealed, 4 KiB to 1 GiB. The batch that crosses it may add
    /// another 9 MiB. 64 MiB unless set.
    pub segment_bytes: u64,
    /// Frames that may wait in each of the two queues, urgent and not. 65,536 unless set.
    pub queue_frames: usize,
    /// Octets of payload that may wait in each of the two queues. 64 MiB unless set.
    pub queue_bytes: usize,
    /// Slots of guards. Each costs 4 octets once it or a higher one is used. 16,777,216 unless
    /// set; a server sets as many as its table of terminals has.
    pub guard_slots: u32,
    /// Free octets of the disk that frames leave. 64 MiB unless set.
    pub floor_bytes: u64,
    /// Free octets of the disk that urgent frames leave. Those by which room is made leave a
    /// quarter of it. 16 MiB unless set.
    pub urgent_floor_bytes: u64,
    /// The size to count with instead of the disk's, if that is smaller: what the log's own octets
    /// leave of it is free. None unless set.
    pub quota_bytes: Option<u64>,
    /// Segments that reach beyond this position are read whole when the log is opened; of older
    /// ones only the two ends are. The beginning unless set.
    pub check_from: Lsn,
    /// A position that the log had reached when somebody noted it, as the applied position of a
    /// snapshot or the cursor of a sink. A log that ends before it has lost something and is not
    /// opened. The beginning unless set.
    pub known_durable: Lsn,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            queue_frames: 65_536,
            queue_bytes: 64 << 20,
            guard_slots: 1 << 24,
            floor_bytes: 64 << 20,
            urgent_floor_bytes: 16 << 20,
            quota_bytes: None,
            check_from: Lsn::ZERO,
            known_durable: Lsn::ZERO,
        }
    }
}

/// What was cut off the end of a log when it was opened: no whole batch, or the last one, damaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TornEnd {
    /// The first position that was cut.
    pub from: Lsn,
    /// Where the file ended.
    pub to: Lsn,
}

/// How a log stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogStatus {
    /// The oldest position that is kept.
    pub first: Lsn,
    /// The end of what is durable.
    pub durable_end: Lsn,
    /// Segments that are kept, with the active one.
    pub segments: usize,
    /// Frames that wait to be committed.
    pub queue_frames: usize,
    /// Octets of payload that wait to be committed.
    pub queue_bytes: usize,
    /// Why the log takes nothing any more.
    pub poison: Option<Poison>,
}

/// Why a log takes nothing any more, until the process is started again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Poison {
    /// The kind of failure.
    pub reason: PoisonReason,
    /// What the operating system said.
    pub cause: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PoisonReason {
    /// A write or a sync, for the disk is full.
    Full,
    /// A write.
    Write,
    /// A sync.
    Sync,
    /// The commit thread ended by a mistake in this program.
    Stopped,
}

impl fmt::Display for PoisonReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::Write => "a write failed",
            Self::Sync => "a sync failed",
            Self::Stopped => "the commit thread stopped",
        })
    }
}
