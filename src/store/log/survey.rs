//! Looking at a log without using it: for whoever checks it, beside a server that runs or not.
//!
//! Nothing is written. A file is looked at up to the length that it has when it is opened, since a
//! server may append meanwhile; and segments that retention drops meanwhile are no damage.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, KIND_FOOTER};
use super::header::{self, Footer, HeaderState, Link};
use super::reader::FrameRef;
use super::scan::{self, Scanner, Step};
use super::segment::{base_of, file_name};
use crate::model::Lsn;
use crate::store::fs::{Access, Fs, FsFile};

/// What a survey found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// The segments that were looked at, oldest first.
    pub segments: Vec<SurveyedSegment>,
    /// What is damaged or missing, in the order of the log.
    pub damage: Vec<Damage>,
    /// Octets at the end that are no whole frame: of a batch that is being written, or was torn.
    /// The next start cuts them, unless somebody knows that they were durable.
    pub torn_octets: u64,
}

/// One segment's file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SurveyedSegment {
    /// The file.
    pub path: PathBuf,
    /// Where it begins.
    pub base: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// Frames whose check holds, without the footer.
    pub frames: u64,
    /// Whether it ends with its footer.
    pub is_sealed: bool,
}

/// A range of the log that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The file; for a missing one, where it should be.
    pub path: PathBuf,
    /// The first position.
    pub from: Lsn,
    /// The first position after it.
    pub to: Lsn,
    /// What is wrong.
    pub what: &'static str,
}

/// Why a log cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// There is none.
    #[error("{} holds no log: name the data directory of a server", .0.display())]
    NoLog(PathBuf),
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
    /// The operating system refused something.
    #[error("cannot read the log: {}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Reads the log in a directory from the segment that holds `from`, and shows each frame at or
