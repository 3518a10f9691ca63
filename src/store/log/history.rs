//! The frames of one terminal, by the indexes.

use std::io;
use std::sync::Arc;

use super::Shared;
use super::error::ReadError;
use super::reader::{self, FrameRef};
use super::segment::Segment;
use crate::model::{Lanes, Lsn, TerminalId};
use crate::store::fs::{Access, FsFile};

/// A frame with its own payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedFrame {
    /// Where it stands.
    pub lsn: Lsn,
    /// Where the next one stands, or the footer of its segment.
    pub next: Lsn,
    /// What it is.
    pub kind: u8,
    /// The lanes that it has something for.
    pub lanes: Lanes,
    /// Whom it is about.
    pub terminal: Option<TerminalId>,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl OwnedFrame {
    pub(super) fn new(frame: FrameRef<'_>) -> Self {
        Self {
            lsn: frame.lsn,
            next: frame.next,
            kind: frame.kind,
            lanes: frame.lanes,
            terminal: frame.terminal,
            payload: frame.payload.to_vec(),
        }
    }
}

/// The segment that is being read, with the places that are left in it.
#[derive(Debug)]
struct Current {
    segment: Arc<Segment>,
    file: Arc<dyn FsFile>,
    places: Vec<u32>,
}

/// The frames of a terminal, the newest first. Ends where the log began when this was made, or
/// begins now if old segments were dropped meanwhile; and after an error.
#[derive(Debug)]
pub struct History {
    shared: Arc<Shared>,
    terminal: TerminalId,
    /// Frames from here on came later.
    end: u64,
    /// Oldest first.
    segments: Vec<Arc<Segment>>,
    current: Option<Current>,
}

impl History {
    pub(super) fn new(shared: Arc<Shared>, terminal: TerminalId) -> Self {
        // In this order: a segment that is made in between is beyond the end.
        let end = shared.durable_end();
        let segments = shared.segments.snapshot();
        Self {
            shared,
            terminal,
            end,
            segments,
            current: None,
        }
    }

    /// These frames, without those that stand at a position or after it.
    #[must_use]
    pub fn before(mut self, position: Lsn) -> Self {
        self.end = self.end.min(position.get());
        self
    }

    fn try_next(&mut self) -> Result<Option<OwnedFrame>, ReadError> {
        loop {
            if let Some(current) = &mut self.current {
                while let Some(place) = current.places.pop() {
                    let lsn = current.segment.base.saturating_add(u64::from(place));
                    // The index of the active segment may be ahead of what is published.
                    if lsn < self.end {
                        let (segment, file) = (&current.segment, &current.file);
                        return reader::read_frame(&self.shared, segment, file, lsn).map(Some);
                    }
                }
                self.current = None;
            }
            let Some(segment) = self.segments.pop() else {
                return Ok(None);
            };
            let fs = &*self.shared.fs;
            let opened = fs.open(&segment.path, Access::Read);
            let places = segment.places_of(fs, self.terminal);
            match opened.and_then(|file| Ok((file, places?))) {
                Ok((file, places)) => {
                    self.current = Some(Current {
                        segment,
                        file,
                        places,
                    });
                }
                Err(cause) if self.is_dropped(&segment, &cause) => self.segments.clear(),
                Err(cause) => return Err(segment.io(cause)),
            }
        }
    }

    fn is_dropped(&self, segment: &Segment, cause: &io::Error) -> bool {
        cause.kind() == io::ErrorKind::NotFound && segment.base < self.shared.segments.first().get()
    }
}

impl Iterator for History {
    type Item = Result<OwnedFrame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next();
        if next.is_err() {
            self.segments.clear();
            self.current = None;
        }
        next.transpose()
    }
}
