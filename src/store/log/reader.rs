//! Following the log.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::error::ReadError;
use super::frame::{self, Frame, KIND_FOOTER, Parsed};
use super::scan::{self, to_u64};
use super::segment::{BLOCK, Segment};
use crate::model::{Lanes, Lsn, TerminalId};
use crate::store::fs::{Access, FsFile};

/// A frame in a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameRef<'a> {
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
    pub payload: &'a [u8],
}

impl<'a> FrameRef<'a> {
    pub(super) fn new(lsn: u64, frame: &Frame<'a>) -> Self {
        let lsn = Lsn::new(lsn);
        Self {
            lsn,
            next: lsn.saturating_add(to_u64(frame.len)),
            kind: frame.content.kind,
            lanes: frame.content.lanes,
            terminal: frame.content.terminal,
            payload: frame.content.payload,
        }
    }
}

/// What is kept of a frame whose payload stands in the batch's octets.
#[derive(Clone, Copy, Debug)]
struct Place {
    lsn: Lsn,
    next: Lsn,
    kind: u8,
    lanes: Lanes,
    terminal: Option<TerminalId>,
    payload_at: usize,
    payload_end: usize,
}

/// Frames in the order of the log.
#[derive(Debug, Default)]
pub struct Batch {
    octets: Vec<u8>,
    places: Vec<Place>,
}

impl Batch {
    /// Whether there is no frame: the reader is at the end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = FrameRef<'_>> {
        self.places.iter().map(|place| FrameRef {
            lsn: place.lsn,
            next: place.next,
            kind: place.kind,
            lanes: place.lanes,
            terminal: place.terminal,
            payload: self
                .octets
                .get(place.payload_at..place.payload_end)
                .unwrap_or_default(),
        })
    }

    /// Notes a frame that ends at `end` in the batch's octets.
    fn push(&mut self, frame: FrameRef<'_>, end: usize) -> Place {
        let place = Place {
            lsn: frame.lsn,
            next: frame.next,
            kind: frame.kind,
            lanes: frame.lanes,
            terminal: frame.terminal,
            payload_at: end.saturating_sub(frame.payload.len()),
            payload_end: end,
        };
        self.places.push(place);
        place
    }
}

/// The segment that a reader is in.
#[derive(Debug)]
struct Current {
    segment: Arc<Segment>,
    file: Arc<dyn FsFile>,
    /// The places of the alarm lane's frames, if only those are read and the segment is sealed.
    alarms: Option<Vec<u32>>,
}

