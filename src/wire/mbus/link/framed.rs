//! Telegrams as they are on the air: only tests send them.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use super::{FORMAT_A_FIRST, FORMAT_BLOCK};
use crate::wire::mbus::crc::crc;

/// A telegram with the CRCs of a format.
pub(crate) fn with_crcs(telegram: &[u8], is_a: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if is_a {
        let (first, rest) = telegram.split_at(FORMAT_A_FIRST.min(telegram.len()));
        for block in std::iter::once(first).chain(rest.chunks(FORMAT_BLOCK)) {
            out.extend_from_slice(block);
            out.extend(crc(block).to_be_bytes());
        }
        return out;
    }
    let blocks = telegram.len().div_ceil(126);
    let mut telegram = telegram.to_vec();
    telegram[0] += u8::try_from(blocks * 2).unwrap();
    for block in telegram.chunks(126) {
        out.extend_from_slice(block);
        out.extend(crc(block).to_be_bytes());
    }
    out
}
