//! Opening a log: which files there are, whether they fit together, and where it ends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::commit::{Tail, begin, create_segment, sync_names};
use super::error::OpenError;
use super::frame::{self, KIND_FOOTER, Parsed};
use super::header::{self, Footer, Header, HeaderState, Link};
use super::index::{Entries, IndexState};
use super::reader::FrameRef;
use super::scan::{self, Found, Stop};
use super::segment::{BLOCK, Segment, Segments, base_of, base_of_index, file_name, is_unfinished};
use super::{LogOptions, TornEnd};
use crate::model::Lsn;
use crate::store::fs::{Access, Fs, FsFile};

/// A log that is fit for use.
pub(super) struct Recovered {
    pub(super) segments: Segments,
    pub(super) active: Arc<Segment>,
    pub(super) tail: Tail,
    pub(super) torn_end: Option<TornEnd>,
}

/// Opens the files of a log and mends its end. Frames that are checked anyway are shown to `each`:
/// those at or after [`LogOptions::check_from`], in their order.
pub(super) fn recover(
    fs: &dyn Fs,
    dir: &Path,
    options: &LogOptions,
    each: &mut dyn FnMut(&FrameRef<'_>),
) -> Result<Recovered, OpenError> {
    if !(4 << 10..=1 << 30).contains(&options.segment_bytes) {
        return Err(OpenError::Option {
            name: "segment_bytes",
            range: "4 KiB to 1 GiB",
        });
    }
    let mut recovery = Recovery {
        fs,
        dir,
        options,
        each,
    };
    let at_dir = |cause| io_error(dir, cause);
    fs.create_dir_all(dir).map_err(at_dir)?;
    if let Some(parent) = dir.parent() {
        sync_names(fs, parent).map_err(|cause| io_error(parent, cause))?;
    }
    let bases = recovery.bases().map_err(at_dir)?;
    let mut segments = Vec::new();
    let mut end = End::default();
    if let Some((last, sealed)) = bases.split_last() {
        for (base, next) in sealed.iter().zip(bases.iter().skip(1)) {
            let segment = recovery.sealed(*base, *next, &mut end)?;
            segments.push(Arc::new(segment));
        }
        let (segment, tail) = recovery.last(*last, &mut end)?;
        segments.push(Arc::new(segment));
        end.tail = tail;
    }
    let tail = match end.tail.take() {
        Some(tail) => tail,
        None => {
            let base = end.position;
            let previous = end.link.unwrap_or(Link::NONE);
            let tail = create_segment(fs, dir, base, previous).map_err(at_dir)?;
            let entries = IndexState::Memory(Entries::default());
            segments.push(Arc::new(Segment::new(dir, base, entries)));
            tail
        }
    };
    sync_names(fs, dir).map_err(at_dir)?;
    let position = Lsn::new(tail.base.saturating_add(tail.len));
    if position < options.known_durable {
        return Err(OpenError::Missing {
            from: position,
            to: options.known_durable,
        });
    }
    let active = segments.last().cloned().ok_or_else(|| {
        let cause = io::ErrorKind::NotFound.into();
        io_error(dir, cause)
    })?;
    Ok(Recovered {
        segments: Segments(RwLock::new(segments)),
        active,
        tail,
        torn_end: end.torn_end,
    })
}

fn io_error(path: &Path, cause: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        cause,
    }
}

/// How far the check has come.
#[derive(Default)]
struct End {
    /// Where the checked segments end.
    position: u64,
    /// What the next segment's header must say; none before the first.
    link: Option<Link>,
    /// The active segment's end; none if there is no active segment yet.
    tail: Option<Tail>,
    /// What was cut off.
    torn_end: Option<TornEnd>,
}

struct Recovery<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    options: &'a LogOptions,
    each: &'a mut dyn FnMut(&FrameRef<'_>),
}

/// One file while it is checked.
struct Candidate {
    base: u64,
    path: PathBuf,
    file: Arc<dyn FsFile>,
    len: u64,
}

impl Candidate {
    fn position(&self, offset: u64) -> u64 {
        self.base.saturating_add(offset)
    }

    fn io(&self, cause: io::Error) -> OpenError {
        io_error(&self.path, cause)
    }

    fn damage(&self, from: u64, to: u64, what: &'static str) -> OpenError {
        OpenError::Damage {
            path: self.path.clone(),
            from: Lsn::new(self.position(from)),
            to: Lsn::new(self.position(to)),
            what,
        }
    }

    fn newer(&self, version: u16) -> OpenError {
        OpenError::Newer {
            path: self.path.clone(),
            version,
        }
    }

    /// The damage at an offset: up to the next frame, or to the end of the file.
    fn damage_at(&self, offset: u64, what: &'static str) -> OpenError {
        match scan::frame_after(&*self.file, self.base, offset, &|_| true) {
            Ok(next) => {
                let to = next.map_or(self.len, |survivor| survivor.offset);
                self.damage(offset, to.max(offset.saturating_add(1)), what)
            }
            Err(cause) => self.io(cause),
        }
    }
}

