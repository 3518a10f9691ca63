//! Why something was not done, an enum an operation.

use std::io;
use std::path::{Path, PathBuf};

use super::append::{Append, PoisonReason};
use super::frame::PAYLOAD_MAX;
use crate::model::Lsn;

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is out of its range.
    #[error("the log's {name} must be {range}")]
    Option {
        /// The option.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot use the log: {}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file is of a later version.
    #[error(
        "{} is of format version {version}, and this program reads version 1: use a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// Octets are not what was written.
    #[error(
        "the log is damaged from position {from} to {to} ({what}) in {}: restore the file from \
         a copy; `kenshin log verify` lists all damage",
        path.display()
    )]
    Damage {
        /// The file.
        path: PathBuf,
        /// The first position that is damaged.
        from: Lsn,
        /// The first position after it that is not.
        to: Lsn,
        /// What is wrong.
        what: &'static str,
    },
    /// Segments are not there.
    #[error(
        "the log lacks positions {from} to {to}, which were durable: restore the missing files \
         from a copy; if a sink of files is of another log, give it a new folder"
    )]
    Missing {
        /// The first position that is missing.
        from: Lsn,
        /// The first position after it that is there, or is known to have been.
        to: Lsn,
    },
}

/// Why a frame was not queued, and the frame.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct SubmitError {
    /// What was to be appended.
    pub append: Append,
    /// Why not.
    pub why: SubmitRefusal,
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SubmitRefusal {
    /// Its queue is full: try again later.
    #[error("too much waits for the disk: try again later")]
    QueueFull,
    /// The log takes nothing until the process is started again.
    #[error("the log is read-only, for {0}: mend the disk, then start again")]
    ReadOnly(PoisonReason),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The payload is too long.
    #[error("a frame of the log holds at most {PAYLOAD_MAX} octets")]
    TooLong,
    /// The kind is 0 or 255.
    #[error("a frame's kind is 1 to 254")]
    Kind,
    /// The guard's slot is not below the log's number of slots.
    #[error("the guard's slot is beyond the log's number of slots")]
    Slot,
}

/// Why a queued frame was not appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The slot had another version.
    #[error("it was judged against version {found}, which is not the one expected")]
    Guard {
        /// The version that it had.
        found: u32,
    },
    /// The disk has too little room. It is asked again for each batch.
    #[error("the disk is full: make room")]
    DiskFull,
    /// A write or a sync failed. The frame may still be found when the log is opened again.
    #[error("the log is read-only, for {0}: mend the disk, then start again")]
    ReadOnly(PoisonReason),
}

/// Why a frame was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It was not queued.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// It was queued and refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl AppendError {
    /// Whether the frame may be found again, since a commit failed.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Refused(Refused::ReadOnly(_)))
    }

    /// What is known of the frame.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        if self.is_in_doubt() {
            "whether it was done is not known until the server, or this command without one, \
             starts again"
        } else {
            "nothing was changed"
        }
    }
}

/// Why the log was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The position is older than what is kept.
    #[error("position {position} is gone: the log begins at {first}")]
    Gone {
        /// Where reading was to begin.
        position: Lsn,
        /// The oldest position that is kept.
        first: Lsn,
    },
    /// Octets are not what was written, or the reader's position is not the beginning of a frame.
    #[error("the log is damaged from position {from} to {to} in {}", path.display())]
    Damage {
        /// The file.
        path: PathBuf,
        /// The first position that is damaged.
        from: Lsn,
        /// The first position after it that is not.
        to: Lsn,
    },
    /// The operating system refused something.
    #[error("cannot read the log: {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ReadError {
    /// The file that cannot be read; none for what is gone.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Gone { .. } => None,
            Self::Damage { path, .. } | Self::Io { path, .. } => Some(path),
        }
    }
}

/// Why old segments were not dropped.
#[derive(Debug, thiserror::Error)]
#[error("cannot drop old segments of the log: {}: {cause}", path.display())]
pub struct RetainError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_said_to_have_changed_nothing() {
        let refused = |refused: Refused| AppendError::from(refused).outcome();
        assert_eq!(refused(Refused::DiskFull), "nothing was changed");
        for reason in [
            PoisonReason::Full,
            PoisonReason::Sync,
            PoisonReason::Stopped,
        ] {
            let outcome = refused(Refused::ReadOnly(reason));
            assert!(outcome.contains("not known"), "{outcome}");
        }
    }
}
