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

/// Which frames of a terminal are shown, and what that may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Walk {
    /// The position of the terminal's last frame, if it is known: it is read without any index, and
    /// no later segment is looked at. None shows all that is durable.
    pub newest: Option<Lsn>,
    /// Frames at or before this position are not shown.
    pub after: Lsn,
    /// Segments whose index may be looked at.
    pub segments_max: usize,
    /// Frames that may be read.
    pub frames_max: usize,
    /// Whether an index that was not used since the start may be checked, which reads it whole, or
    /// made again, which reads its segment.
    pub checks_indexes: bool,
}

impl Default for Walk {
    /// All frames, at any cost.
    fn default() -> Self {
        Self {
            newest: None,
            after: Lsn::ZERO,
            segments_max: usize::MAX,
            frames_max: usize::MAX,
            checks_indexes: true,
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
    /// Frames from here on came later, or were looked at.
    end: u64,
    /// Oldest first.
    segments: Vec<Arc<Segment>>,
    current: Option<Current>,
    walk: Walk,
    /// A frame that is read before any index is looked at.
    newest: Option<Lsn>,
    cut_at: Option<Lsn>,
}

impl History {
    pub(super) fn new(shared: Arc<Shared>, terminal: TerminalId, walk: Walk) -> Self {
        // In this order: a segment that is made in between is beyond the end.
        let end = shared.durable_end();
        let segments = shared.segments.snapshot();
        let newest = walk.newest.filter(|newest| newest.get() < end);
        Self {
            shared,
            terminal,
            end,
            segments,
            current: None,
            walk,
            newest,
            cut_at: None,
        }
    }

    /// These frames, without those that stand at a position or after it.
    #[must_use]
    pub fn before(mut self, position: Lsn) -> Self {
        self.end = self.end.min(position.get());
        self
    }

    /// Whether it ended because going on would cost more than its [`Walk`] allows.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }

    /// Where it was cut: of the frames before this position none was looked at, and all others that
    /// are wanted were shown.
    #[must_use]
    pub const fn cut_at(&self) -> Option<Lsn> {
        self.cut_at
    }

    /// After an error: where a walk goes on behind what cannot be read, by [`Self::before`].
    #[must_use]
    pub const fn reached(&self) -> Lsn {
        Lsn::new(self.end)
    }

    fn end_here(&mut self) {
        self.segments.clear();
        self.current = None;
    }

    fn cut(&mut self, at: u64) {
        self.cut_at = Some(Lsn::new(at));
        self.end_here();
    }

    /// Takes one from what is left of a bound; false if nothing is.
    fn spend(left: &mut usize) -> bool {
        let spent = left.checked_sub(1);
        *left = spent.unwrap_or(0);
        spent.is_some()
    }

    /// The frame at a position, if it is still kept and about the terminal.
    fn frame_at(&mut self, lsn: Lsn) -> Result<Option<OwnedFrame>, ReadError> {
        let Ok(segment) = self.shared.segments.holding(lsn.get()) else {
            return Ok(None);
        };
        let file = match self.shared.fs.open(&segment.path, Access::Read) {
            Ok(file) => file,
            Err(cause) if self.is_dropped(&segment, &cause) => return Ok(None),
            Err(cause) => return Err(segment.io(cause)),
        };
        let frame = reader::read_frame(&self.shared, &segment, &file, lsn.get())?;
        Ok(Some(frame).filter(|frame| frame.terminal == Some(self.terminal)))
    }

    /// Whether a segment holds nothing that is wanted.
    fn is_passed(&self, segment: &Segment) -> bool {
        let sealed_end = segment.sealed_end.get().copied();
        let is_before = sealed_end.is_some_and(|end| end <= self.walk.after.get());
        is_before || segment.base >= self.end
    }

    fn may_look_at(&mut self, segment: &Segment) -> bool {
        let is_cheap = self.walk.checks_indexes || segment.has_index_at_hand();
        is_cheap && Self::spend(&mut self.walk.segments_max)
    }

    /// The next frame of the segment that is being read.
    fn next_of_current(&mut self) -> Result<Option<OwnedFrame>, ReadError> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        while let Some(place) = current.places.pop() {
            let lsn = current.segment.base.saturating_add(u64::from(place));
            if lsn <= self.walk.after.get() {
                self.end_here();
                return Ok(None);
            }
            // The index of the active segment may be ahead of what is published.
            if lsn < self.end {
                if !Self::spend(&mut self.walk.frames_max) {
                    self.cut(lsn.saturating_add(1));
                    return Ok(None);
                }
                self.end = lsn;
                let (segment, file) = (&current.segment, &current.file);
                return reader::read_frame(&self.shared, segment, file, lsn).map(Some);
            }
        }
        self.current = None;
        Ok(None)
    }

    fn try_next(&mut self) -> Result<Option<OwnedFrame>, ReadError> {
        if let Some(newest) = self.newest.take() {
            self.end = newest.get();
            if newest > self.walk.after
                && let Some(frame) = self.frame_at(newest)?
            {
                return Ok(Some(frame));
            }
        }
        loop {
            if let Some(frame) = self.next_of_current()? {
                return Ok(Some(frame));
            }
            let Some(segment) = self.segments.pop() else {
                return Ok(None);
            };
            if self.is_passed(&segment) {
                continue;
            }
            if !self.may_look_at(&segment) {
                let sealed_end = segment.sealed_end.get().copied();
                self.cut(self.end.min(sealed_end.unwrap_or(u64::MAX)));
                return Ok(None);
            }
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
                Err(cause) => {
                    let end = std::mem::replace(&mut self.end, segment.base);
                    return Err(unreadable(&segment, end, cause));
                }
            }
        }
    }

    fn is_dropped(&self, segment: &Segment, cause: &io::Error) -> bool {
        cause.kind() == io::ErrorKind::NotFound && segment.base < self.shared.segments.first().get()
    }
}

/// Why nothing of a segment can be read, of which what stands before `end` was wanted.
fn unreadable(segment: &Segment, end: u64, cause: io::Error) -> ReadError {
    // Without an index it is read whole, and its octets are not what was written.
    if cause.kind() == io::ErrorKind::InvalidData {
        let sealed_end = segment.sealed_end.get().copied();
        ReadError::Damage {
            path: segment.path.clone(),
            from: Lsn::new(segment.base),
            to: Lsn::new(sealed_end.unwrap_or(end)),
        }
    } else {
        segment.io(cause)
    }
}

impl Iterator for History {
    type Item = Result<OwnedFrame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next();
        if next.is_err() {
            self.end_here();
        }
        next.transpose()
    }
}
