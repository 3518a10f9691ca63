//! The two ends of a segment: the header that links it to the one before, and the footer.

use super::frame::{self, Content, KIND_FOOTER, put, take};
use crate::model::Lanes;

/// Octets of a segment before its first frame.
pub(super) const LEN: u64 = 64;
const LEN_USIZE: usize = 64;
const MAGIC: [u8; 8] = *b"KENSHLOG";
/// The version of the segments that are written.
pub(super) const VERSION: u16 = 1;
/// Octets of a footer's payload.
const FOOTER_PAYLOAD: usize = 12;
/// Octets of a footer.
pub(super) const FOOTER_LEN: u64 = 36;

/// Which segment stands before, and how it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link {
    /// Its base; of the first segment of a log, 0.
    pub(super) base: u64,
    /// The chain before its footer; of the first segment of a log, 0.
    pub(super) chain: u32,
}

impl Link {
    pub(super) const NONE: Self = Self { base: 0, chain: 0 };
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) base: u64,
    pub(super) previous: Link,
    /// The header's CRC, where the segment's chain begins.
    pub(super) crc: u32,
}

/// What stands where a header should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeaderState {
    Good(Header),
    Newer(u16),
    Bad,
}

/// The octets of a header, and its CRC.
pub(super) fn encode(base: u64, previous: Link) -> ([u8; LEN_USIZE], u32) {
    let mut octets = [0; LEN_USIZE];
    let mut rest = octets.as_mut_slice();
    put(&mut rest, &MAGIC);
    put(&mut rest, &VERSION.to_le_bytes());
    put(&mut rest, &[0; 6]);
    put(&mut rest, &base.to_le_bytes());
    put(&mut rest, &previous.base.to_le_bytes());
    put(&mut rest, &previous.chain.to_le_bytes());
    let (checked, _) = octets.split_at(LEN_USIZE - 4);
    let crc = crc32c::crc32c(checked);
    let (_, mut place) = octets.split_at_mut(LEN_USIZE - 4);
    put(&mut place, &crc.to_le_bytes());
    (octets, crc)
}

/// Reads a header. Every version keeps the magic, the version and the place of the CRC.
pub(super) fn parse(octets: &[u8]) -> HeaderState {
    try_parse(octets).unwrap_or(HeaderState::Bad)
}

fn try_parse(octets: &[u8]) -> Option<HeaderState> {
    let octets: &[u8; LEN_USIZE] = octets.first_chunk()?;
    let (checked, crc) = octets.split_last_chunk()?;
    let crc = u32::from_le_bytes(*crc);
    let mut rest = checked;
    if take(&mut rest)? != MAGIC || crc32c::crc32c(checked) != crc {
        return None;
    }
    let version = u16::from_le_bytes(take(&mut rest)?);
    if version != VERSION {
        return Some(HeaderState::Newer(version));
    }
    let _reserved: [u8; 6] = take(&mut rest)?;
    let base = u64::from_le_bytes(take(&mut rest)?);
    let previous = Link {
        base: u64::from_le_bytes(take(&mut rest)?),
        chain: u32::from_le_bytes(take(&mut rest)?),
    };
    Some(HeaderState::Good(Header {
        base,
        previous,
        crc,
    }))
}

/// What a footer says of its segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Footer {
    /// Frames before it.
    pub(super) frames: u64,
    /// The chain before it.
    pub(super) chain: u32,
}

impl Footer {
    /// Appends the footer's frame.
    pub(super) fn encode(self, out: &mut Vec<u8>, lsn: u64) {
        let mut payload = [0; FOOTER_PAYLOAD];
        let mut rest = payload.as_mut_slice();
        put(&mut rest, &self.frames.to_le_bytes());
        put(&mut rest, &self.chain.to_le_bytes());
        let content = Content {
            kind: KIND_FOOTER,
            lanes: Lanes::NONE,
            terminal: None,
            payload: &payload,
        };
        frame::encode(out, lsn, 0, content);
    }

    /// Reads a footer's payload.
    pub(super) fn parse(mut payload: &[u8]) -> Option<Self> {
        let footer = Self {
            frames: u64::from_le_bytes(take(&mut payload)?),
            chain: u32::from_le_bytes(take(&mut payload)?),
        };
        payload.is_empty().then_some(footer)
    }
}
