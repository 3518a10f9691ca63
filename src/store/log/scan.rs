//! Reading a segment's file from front to back, and looking for life after damage.

use std::io;

use super::frame::{self, FRAME_MAX, Frame, KIND_FOOTER, Parsed};
use super::header;
use super::header::Footer;
use super::segment::BLOCK;
use crate::store::fs::FsFile;

/// Reads frames of one file in order.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    file: &'a dyn FsFile,
    base: u64,
    /// Where in the file the block begins.
    block_at: u64,
    block: Vec<u8>,
    /// How much of the block was read.
    used: usize,
    is_at_end: bool,
}

/// What a scanner came to.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Frame(u64, Frame<'a>),
    /// The file ends here, after a whole frame.
    End,
    /// A frame of a later version.
    Newer(u8),
    /// No frame, or the beginning of one.
    Bad,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(file: &'a dyn FsFile, base: u64) -> Self {
        Self::starting_at(file, base, header::LEN)
    }

    /// Begins at a frame, `offset` octets from the file's beginning.
    pub(super) fn starting_at(file: &'a dyn FsFile, base: u64, offset: u64) -> Self {
        Self {
            file,
            base,
            block_at: offset,
            block: Vec::new(),
            used: 0,
            is_at_end: false,
        }
    }

    /// Octets from the file's beginning to the next frame.
    pub(super) fn offset(&self) -> u64 {
        self.block_at.saturating_add(to_u64(self.used))
    }

    /// The frame after the last one.
    pub(super) fn step(&mut self) -> io::Result<Step<'_>> {
        loop {
            let rest = self.block.get(self.used..).unwrap_or_default();
            let needed = frame::told_len(rest).unwrap_or(frame::HEADER_LEN);
            if rest.len() >= needed || self.is_at_end {
                break;
            }
            self.fill()?;
        }
        let offset = self.offset();
        let rest = self.block.get(self.used..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Step::End);
        }
        Ok(match frame::parse(rest, self.base.saturating_add(offset)) {
            Parsed::Frame(frame) => {
                self.used = self.used.saturating_add(frame.len);
                Step::Frame(offset, frame)
            }
            Parsed::Newer(version) => Step::Newer(version),
            Parsed::Bad => Step::Bad,
        })
    }

    /// Keeps what is not read of the block, and reads on behind it.
    fn fill(&mut self) -> io::Result<()> {
        self.block_at = self.offset();
        self.block.drain(..self.used.min(self.block.len()));
        self.used = 0;
        let kept = self.block.len();
        self.block.resize(kept.saturating_add(BLOCK), 0);
        let place = self.block.get_mut(kept..).unwrap_or_default();
        let at = self.block_at.saturating_add(to_u64(kept));
        let read = self.file.read_at(at, place)?;
        self.is_at_end = read < BLOCK;
        self.block.truncate(kept.saturating_add(read));
        Ok(())
    }
}

/// A length as a distance in a file.
pub(super) fn to_u64(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The file ends after a whole frame.
    End,
    /// The footer, which agrees with the frames before it.
    Footer,
    /// The footer, which does not.
    WrongFooter,
    /// A frame of a later version.
    Newer(u8),
    /// No frame.
    Bad,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// Octets from the file's beginning to where the scan ended.
    pub(super) end: u64,
    /// Octets from the file's beginning to the last frame's batch.
    pub(super) last_batch: u64,
    /// Frames, without a footer.
    pub(super) frames: u64,
    /// The chain there; a footer does not carry it on.
    pub(super) chain: u32,
    pub(super) stop: Stop,
}

/// Reads all frames of a file whose header has this CRC.
pub(super) fn scan(
    file: &dyn FsFile,
    base: u64,
    header_crc: u32,
    each: &mut dyn FnMut(u64, &Frame<'_>),
) -> io::Result<Found> {
    let mut scanner = Scanner::new(file, base);
    let mut found = Found {
        end: header::LEN,
        last_batch: header::LEN,
        frames: 0,
        chain: header_crc,
        stop: Stop::End,
    };
    loop {
        found.end = scanner.offset();
        match scanner.step()? {
            Step::Frame(offset, frame) => {
                found.last_batch = offset.saturating_sub(u64::from(frame.batch_offset));
                found.end = offset.saturating_add(to_u64(frame.len));
                if frame.content.kind == KIND_FOOTER {
                    let expected = Footer {
                        frames: found.frames,
                        chain: found.chain,
                    };
                    let is_right = Footer::parse(frame.content.payload) == Some(expected);
                    found.stop = if is_right {
                        Stop::Footer
                    } else {
                        Stop::WrongFooter
                    };
                    return Ok(found);
                }
                found.chain = frame::chain(found.chain, frame.crc);
                found.frames = found.frames.saturating_add(1);
                each(offset, &frame);
            }
            Step::End => return Ok(found),
            Step::Newer(version) => {
                found.stop = Stop::Newer(version);
                return Ok(found);
            }
            Step::Bad => {
                found.stop = Stop::Bad;
                return Ok(found);
            }
        }
    }
}

/// A frame that stands after damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Survivor {
    /// Octets from the file's beginning to it.
    pub(super) offset: u64,
    /// Octets from the file's beginning to the first frame of its batch.
    pub(super) batch: u64,
}

/// The first frame that begins after `from`, of those that `is_wanted`.
pub(super) fn frame_after(
    file: &dyn FsFile,
    base: u64,
    from: u64,
    is_wanted: &dyn Fn(Survivor) -> bool,
) -> io::Result<Option<Survivor>> {
    // Each block overlaps the next by the largest frame.
    let mut block = vec![0; BLOCK.saturating_add(FRAME_MAX)];
    let mut block_at = from.saturating_add(1);
    loop {
        let read = file.read_at(block_at, &mut block)?;
        let octets = block.get(..read).unwrap_or_default();
        for start in 0..BLOCK.min(read) {
            let rest = octets.get(start..).unwrap_or_default();
            let offset = block_at.saturating_add(to_u64(start));
            let parsed = frame::parse(rest, base.saturating_add(offset));
            if let Parsed::Frame(frame) = parsed {
                let batch = offset.saturating_sub(u64::from(frame.batch_offset));
                let survivor = Survivor { offset, batch };
                if is_wanted(survivor) {
                    return Ok(Some(survivor));
                }
            }
        }
        if read < block.len() {
            return Ok(None);
        }
        block_at = block_at.saturating_add(to_u64(BLOCK));
    }
}