/// Reads the log from a position on, up to what is durable.
#[derive(Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    position: u64,
    lanes: Option<Lanes>,
    current: Option<Current>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, from: Lsn) -> Self {
        Self {
            shared,
            position: from.get(),
            lanes: None,
            current: None,
        }
    }

    /// This reader, giving only frames that have something for one of these lanes. Where only the
    /// alarm lane is wanted, sealed segments are not read whole.
    #[must_use]
    pub fn lane(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self.current = None;
        self
    }

    /// The position up to which everything was given: where a reader that goes on later begins.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn::new(self.position)
    }

    /// Waits until there is something after [`Self::position`]. Returns whether there is. That may
    /// be the end of a segment, or frames of other lanes.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.shared.wait_beyond(self.position, timeout)
    }

    /// The next frames: at most `max_bytes` octets of them and at most 1 MiB, but one at least if
    /// there is one. An empty batch means that the reader is at the end.
    ///
    /// # Errors
    ///
    /// If the position is older than the log, or octets are damaged or cannot be read. The position
    /// does not move then, and nothing that is damaged is given.
    pub fn next_batch(&mut self, max_bytes: usize) -> Result<Batch, ReadError> {
        let max_bytes = max_bytes.clamp(frame::HEADER_LEN, BLOCK);
        loop {
            let durable_end = self.shared.durable_end();
            if self.position >= durable_end {
                return Ok(Batch::default());
            }
            let current = self.open_current()?;
            let segment = Arc::clone(&current.segment);
            let sealed_end = segment.sealed_end.get().copied();
            let end = sealed_end.unwrap_or(durable_end).min(durable_end);
            self.position = self.position.max(segment.first_frame());
            if self.position >= end {
                self.current = None;
                continue;
            }
            let batch = if current_alarms(self.current.as_ref()) {
                self.read_alarms(end, max_bytes)?
            } else {
                self.read_block(end, max_bytes)?
            };
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// The segment that holds the position, open.
    fn open_current(&mut self) -> Result<&Current, ReadError> {
        let is_here = self.current.as_ref().is_some_and(|current| {
            let end = current.segment.sealed_end.get();
            let wants_alarms = self.lanes == Some(Lanes::ALARM) && end.is_some();
            current.segment.base <= self.position
                && end.is_none_or(|end| self.position < *end)
                && wants_alarms == current.alarms.is_some()
        });
        if !is_here {
            self.current = None;
        }
        let opened = match self.current.take() {
            Some(current) => current,
            None => self.open_holding()?,
        };
        Ok(self.current.insert(opened))
    }

    fn open_holding(&self) -> Result<Current, ReadError> {
        let segment = self.shared.segments.holding(self.position)?;
        let fs = &*self.shared.fs;
        let opened = fs.open(&segment.path, Access::Read);
        let file = opened.map_err(|cause| {
            let first = self.shared.segments.first();
            // Dropped between the two looks.
            if cause.kind() == io::ErrorKind::NotFound && first > self.position() {
                let position = self.position();
                ReadError::Gone { position, first }
            } else {
                segment.io(cause)
            }
        })?;
        let wants_alarms = self.lanes == Some(Lanes::ALARM) && segment.sealed_end.get().is_some();
        // Without an index the segment is read whole, and any damage is met there.
        let alarms = wants_alarms
            .then(|| segment.alarm_places(fs).ok())
            .flatten();
        Ok(Current {
            segment,
            file,
            alarms,
        })
    }

    /// Frames from one block of the current segment. Moves the position.
    fn read_block(&mut self, end: u64, max_bytes: usize) -> Result<Batch, ReadError> {
        let Some(current) = &self.current else {
            return Ok(Batch::default());
        };
        let mut batch = Batch::default();
        let octets = read_frame_and_more(current, self.position, end, max_bytes)?;
        if octets.is_empty() {
            // Somebody cut the file behind the log's back.
            return Err(damage_at(current, self.position, end));
        }
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            let lsn = self.position;
            let is_first = at == 0;
            match frame::parse(rest, lsn) {
                Parsed::Frame(frame) if is_first || at.saturating_add(frame.len) <= max_bytes => {
                    at = at.saturating_add(frame.len);
                    self.position = lsn.saturating_add(to_u64(frame.len));
                    let is_footer = frame.content.kind == KIND_FOOTER;
                    let lanes = frame.content.lanes;
                    if !is_footer && self.lanes.is_none_or(|wanted| lanes.meets(wanted)) {
                        batch.push(FrameRef::new(lsn, &frame), at);
                    }
                }
                // The rest comes with the next block, where it is the first.
                _ if !is_first => break,
                _ => return Err(damage_at(current, lsn, end)),
            }
        }
        batch.octets = octets;
        Ok(batch)
    }

    /// Frames of the alarm lane by the index. Moves the position.
    fn read_alarms(&mut self, end: u64, max_bytes: usize) -> Result<Batch, ReadError> {
        let Some(current) = &self.current else {
            return Ok(Batch::default());
        };
        let base = current.segment.base;
        let places = current.alarms.as_deref().unwrap_or_default();
        let from = self.position.saturating_sub(base);
        let skipped = places.partition_point(|place| u64::from(*place) < from);
        let mut batch = Batch::default();
        for place in places.iter().skip(skipped) {
            let lsn = base.saturating_add(u64::from(*place));
            let octets = read_frame_and_more(current, lsn, end, frame::HEADER_LEN)?;
            let Parsed::Frame(frame) = frame::parse(&octets, lsn) else {
                return if batch.is_empty() {
                    Err(damage_at(current, lsn, end))
                } else {
                    Ok(batch)
                };
            };
            let with_it = batch.octets.len().saturating_add(frame.len);
            if !batch.is_empty() && with_it > max_bytes {
                return Ok(batch);
            }
            let head = octets.get(..frame.len).unwrap_or_default();
            batch.octets.extend_from_slice(head);
            let place = batch.push(FrameRef::new(lsn, &frame), with_it);
            self.position = place.next.get();
        }
        self.position = end;
        Ok(batch)
    }
}

fn current_alarms(current: Option<&Current>) -> bool {
    current.is_some_and(|current| current.alarms.is_some())
}

/// Octets from a position on: as many as wanted, but all of the frame that stands there, and none
/// after `end`.
fn read_frame_and_more(
    current: &Current,
    position: u64,
    end: u64,
    wanted: usize,
) -> Result<Vec<u8>, ReadError> {
    let segment = &current.segment;
    let left = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
    let at = position.saturating_sub(segment.base);
    let mut octets = vec![0; wanted.min(left)];
    let read = |octets: &mut Vec<u8>| {
        let read = current.file.read_at(at, octets);
        let read = read.map_err(|cause| segment.io(cause))?;
        octets.truncate(read);
        Ok(())
    };
    read(&mut octets)?;
    if let Some(len) = frame::told_len(&octets)
        && len > octets.len()
        && len <= left
    {
        octets.resize(len, 0);
        read(&mut octets)?;
    }
    Ok(octets)
}

/// The error for damage at a position: up to the next frame, or to the end.
fn damage_at(current: &Current, position: u64, end: u64) -> ReadError {
    let segment = &current.segment;
    let at = position.saturating_sub(segment.base);
    match scan::frame_after(&*current.file, segment.base, at, &|_| true) {
        Ok(next) => ReadError::Damage {
            path: segment.path.clone(),
            from: Lsn::new(position),
            to: Lsn::new(next.map_or(end, |next| segment.base.saturating_add(next.offset))),
        },
        Err(cause) => segment.io(cause),
    }
}

/// Reads one frame whose place is known; the error if there is none.
pub(super) fn read_frame(
    shared: &Shared,
    segment: &Arc<Segment>,
    file: &Arc<dyn FsFile>,
    lsn: u64,
) -> Result<super::OwnedFrame, ReadError> {
    let durable_end = shared.durable_end();
    let end = segment.sealed_end.get().copied().unwrap_or(durable_end);
    let current = Current {
        segment: Arc::clone(segment),
        file: Arc::clone(file),
        alarms: None,
    };
    let octets = read_frame_and_more(&current, lsn, end, 512)?;
    match frame::parse(&octets, lsn) {
        Parsed::Frame(frame) => Ok(super::OwnedFrame::new(FrameRef::new(lsn, &frame))),
        _ => Err(damage_at(&current, lsn, end)),
    }
}
