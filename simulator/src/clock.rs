//! The terminal's idea of the time of day.

use crate::codec::report::{Stamp, UNCERTAINTY_UNKNOWN, uncertainty_code};

/// What came of a comparison with an answer's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// The clock agrees.
    Kept,
    /// The clock was set or stepped.
    Taken {
        /// The old clock's now.
        before: Stamp,
        /// The new clock's now.
        after: Stamp,
    },
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    at_ms: u64,
    utc_ms: u64,
    uncertainty_ms: u64,
}

/// A clock that was set once, or was not, and drifts from then on.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: u16,
    booted_ms: u64,
    drift_ppm: u32,
    setting: Option<Setting>,
}

impl Clock {
    /// An unset clock; `boot` is the number of this boot.
    #[must_use]
    pub fn unset(boot: u16, booted_ms: u64, drift_ppm: u32) -> Self {
        Self {
            boot,
            booted_ms,
            drift_ppm,
            setting: None,
        }
    }

    /// When this boot began.
    #[must_use]
    pub fn booted_ms(&self) -> u64 {
        self.booted_ms
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.setting.is_some()
    }

    /// UTC in milliseconds, if the clock is set.
    #[must_use]
    pub fn utc_ms(&self, now_ms: u64) -> Option<u64> {
        let s = self.setting?;
        Some(s.utc_ms.saturating_add(now_ms.saturating_sub(s.at_ms)))
    }

    /// How far off it may be.
    #[must_use]
    pub fn uncertainty_ms(&self, now_ms: u64) -> Option<u64> {
        let s = self.setting?;
        let drift = now_ms
            .saturating_sub(s.at_ms)
            .saturating_mul(u64::from(self.drift_ppm));
        Some(s.uncertainty_ms.saturating_add(drift.div_ceil(1_000_000)))
    }

    /// Seconds since boot.
    #[must_use]
    pub fn uptime_s(&self, now_ms: u64) -> u32 {
        let seconds = now_ms.saturating_sub(self.booted_ms) / 1_000;
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// This instant as a stamp.
    // spec: REC-3
    #[must_use]
    pub fn stamp(&self, now_ms: u64) -> Stamp {
        let unset = Stamp::Unset {
            uptime_s: self.uptime_s(now_ms),
            boot: self.boot,
        };
        let (Some(utc), Some(off)) = (self.utc_ms(now_ms), self.uncertainty_ms(now_ms)) else {
            return unset;
        };
        match u32::try_from(utc / 1_000) {
            Ok(utc_s) => Stamp::Set {
                utc_s,
                uncertainty: uncertainty_code(off.div_ceil(1_000)),
            },
            Err(_) => unset,
        }
    }

    /// Set by somebody at the site, or handed over by a kept clock at boot.
    pub fn set(&mut self, now_ms: u64, utc_ms: u64, uncertainty_ms: u64) {
        self.setting = Some(Setting {
            at_ms: now_ms,
            utc_ms,
            uncertainty_ms,
        });
    }

    /// Compares with the seconds of an accepted answer's Ns and takes them when it must.
    ///
    /// `since_ms` is the time since the first transmission of the uplink. A clock that agrees keeps
    /// its time and takes over an uncertainty that the answer proves narrower.
    // spec: ANS-16
    pub fn compare(&mut self, now_ms: u64, ns_utc_s: u32, since_ms: u64) -> ClockChange {
        let half = since_ms / 2;
        let told = u64::from(ns_utc_s) * 1_000 + half;
        let proven = half.div_ceil(1_000) * 1_000 + 1_000;
        let before = self.stamp(now_ms);
        if let (Some(own), Some(off)) = (self.utc_ms(now_ms), self.uncertainty_ms(now_ms))
            && !matches!(
                before,
                Stamp::Set {
                    uncertainty: UNCERTAINTY_UNKNOWN,
                    ..
                }
            )
            && own.abs_diff(told) <= off + half
        {
            let narrow = own.abs_diff(told) + proven;
            if narrow < off {
                self.set(now_ms, own, narrow);
            }
            return ClockChange::Kept;
        }
        self.set(now_ms, told, proven);
        ClockChange::Taken {
            before,
            after: self.stamp(now_ms),
        }
    }
}

/// Whether a change is to be told as a record: the clock was unset, or the step is 2 s or more.
// spec: REC-5
#[must_use]
pub fn is_step(before: &Stamp, after: &Stamp) -> bool {
    match (before, after) {
        (Stamp::Set { utc_s: a, .. }, Stamp::Set { utc_s: b, .. }) => a.abs_diff(*b) >= 2,
        _ => true,
    }
}
