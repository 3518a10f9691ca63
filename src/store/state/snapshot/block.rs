//! The frame of a snapshot file: a header, blocks that each have a checksum, and an end.
//!
//! ```text
//! header  [8] "KENSHSNP", u16 version, u16 zero, u64 position, u32 CRC-32C of all before it
//! block   u8 kind, [3] zero, u32 octets, those octets, u32 CRC-32C of all of the block before it
//!         kind 1 a part of the directory, 2 whole entries, 4 customer numbers (since version 2),
//!         5 M-Bus meters (since version 3), 6 a part of the formats of compact frames: u8[8] the
//!         utility, octets of its catalog (since version 4; whose they are is not in version 3)
//! end     a block of kind 3: u64 terminals, u64 further meters, u32 CRC-32C of the file before it
//! ```
//!
//! Version 3 knows gateways and counters of downlinks in the directory: a server that reads up to
//! version 2 would lose them, and refuses the file by its version.
//!
//! All numbers are little-endian. Nothing follows the end; a file without it was not finished.

use std::io;
use std::sync::Arc;

use nom::Parser as _;
use nom::number::complete::{le_u32, le_u64};

use super::{FileError, OLDEST_VERSION, VERSION};
use crate::model::Lsn;
use crate::store::fs::FsFile;

/// Octets of a block's content at most.
pub(super) const BLOCK_MAX: usize = 1 << 20;
const MAGIC: [u8; 8] = *b"KENSHSNP";
const HEADER_LEN: usize = 24;
const HEAD_LEN: usize = 8;
const CRC_LEN: usize = 4;

/// What a block holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A part of the directory, as JSON.
    Directory,
    /// Whole entries.
    Terminals,
    /// Customer numbers of terminals that came in blocks before.
    Customers,
    /// Whole M-Bus meters.
    Meters,
    /// A part of the formats of a utility's compact frames.
    Formats,
    /// The end.
    End,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Directory => 1,
            Self::Terminals => 2,
            Self::End => 3,
            Self::Customers => 4,
            Self::Meters => 5,
            Self::Formats => 6,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Directory),
            2 => Some(Self::Terminals),
            3 => Some(Self::End),
            4 => Some(Self::Customers),
            5 => Some(Self::Meters),
            6 => Some(Self::Formats),
            _ => None,
        }
    }
}

/// How much is in a snapshot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) terminals: u64,
    pub(super) further_meters: u64,
}

/// Writes a file from its beginning to its end.
#[derive(Debug)]
pub(super) struct BlockWriter {
    file: Arc<dyn FsFile>,
    at: u64,
    crc: u32,
}

impl BlockWriter {
    pub(super) fn begin(file: Arc<dyn FsFile>, position: Lsn) -> io::Result<Self> {
        let mut writer = Self {
            file,
            at: 0,
            crc: 0,
        };
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&position.get().to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
        writer.append(&header)?;
        Ok(writer)
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all_at(self.at, octets)?;
        self.crc = crc32c::crc32c_append(self.crc, octets);
        self.at = self.at.saturating_add(len_u64(octets));
        Ok(())
    }

    /// Writes a block of at most [`BLOCK_MAX`] octets.
    pub(super) fn block(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        let len = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut octets = Vec::with_capacity(content.len().saturating_add(HEAD_LEN + CRC_LEN));
        octets.extend_from_slice(&[kind.number(), 0, 0, 0]);
        octets.extend_from_slice(&len.to_le_bytes());
        octets.extend_from_slice(content);
        octets.extend_from_slice(&crc32c::crc32c(&octets).to_le_bytes());
        self.append(&octets)
    }

    /// Writes the end, makes the file durable, and tells its length in octets.
    pub(super) fn finish(mut self, counts: Counts) -> io::Result<u64> {
        let mut content = counts.terminals.to_le_bytes().to_vec();
        content.extend_from_slice(&counts.further_meters.to_le_bytes());
        content.extend_from_slice(&self.crc.to_le_bytes());
        self.block(Kind::End, &content)?;
        self.file.sync_data()?;
        Ok(self.at)
    }
}

