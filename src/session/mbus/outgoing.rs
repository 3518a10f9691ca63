//! The access numbers of telegrams to a meter, which are not used again too early. Their message
//! counters are those of `keyring::mbus::CounterLedger`.

/// For how many seconds an access number is not used again towards the same meter.
// clause: OMS Volume 2, access number of a gateway
pub const ACCESS_NUMBER_REST_S: u32 = 300;

/// All access numbers are resting.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("every access number was used lately; the next is free at second {free_at_s}")]
pub struct NoAccessNumber {
    /// The second, since 1970, UTC, from which one is free.
    pub free_at_s: u32,
}

/// The access numbers towards one meter.
///
/// They are taken in turn. A half of the 256 is entered again when its last use is long enough ago,
/// so two times are enough to keep.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccessNumbers {
    next: u8,
    /// From when each half may be entered, 0 for at any time.
    free_at_s: [u32; 2],
}

impl AccessNumbers {
    /// Octets where it is kept flat.
    pub const OCTETS: usize = 9;

    /// Begins at a number; a server that lost its state begins at a random one.
    #[must_use]
    pub const fn begin_at(first: u8) -> Self {
        Self {
            next: first,
            free_at_s: [0; 2],
        }
    }

    /// Takes the next number, at a second since 1970, UTC.
    ///
    /// # Errors
    ///
    /// [`NoAccessNumber`] after at least 129 uses in 300 s, or after a clock that went back.
    pub fn take(&mut self, now_s: u32) -> Result<u8, NoAccessNumber> {
        let number = self.next;
        let [low, high] = &mut self.free_at_s;
        let half = if number < 128 { low } else { high };
        if number.is_multiple_of(128) && now_s < *half {
            return Err(NoAccessNumber { free_at_s: *half });
        }
        *half = (*half).max(now_s.saturating_add(ACCESS_NUMBER_REST_S));
        self.next = number.wrapping_add(1);
        Ok(number)
    }

    /// As octets.
    #[must_use]
    pub const fn encode(&self) -> [u8; Self::OCTETS] {
        let [low, high] = self.free_at_s;
        let [a, b, c, d] = low.to_le_bytes();
        let [e, f, g, h] = high.to_le_bytes();
        [self.next, a, b, c, d, e, f, g, h]
    }

    /// What [`Self::encode`] made octets of.
    #[must_use]
    pub const fn decode(octets: [u8; Self::OCTETS]) -> Self {
        let [next, a, b, c, d, e, f, g, h] = octets;
        Self {
            next,
            free_at_s: [
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            ],
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
