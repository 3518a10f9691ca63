//! The numbers of telegrams to a meter: message counters that are never used twice, and access
//! numbers that are not used again too early.

/// How many counters one reservation takes at most: with one more, the first counter after a
/// restart could be more than 100 above the last one that was sent.
// clause: OMS Volume 2, C_GW is raised by at most 100 before a message
pub const RESERVATION_MAX: u32 = 99;

/// From this counter on a service alarm is due: the key of the meter must be replaced.
// clause: OMS Volume 2, message counter, service alarm
pub const SERVICE_ALARM_FROM: u32 = 0xFFFF_0000;

/// Where reservations of message counters are made durable.
pub trait CounterReserve {
    /// Why it could not.
    type Error;

    /// Makes durable that every counter up to this one counts as used, before any of them is.
    ///
    /// # Errors
    ///
    /// Where that is not certain; no counter is then used.
    fn reserve(&mut self, up_to: u32) -> Result<(), Self::Error>;
}

/// Why there is no counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CounterError<E> {
    /// FFFFFFFFh was used, or came from the meter; only another master key begins anew.
    #[error("the message counter is at its end: the meter needs another key")]
    Exhausted,
    /// The reservation is not durable.
    #[error("no message counter could be reserved: {0}")]
    Reserve(E),
}

/// A message counter that no other telegram under this key has: not `Clone`, and made by a
/// [`CounterLine`] only.
///
/// A retry sends the same octets again; another attempt takes another counter.
#[derive(Debug, Eq, PartialEq)]
pub struct UniqueCounter(u32);

impl UniqueCounter {
    /// The counter.
    #[must_use]
    pub const fn get(&self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(super) const fn of(counter: u32) -> Self {
        Self(counter)
    }
}

/// The message counters of one partner under one key of a meter (C_GW).
#[derive(Debug, Eq, PartialEq)]
pub struct CounterLine {
    /// The last that was used or heard.
    last: u32,
    /// All up to here count as used after a restart.
    reserved: u32,
    /// How many one reservation takes.
    block: u32,
}

impl CounterLine {
    /// Goes on behind all that were ever reserved: 0 for a new key, whose counters begin at 0 and
    /// are raised before the first message.
    ///
    /// `block` is how many one reservation takes, brought into 1 to [`RESERVATION_MAX`].
    #[must_use]
    pub fn resume(reserved: u32, block: u32) -> Self {
        Self {
            last: reserved,
            reserved,
            block: block.clamp(1, RESERVATION_MAX),
        }
    }

    /// Notes the counter of a telegram from the meter, which leads.
    ///
    /// Only one whose MAC or tag has verified may be given: any other could end the line.
    // clause: OMS Volume 2, C_GW is raised to an authenticated C_M
    pub fn raise_to(&mut self, meter: u32) {
        self.last = self.last.max(meter);
    }

    /// The next counter, reserved if it is not yet.
    ///
    /// # Errors
    ///
    /// [`CounterError`]; nothing has changed then, and nothing may be sent.
    pub fn next<R: CounterReserve>(
        &mut self,
        reserve: &mut R,
    ) -> Result<UniqueCounter, CounterError<R::Error>> {
        let next = self.last.checked_add(1).ok_or(CounterError::Exhausted)?;
        if next > self.reserved {
            let up_to = self.last.saturating_add(self.block);
            reserve.reserve(up_to).map_err(CounterError::Reserve)?;
            self.reserved = up_to;
        }
        self.last = next;
        Ok(UniqueCounter(next))
    }

    /// Whether a service alarm is due.
    #[must_use]
    pub const fn needs_service(&self) -> bool {
        self.last >= SERVICE_ALARM_FROM
    }
}

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