/// Reads a file from its beginning to its end.
#[derive(Debug)]
pub(super) struct BlockReader {
    file: Arc<dyn FsFile>,
    at: u64,
    crc: u32,
    version: u16,
    block: Vec<u8>,
}

impl BlockReader {
    /// Reads the header; tells the position as well.
    pub(super) fn begin(file: Arc<dyn FsFile>) -> Result<(Self, Lsn), FileError> {
        let mut header = [0; HEADER_LEN];
        let read = file.read_at(0, &mut header).map_err(FileError::Io)?;
        let [magic @ .., _, _, _, _] = &header;
        let crc = crc32c::crc32c(magic);
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, _, _, p @ ..] = header;
        if read < HEADER_LEN || [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(FileError::NotASnapshot);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version > VERSION {
            return Err(FileError::Newer(version));
        }
        let position = (le_u64::<_, nom::error::Error<&[u8]>>, le_u32).parse(p.as_slice());
        match position {
            Ok((_, (position, found))) if found == crc && version >= OLDEST_VERSION => {
                let reader = Self {
                    file,
                    at: len_u64(&header),
                    crc: crc32c::crc32c(&header),
                    version,
                    block: Vec::new(),
                };
                Ok((reader, Lsn::new(position)))
            }
            _ => Err(FileError::Damaged { at: 0 }),
        }
    }

    /// The version of the file.
    pub(super) const fn version(&self) -> u16 {
        self.version
    }

    /// Entries that a file of this length has at most.
    pub(super) fn entries_at_most(&self) -> Result<usize, FileError> {
        let octets = self.file.len().map_err(FileError::Io)?;
        let octets = usize::try_from(octets).unwrap_or(usize::MAX);
        Ok(octets / super::entry::ENTRY_LEN)
    }

    /// The offset of the next block.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    const fn damaged(&self) -> FileError {
        FileError::Damaged { at: self.at }
    }

    /// Reads the next block.
    pub(super) fn next(&mut self) -> Result<(Kind, &[u8]), FileError> {
        let mut head = [0; HEAD_LEN];
        let read = self.file.read_at(self.at, &mut head);
        if read.map_err(FileError::Io)? < HEAD_LEN {
            return Err(self.damaged());
        }
        let [kind, _, _, _, len @ ..] = head;
        let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
        if len > BLOCK_MAX {
            return Err(self.damaged());
        }
        self.block.clear();
        self.block.resize(len.saturating_add(CRC_LEN), 0);
        let content_at = self.at.saturating_add(len_u64(&head));
        let read = self.file.read_at(content_at, &mut self.block);
        if read.map_err(FileError::Io)? < self.block.len() {
            return Err(self.damaged());
        }
        let (content, tail) = self.block.split_at(len);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head), content);
        let kind = Kind::from_number(kind).filter(|_| crc.to_le_bytes() == tail);
        let kind = kind.ok_or_else(|| self.damaged())?;
        if kind != Kind::End {
            self.crc = crc32c::crc32c_append(self.crc, &head);
            self.crc = crc32c::crc32c_append(self.crc, &self.block);
        }
        self.at = content_at.saturating_add(len_u64(&self.block));
        let (content, _) = self.block.split_at(len);
        Ok((kind, content))
    }

    /// Checks the content of the end, the block that was just read, and that nothing follows.
    pub(super) fn check_end(&self, counts: Counts) -> Result<(), FileError> {
        let end = (le_u64::<_, nom::error::Error<&[u8]>>, le_u64, le_u32).parse(&*self.block);
        let expected = (counts.terminals, counts.further_meters, self.crc);
        let len = self.file.len().map_err(FileError::Io)?;
        match end {
            Ok((_, found)) if found == expected && len == self.at => Ok(()),
            _ => Err(self.damaged()),
        }
    }
}

fn len_u64(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}
