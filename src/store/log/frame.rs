//! One frame: its octets, and their check.

use crate::model::{Lanes, TerminalId};

/// Octets of a frame before its payload.
pub(super) const HEADER_LEN: usize = 24;
/// Octets of the largest frame.
pub(super) const FRAME_MAX: usize = 1 << 20;
/// Octets of the largest payload of a frame: 1 MiB less the frame's own 24.
pub const PAYLOAD_MAX: usize = FRAME_MAX - HEADER_LEN;
/// The version of the frames that are written.
const VERSION: u8 = 1;
/// The kind of the last frame of a sealed segment.
pub(super) const KIND_FOOTER: u8 = u8::MAX;

/// What a frame holds, its place and length apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub(super) kind: u8,
    pub(super) lanes: Lanes,
    pub(super) terminal: Option<TerminalId>,
    pub(super) payload: &'a [u8],
}

/// A frame whose check holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) content: Content<'a>,
    /// Octets of the whole frame.
    pub(super) len: usize,
    /// Octets from the first frame of its batch.
    pub(super) batch_offset: u32,
    pub(super) crc: u32,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Parsed<'a> {
    Frame(Frame<'a>),
    /// A frame of a version that this program does not know.
    Newer(u8),
    /// No frame, or not all of one.
    Bad,
}

/// Octets of a frame with this payload.
pub(super) const fn len_of(payload: usize) -> usize {
    payload.saturating_add(HEADER_LEN)
}

/// Appends a frame to `out`. Returns its CRC. The payload is at most [`PAYLOAD_MAX`].
pub(super) fn encode(out: &mut Vec<u8>, lsn: u64, batch_offset: u32, content: Content<'_>) -> u32 {
    let len = u32::try_from(len_of(content.payload.len())).unwrap_or(u32::MAX);
    let mut head = [0; HEADER_LEN - 4];
    let mut rest = head.as_mut_slice();
    put(&mut rest, &len.to_le_bytes());
    let lanes = content.lanes.bits();
    put(&mut rest, &[VERSION, content.kind, lanes, 0]);
    put(&mut rest, &batch_offset.to_le_bytes());
    let terminal = content.terminal.unwrap_or_default();
    put(&mut rest, &terminal.octets());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&lsn.to_le_bytes()), &head);
    let crc = crc32c::crc32c_append(crc, content.payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(content.payload);
    crc
}

/// Fills the beginning of `rest` and moves on.
pub(super) fn put(rest: &mut &mut [u8], octets: &[u8]) {
    let all = std::mem::take(rest);
    if let Some((place, after)) = all.split_at_mut_checked(octets.len()) {
        place.copy_from_slice(octets);
        *rest = after;
    }
}

/// Takes `N` octets off the front.
pub(super) fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(*head)
}

/// Reads the frame at the front of `octets`, which stand at `lsn`.
pub(super) fn parse(octets: &[u8], lsn: u64) -> Parsed<'_> {
    try_parse(octets, lsn).unwrap_or(Parsed::Bad)
}

/// The length that the front of `octets` tells; none if it is too short to tell, or tells nothing
/// that can be.
pub(super) fn told_len(octets: &[u8]) -> Option<usize> {
    let (_, rest) = octets.split_first_chunk::<4>()?;
    let len = rest.first_chunk().copied().map(u32::from_le_bytes)?;
    let len = usize::try_from(len).ok()?;
    Some(len).filter(|len| (HEADER_LEN..=FRAME_MAX).contains(len))
}

fn try_parse(octets: &[u8], lsn: u64) -> Option<Parsed<'_>> {
    let len = told_len(octets)?;
    let (crc, checked) = octets.get(..len)?.split_first_chunk()?;
    let crc = u32::from_le_bytes(*crc);
    let mut rest = checked;
    let _len: [u8; 4] = take(&mut rest)?;
    let [version, kind, lanes, reserved] = take(&mut rest)?;
    // Costs nothing, and spares most of the checks when damage is searched octet by octet.
    if kind == 0 || reserved != 0 {
        return None;
    }
    if crc != crc32c::crc32c_append(crc32c::crc32c(&lsn.to_le_bytes()), checked) {
        return None;
    }
    if version != VERSION {
        return Some(Parsed::Newer(version));
    }
    let batch_offset = take(&mut rest).map(u32::from_le_bytes)?;
    let terminal = Some(take(&mut rest)?).filter(|octets| *octets != [0; 8]);
    if u64::from(batch_offset) > lsn {
        return None;
    }
    let content = Content {
        kind,
        lanes: Lanes::from_bits(lanes)?,
        terminal: terminal.map(TerminalId::new),
        payload: rest,
    };
    Some(Parsed::Frame(Frame {
        content,
        len,
        batch_offset,
        crc,
    }))
}

/// Carries the chain of a segment over one more frame.
pub(super) fn chain(before: u32, crc: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&before.to_le_bytes()), &crc.to_le_bytes())
}