impl Recovery<'_> {
    /// The bases of the segments in order. Index files that belong to none are removed, and all
    /// files that are unfinished.
    fn bases(&self) -> io::Result<Vec<u64>> {
        let names = self.fs.list(self.dir)?;
        let mut bases: Vec<u64> = names.iter().filter_map(|name| base_of(name)).collect();
        bases.sort_unstable();
        for name in names {
            let is_orphan =
                base_of_index(&name).is_some_and(|base| bases.binary_search(&base).is_err());
            if is_orphan || is_unfinished(&name) {
                self.fs.remove(&self.dir.join(name))?;
            }
        }
        Ok(bases)
    }

    fn candidate(&self, base: u64, access: Access) -> Result<Candidate, OpenError> {
        let path = self.dir.join(file_name(base));
        let opened = self.fs.open(&path, access);
        let file = opened.map_err(|cause| io_error(&path, cause))?;
        let len = file.len().map_err(|cause| io_error(&path, cause))?;
        Ok(Candidate {
            base,
            path,
            file,
            len,
        })
    }

    /// The header of a file, which must fit to the segment before; none if it is not whole.
    fn header(&self, of: &Candidate, end: &End) -> Result<Option<Header>, OpenError> {
        let mut octets = [0; 64];
        let read = of.file.read_at(0, &mut octets);
        read.map_err(|cause| of.io(cause))?;
        let header = match header::parse(&octets) {
            HeaderState::Good(header) => header,
            HeaderState::Newer(version) => return Err(of.newer(version)),
            HeaderState::Bad => return Ok(None),
        };
        if header.base != of.base {
            let what = "the file is another segment under this name";
            return Err(of.damage(0, of.len, what));
        }
        let is_linked = match end.link {
            Some(link) => header.previous == link,
            None => of.base > 0 || header.previous == Link::NONE,
        };
        if is_linked {
            Ok(Some(header))
        } else {
            let what = "the segment does not continue the one before it";
            Err(of.damage(0, of.len, what))
        }
    }

    /// Checks a segment that is not the last one.
    fn sealed(&mut self, base: u64, next: u64, end: &mut End) -> Result<Segment, OpenError> {
        if end.link.is_some() || end.position > 0 {
            self.check_gap(base, end)?;
        }
        let file = self.candidate(base, Access::Read)?;
        let header = self.header(&file, end)?;
        let header = header.ok_or_else(|| file.damage(0, header::LEN, "the header"))?;
        let chain = match self.footer(&file)? {
            Some(chain) if file.position(file.len) <= self.options.check_from.get() => chain,
            _ => self.read_sealed(&file, header)?,
        };
        let segment = Segment::new(self.dir, base, IndexState::Unknown);
        end.position = file.position(file.len);
        segment.sealed_end.set(end.position).ok();
        end.link = Some(Link { base, chain });
        if end.position > next {
            let from = next.saturating_sub(base);
            return Err(file.damage(from, file.len, "the next segment begins before"));
        }
        Ok(segment)
    }

    fn show(&mut self, base: u64, offset: u64, frame: &frame::Frame<'_>) {
        let frame = FrameRef::new(base.saturating_add(offset), frame);
        if frame.lsn >= self.options.check_from {
            (self.each)(&frame);
        }
    }

    fn check_gap(&self, base: u64, end: &End) -> Result<(), OpenError> {
        if base == end.position {
            return Ok(());
        }
        Err(OpenError::Missing {
            from: Lsn::new(end.position),
            to: Lsn::new(base),
        })
    }

    /// The chain that the footer at a file's end tells; none if there is no footer.
    fn footer(&self, of: &Candidate) -> Result<Option<u32>, OpenError> {
        let Some(at) = of.len.checked_sub(header::FOOTER_LEN) else {
            return Ok(None);
        };
        let mut octets = [0; 36];
        let read = of.file.read_at(at, &mut octets);
        read.map_err(|cause| of.io(cause))?;
        let Parsed::Frame(frame) = frame::parse(&octets, of.position(at)) else {
            return Ok(None);
        };
        if frame.content.kind != KIND_FOOTER {
            return Ok(None);
        }
        let footer = Footer::parse(frame.content.payload);
        Ok(footer.map(|footer| footer.chain))
    }

    /// Reads all of a sealed segment. Returns the chain before its footer.
    fn read_sealed(&mut self, of: &Candidate, header: Header) -> Result<u32, OpenError> {
        let mut show = |offset, frame: &frame::Frame<'_>| self.show(of.base, offset, frame);
        let found = scan::scan(&*of.file, of.base, header.crc, &mut show);
        let found = found.map_err(|cause| of.io(cause))?;
        match found.stop {
            Stop::Footer if found.end == of.len => Ok(found.chain),
            Stop::Footer => Err(of.damage(found.end, of.len, "octets after the footer")),
            Stop::WrongFooter => {
                let what = "the footer does not fit to the frames";
                Err(of.damage(header::LEN, found.end, what))
            }
            Stop::Newer(version) => Err(of.newer(version.into())),
            Stop::End => {
                let what = "the end of the segment is missing";
                Err(of.damage(found.end, found.end.saturating_add(1), what))
            }
            Stop::Bad => Err(of.damage_at(found.end, "a frame's check fails")),
        }
    }

    /// Checks the last segment and mends its end. No tail means that the segment is sealed, or was
    /// not begun and is gone.
    fn last(&mut self, base: u64, end: &mut End) -> Result<(Segment, Option<Tail>), OpenError> {
        if end.link.is_some() {
            self.check_gap(base, end)?;
        }
        let file = self.candidate(base, Access::ReadWrite)?;
        let mut entries = Entries::default();
        let Some(header) = self.header(&file, end)? else {
            let tail = self.begin_again(&file, end)?;
            let segment = Segment::new(self.dir, base, IndexState::Memory(entries));
            return Ok((segment, Some(tail)));
        };
        let mut note = |offset, frame: &frame::Frame<'_>| {
            entries.note(offset, &frame.content);
            self.show(base, offset, frame);
        };
        let found = scan::scan(&*file.file, base, header.crc, &mut note);
        let found = found.map_err(|cause| file.io(cause))?;
        match found.stop {
            Stop::End => {}
            Stop::Bad => self.check_torn(&file, found)?,
            Stop::Footer if found.end == file.len => {}
            Stop::Footer => {
                return Err(file.damage(found.end, file.len, "octets after the footer"));
            }
            Stop::WrongFooter => {
                let what = "the footer does not fit to the frames";
                return Err(file.damage(header::LEN, found.end, what));
            }
            Stop::Newer(version) => return Err(file.newer(version.into())),
        }
        end.torn_end = self.settle(&file, found)?;
        if found.stop == Stop::Footer {
            let segment = Segment::new(self.dir, base, IndexState::Unknown);
            end.position = file.position(found.end);
            segment.sealed_end.set(end.position).ok();
            end.link = Some(Link {
                base,
                chain: found.chain,
            });
            return Ok((segment, None));
        }
        let segment = Segment::new(self.dir, base, IndexState::Memory(entries));
        let tail = Tail {
            file: file.file,
            base,
            len: found.end,
            frames: found.frames,
            chain: found.chain,
        };
        Ok((segment, Some(tail)))
    }

    /// A segment whose header is not whole was being made when the power went: nothing was written
    /// behind the header before that was durable.
    fn begin_again(&self, file: &Candidate, end: &End) -> Result<Tail, OpenError> {
        let was_being_made = file.base == 0 || end.link.is_some();
        if file.len > header::LEN || !was_being_made {
            let to = header::LEN.min(file.len.max(1));
            return Err(file.damage(0, to, "the header"));
        }
        let io = |cause| file.io(cause);
        let previous = end.link.unwrap_or(Link::NONE);
        begin(Arc::clone(&file.file), file.base, previous).map_err(io)
    }

    /// Whether what follows the last good frame may be cut: a frame of a batch that began after it
    /// was written only once the damaged octets were durable, and so was what somebody knows to
    /// have been. Damage of the last batch looks the same as one that was torn.
    fn check_torn(&self, file: &Candidate, found: Found) -> Result<(), OpenError> {
        if file.position(found.end) < self.options.known_durable.get() {
            return Err(file.damage_at(found.end, "a frame's check fails"));
        }
        let is_later = |survivor: scan::Survivor| survivor.batch > found.end;
        let later = scan::frame_after(&*file.file, file.base, found.end, &is_later);
        match later.map_err(|cause| file.io(cause))? {
            None => Ok(()),
            Some(_) => Err(file.damage_at(found.end, "a frame's check fails")),
        }
    }

    /// Cuts what is torn, and writes the last batch again: if its sync failed, it can be read and
    /// is not durable. Returns what was cut.
    fn settle(&self, file: &Candidate, found: Found) -> Result<Option<TornEnd>, OpenError> {
        let io = |cause| file.io(cause);
        let torn_end = (found.end < file.len).then(|| TornEnd {
            from: Lsn::new(file.position(found.end)),
            to: Lsn::new(file.position(file.len)),
        });
        if torn_end.is_some() {
            file.file.set_len(found.end).map_err(io)?;
        }
        // With no frame, the header is the last thing that was written.
        let mut at = if found.frames == 0 {
            0
        } else {
            found.last_batch
        };
        while at < found.end {
            let left = usize::try_from(found.end.saturating_sub(at)).unwrap_or(BLOCK);
            let mut octets = vec![0; left.min(BLOCK)];
            file.file.read_at(at, &mut octets).map_err(io)?;
            file.file.write_all_at(at, &octets).map_err(io)?;
            at = at.saturating_add(scan::to_u64(octets.len()));
        }
        file.file.sync_data().map_err(io)?;
        Ok(torn_end)
    }
}
