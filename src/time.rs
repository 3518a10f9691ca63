//! Clocks: the only module that reads the system's.
//!
//! There are two of them. Wall time, in UTC, says when something was measured or received; it may
//! jump, backwards too. Monotonic time says how long something took or when to try again; its zero
//! means nothing. Layers that must be repeatable take times as arguments and never a [`Clock`].

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// An instant of wall time: whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// The range is 0 (1970) to 4,294,967,295 (2106-02-07T06:28:15Z).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UtcSeconds(u32);

impl UtcSeconds {
    /// The latest instant that the type can hold, 2106-02-07T06:28:15Z.
    pub const MAX: Self = Self(u32::MAX);

    /// The instant this many seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// This instant moved later by `seconds`, held at [`Self::MAX`].
    #[must_use]
    pub const fn saturating_add(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this instant, or 0 where `earlier` is the later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UtcSeconds {
    /// Writes the count of seconds. Calendar form is for the edges of the program.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A source of time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Wall time now. May jump in both directions between two calls.
    fn utc_seconds(&self) -> UtcSeconds;

    /// The same wall time in milliseconds since 1970-01-01T00:00:00Z.
    fn utc_ms(&self) -> u64 {
        u64::from(self.utc_seconds().get()).saturating_mul(1_000)
    }

    /// Milliseconds since some fixed instant of this process. Never goes back.
    fn monotonic_ms(&self) -> u64;

    /// The same instant in microseconds, for durations below a millisecond.
    fn monotonic_us(&self) -> u64 {
        self.monotonic_ms().saturating_mul(1_000)
    }
}

/// The clocks of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    /// The zero of the monotonic clock.
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins at 0 now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that reads clocks"
    )]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// A system clock set before 1970 reads as 1970, one set after 2106 as [`UtcSeconds::MAX`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that reads clocks"
    )]
    fn utc_seconds(&self) -> UtcSeconds {
        let since_1970_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs());
        UtcSeconds(u32::try_from(since_1970_s).unwrap_or(u32::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that reads clocks"
    )]
    fn utc_ms(&self) -> u64 {
        let since_1970_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_millis());
        let last_ms = u64::from(u32::MAX).saturating_mul(1_000);
        u64::try_from(since_1970_ms).map_or(last_ms, |now_ms| now_ms.min(last_ms))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct TestClock {
    utc_s: AtomicU32,
    monotonic_ms: AtomicU64,
}

impl TestClock {
    /// A clock at the given wall time, with monotonic time 0.
    #[must_use]
    pub const fn new(utc: UtcSeconds) -> Self {
        Self {
            utc_s: AtomicU32::new(utc.0),
            monotonic_ms: AtomicU64::new(0),
        }
    }

    /// Sets wall time, backwards too. Monotonic time stays.
    pub fn set_utc(&self, utc: UtcSeconds) {
        self.utc_s.store(utc.0, Ordering::SeqCst);
    }

    /// Sets monotonic time. A value below the present one is ignored: that clock never goes back.
    pub fn set_monotonic_ms(&self, now_ms: u64) {
        self.monotonic_ms.fetch_max(now_ms, Ordering::SeqCst);
    }

    /// Lets this many seconds pass on both clocks, each held at its latest value.
    pub fn advance_s(&self, seconds: u32) {
        let utc = self.utc_seconds().saturating_add(seconds);
        self.set_utc(utc);
        let now_ms = self
            .monotonic_ms()
            .saturating_add(u64::from(seconds).saturating_mul(1_000));
        self.set_monotonic_ms(now_ms);
    }
}

impl Clock for TestClock {
    fn utc_seconds(&self) -> UtcSeconds {
        UtcSeconds(self.utc_s.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_is_past_2020_and_monotonic() {
        let clock = SystemClock::new();
        assert!(clock.utc_seconds() > UtcSeconds::new(1_577_836_800));
        let first_ms = clock.monotonic_ms();
        assert!(clock.monotonic_ms() >= first_ms);
    }

    #[test]
    fn test_clock_stands_still_and_moves_when_told() {
        let clock = TestClock::new(UtcSeconds::new(100));
        assert_eq!((clock.utc_seconds().get(), clock.monotonic_ms()), (100, 0));
        clock.advance_s(5);
        assert_eq!(
            (clock.utc_seconds().get(), clock.monotonic_ms()),
            (105, 5_000)
        );
        clock.set_utc(UtcSeconds::new(7));
        assert_eq!(
            (clock.utc_seconds().get(), clock.monotonic_ms()),
            (7, 5_000)
        );
    }

    #[test]
    fn monotonic_test_time_never_goes_back() {
        let clock = TestClock::default();
        clock.set_monotonic_ms(10);
        clock.set_monotonic_ms(3);
        assert_eq!(clock.monotonic_ms(), 10);
    }

    #[test]
    fn instants_saturate_at_both_ends() {
        assert_eq!(UtcSeconds::MAX.saturating_add(1), UtcSeconds::MAX);
        assert_eq!(UtcSeconds::new(1).saturating_since(UtcSeconds::new(2)), 0);
        assert_eq!(UtcSeconds::new(9).saturating_since(UtcSeconds::new(2)), 7);
    }

    #[test]
    fn test_clock_saturates() {
        let clock = TestClock::new(UtcSeconds::MAX);
        clock.advance_s(u32::MAX);
        assert_eq!(clock.utc_seconds(), UtcSeconds::MAX);
    }
}