/// after `from` until told to stop. Goes on after damage.
///
/// # Errors
///
/// If there is no log, a file cannot be read, or a later program wrote it.
pub fn survey(
    fs: &dyn Fs,
    dir: &Path,
    from: Lsn,
    each: &mut dyn FnMut(&FrameRef<'_>) -> ControlFlow<()>,
) -> Result<Survey, SurveyError> {
    let all = bases(fs, dir)?;
    if all.is_empty() {
        return Err(SurveyError::NoLog(dir.to_owned()));
    }
    let before = all.partition_point(|base| *base <= from.get());
    let wanted = all.get(before.saturating_sub(1)..).unwrap_or_default();
    let mut surveyor = Surveyor {
        fs,
        dir,
        from,
        each,
        survey: Survey::default(),
        link: None,
        last: all.last().copied().unwrap_or_default(),
    };
    for base in wanted {
        if surveyor.segment(*base)?.is_break() {
            break;
        }
    }
    Ok(surveyor.survey)
}

fn bases(fs: &dyn Fs, dir: &Path) -> Result<Vec<u64>, SurveyError> {
    let names = match fs.list(dir) {
        Ok(names) => names,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(cause) => {
            let path = dir.to_owned();
            return Err(SurveyError::Io { path, cause });
        }
    };
    let mut bases: Vec<u64> = names.iter().filter_map(|name| base_of(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

struct Surveyor<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    from: Lsn,
    each: &'a mut dyn FnMut(&FrameRef<'_>) -> ControlFlow<()>,
    survey: Survey,
    /// What the next header must say; none if it is not known.
    link: Option<Link>,
    last: u64,
}

/// One file while it is looked at.
struct Looked {
    path: PathBuf,
    file: Prefix,
    base: u64,
}

/// What the frames of a file add up to.
struct Sum {
    end: u64,
    frames: u64,
    /// The chain; none after damage.
    chain: Option<u32>,
    /// The chain that the footer tells.
    sealed: Option<u32>,
    is_stopped: bool,
}

impl Surveyor<'_> {
    fn segment(&mut self, base: u64) -> Result<ControlFlow<()>, SurveyError> {
        let path = self.dir.join(file_name(base));
        let opened = self.fs.open(&path, Access::Read);
        let opened = opened.and_then(|file| Ok((file.len()?, file)));
        let (len, file) = match opened {
            Ok(opened) => opened,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                if bases(self.fs, self.dir)?.first().is_none_or(|b| *b > base) {
                    // Retention dropped it, and all before it.
                    self.survey = Survey::default();
                    self.link = None;
                }
                return Ok(ControlFlow::Continue(()));
            }
            Err(cause) => return Err(SurveyError::Io { path, cause }),
        };
        let file = Prefix { file, len };
        let looked = Looked { path, file, base };
        self.check_place(&looked);
        let io = |cause| SurveyError::Io {
            path: looked.path.clone(),
            cause,
        };
        let header_crc = match self.header(&looked)? {
            Some(crc) => Some(crc),
            None if len <= header::LEN && base == self.last => {
                // It was being made.
                self.survey.torn_octets = len;
                return Ok(ControlFlow::Continue(()));
            }
            None => {
                self.damage(&looked, 0, header::LEN.min(len.max(1)), "the header");
                None
            }
        };
        let sum = self.frames(&looked, header_crc)?.map_err(io)?;
        self.survey.segments.push(SurveyedSegment {
            path: looked.path.clone(),
            base: Lsn::new(base),
            end: Lsn::new(base.saturating_add(sum.end)),
            frames: sum.frames,
            is_sealed: sum.sealed.is_some(),
        });
        self.link = sum.sealed.map(|chain| Link { base, chain });
        if sum.is_stopped {
            return Ok(ControlFlow::Break(()));
        }
        if sum.sealed.is_none() && base != self.last {
            let what = "the end of the segment is missing";
            self.damage(&looked, sum.end, sum.end.saturating_add(1), what);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether the file begins where the one before it ends.
    fn check_place(&mut self, looked: &Looked) {
        let Some(before) = self.survey.segments.last() else {
            return;
        };
        let (end, base) = (before.end, Lsn::new(looked.base));
        if end == base || (!before.is_sealed && end < base) {
            return;
        }
        self.link = None;
        let what = if end < base {
            "the file is missing"
        } else {
            "the segment before it reaches into it"
        };
        self.survey.damage.push(Damage {
            path: self.dir.join(file_name(end.get().min(base.get()))),
            from: end.min(base),
            to: end.max(base),
            what,
        });
    }

    /// The header's CRC; none if the header is not whole.
    fn header(&mut self, looked: &Looked) -> Result<Option<u32>, SurveyError> {
        let mut octets = [0; 64];
        let read = looked.file.read_at(0, &mut octets);
        read.map_err(|cause| SurveyError::Io {
            path: looked.path.clone(),
            cause,
        })?;
        let header = match header::parse(&octets) {
            HeaderState::Good(header) => header,
            HeaderState::Bad => return Ok(None),
            HeaderState::Newer(version) => {
                let path = looked.path.clone();
                return Err(SurveyError::Newer { path, version });
            }
        };
        if header.base != looked.base {
            let what = "the file is another segment under this name";
            self.damage(looked, 0, looked.file.len, what);
        } else if self.link.is_some_and(|link| header.previous != link) {
            let what = "the segment does not continue the one before it";
            self.damage(looked, 0, looked.file.len, what);
        }
        Ok(Some(header.crc))
    }

    fn frames(
        &mut self,
        looked: &Looked,
        header_crc: Option<u32>,
    ) -> Result<io::Result<Sum>, SurveyError> {
        let file = &looked.file;
        let mut scanner = Scanner::new(file, looked.base);
        let mut sum = Sum {
            end: header::LEN,
            frames: 0,
            chain: header_crc,
            sealed: None,
            is_stopped: false,
        };
        loop {
            let step = match scanner.step() {
                Ok(step) => step,
                Err(cause) => return Ok(Err(cause)),
            };
            match step {
                Step::Frame(offset, frame) => {
                    sum.end = offset.saturating_add(scan::to_u64(frame.len));
                    if frame.content.kind == KIND_FOOTER {
                        self.footer(looked, &mut sum, frame.content.payload);
                        return Ok(Ok(sum));
                    }
                    sum.frames = sum.frames.saturating_add(1);
                    sum.chain = sum.chain.map(|chain| frame::chain(chain, frame.crc));
                    let seen = FrameRef::new(looked.base.saturating_add(offset), &frame);
                    if seen.lsn >= self.from && (self.each)(&seen).is_break() {
                        sum.is_stopped = true;
                        return Ok(Ok(sum));
                    }
                }
                Step::End => return Ok(Ok(sum)),
                Step::Newer(version) => {
                    let (path, version) = (looked.path.clone(), version.into());
                    return Err(SurveyError::Newer { path, version });
                }
                Step::Bad => match self.after_damage(looked, &mut sum) {
                    Ok(Some(offset)) => scanner = Scanner::starting_at(file, looked.base, offset),
                    Ok(None) => return Ok(Ok(sum)),
                    Err(cause) => return Ok(Err(cause)),
                },
            }
        }
    }

    /// Names the damage, or counts the torn end. Returns where a frame stands after it.
    fn after_damage(&mut self, looked: &Looked, sum: &mut Sum) -> io::Result<Option<u64>> {
        let (file, end) = (&looked.file, sum.end);
        if looked.base == self.last {
            let is_later = |survivor: scan::Survivor| survivor.batch > end;
            if scan::frame_after(file, looked.base, end, &is_later)?.is_none() {
                self.survey.torn_octets = file.len.saturating_sub(end);
                return Ok(None);
            }
        }
        let next = scan::frame_after(file, looked.base, end, &|_| true)?;
        let offset = next.map(|survivor| survivor.offset);
        self.damage(
            looked,
            end,
            offset.unwrap_or(file.len),
            "a frame's check fails",
        );
        sum.chain = None;
        sum.end = offset.unwrap_or(file.len);
        Ok(offset)
    }

    fn footer(&mut self, looked: &Looked, sum: &mut Sum, payload: &[u8]) {
        let footer = Footer::parse(payload);
        let expected = sum.chain.map(|chain| Footer {
            frames: sum.frames,
            chain,
        });
        if footer.is_none() || expected.is_some_and(|expected| footer != Some(expected)) {
            let what = "the footer does not fit to the frames";
            self.damage(looked, header::LEN, sum.end, what);
        }
        sum.sealed = footer.map(|footer| footer.chain);
        if sum.end < looked.file.len {
            let what = "octets after the footer";
            self.damage(looked, sum.end, looked.file.len, what);
        }
    }

    fn damage(&mut self, of: &Looked, from: u64, to: u64, what: &'static str) {
        self.survey.damage.push(Damage {
            path: of.path.clone(),
            from: Lsn::new(of.base.saturating_add(from)),
            to: Lsn::new(of.base.saturating_add(to)),
            what,
        });
    }
}

/// A file up to a length.
#[derive(Debug)]
struct Prefix {
    file: Arc<dyn FsFile>,
    len: u64,
}

impl FsFile for Prefix {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let place = buffer.get_mut(..wanted).unwrap_or_default();
        self.file.read_at(offset, place)
    }

    fn write_all_at(&self, _offset: u64, _octets: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_len(&self, _octets: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
