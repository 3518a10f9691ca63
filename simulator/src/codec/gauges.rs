//! Values that go up and down.

use super::EncodeError;
use super::bits::{BitWriter, best_k};
use super::wire::Writer;

/// The largest gauge.
pub const MAX_GAUGE: u16 = 65_533;

/// One entry a mark; `None` was not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges(Vec<Option<u16>>);

impl Gauges {
    /// From marks; `None` when nothing was measured.
    #[must_use]
    pub fn new(marks: Vec<Option<u16>>) -> Option<Self> {
        if marks.iter().all(Option::is_none) {
            None
        } else {
            Some(Self(marks))
        }
    }

    /// The entries.
    #[must_use]
    pub fn marks(&self) -> &[Option<u16>] {
        &self.0
    }

    /// Appends their one encoding.
    ///
    /// # Errors
    /// A gauge above the largest one.
    // spec: SER-3, SER-4, SER-7, SER-8
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let measured: Vec<u16> = self.0.iter().filter_map(|v| *v).collect();
        if measured.iter().any(|v| *v > MAX_GAUGE) {
            return Err(EncodeError::BadValue("gauge"));
        }
        if measured.len() == self.0.len() {
            w.u8(0);
        } else {
            w.u8(1);
            let mut map = BitWriter::new();
            for mark in &self.0 {
                map.bit(mark.is_some());
            }
            w.bytes(&map.finish());
        }
        let first = measured.first().ok_or(EncodeError::BadValue("gauges"))?;
        let mut bits = BitWriter::new();
        bits.bits(u64::from(*first), 16);
        let later = measured.iter().skip(1);
        let folded: Vec<u64> = measured
            .iter()
            .zip(later)
            .map(|(a, b)| fold(*a, *b))
            .collect();
        if !folded.is_empty() {
            let k = best_k(&folded);
            bits.bits(u64::from(k), 5);
            for value in folded {
                bits.step(value, k);
            }
        }
        w.bytes(&bits.finish());
        Ok(())
    }
}

/// A signed difference as an unsigned number: d >= 0 is 2d, d < 0 is -2d - 1.
fn fold(from: u16, to: u16) -> u64 {
    match to.checked_sub(from) {
        Some(up) => 2 * u64::from(up),
        None => 2 * u64::from(from.abs_diff(to)) - 1,
    }
}
