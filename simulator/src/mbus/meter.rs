//! A wireless meter: what it counts, and the telegrams that it makes.

use super::plan::MeterPlan;
use super::reading::{Medium, Reading};
use super::telegram::{self, Head, Mode};
use crate::crypto::{CryptoError, SecretKey};
use crate::random::{Random as _, Seeded};

/// The status of a telegram by which a meter tells of something abnormal.
pub const ABNORMAL: u8 = 0x03;
/// The status of a low battery.
const LOW_BATTERY: u8 = 0x04;

/// A telegram and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Without CRCs.
    pub octets: Vec<u8>,
    /// What it says.
    pub reading: Reading,
    /// The access number.
    pub access_number: u8,
    /// The status.
    pub status: u8,
    /// The message counter, of a mode that has one.
    pub counter: Option<u32>,
}

/// A meter.
#[derive(Debug)]
pub struct Meter {
    plan: MeterPlan,
    key: SecretKey,
    random: Seeded,
    register: u32,
    stored: u32,
    access_number: u8,
    counter: u32,
    is_battery_low: bool,
}

impl Meter {
    /// A meter that was counting for years.
    #[must_use]
    pub fn new(plan: MeterPlan, key: SecretKey, mut random: Seeded) -> Self {
        let mut upto = |most: u64| u32::try_from(random.up_to(most)).unwrap_or(0);
        let stored = 1_000 + upto(20_000_000);
        let register = stored + upto(500);
        let (counter, number) = (1 + upto(1_000_000), upto(255));
        let is_battery_low = upto(19) == 0;
        Self {
            plan,
            key,
            random,
            register,
            stored,
            access_number: u8::try_from(number).unwrap_or(0),
            counter,
            is_battery_low,
        }
    }

    /// The next telegram. Register, access number and counter go up with each, so that no two are
    /// the same.
    ///
    /// # Errors
    /// A key of another length than 16.
    pub fn next(&mut self, now_utc_s: u32) -> Result<Made, CryptoError> {
        let mut upto = |most: u64| u32::try_from(self.random.up_to(most)).unwrap_or(0);
        let flow = match self.plan.medium {
            Medium::Gas => 0,
            Medium::Water => upto(2_500),
            Medium::Heat => upto(15_000),
        };
        self.register = (self.register + 1 + upto(40)) % 100_000_000;
        let is_abnormal = upto(39) == 0;
        self.access_number = self.access_number.wrapping_add(1);
        self.counter = self.counter.saturating_add(1);
        let status = match (is_abnormal, self.is_battery_low) {
            (true, _) => ABNORMAL,
            (false, true) => LOW_BATTERY,
            (false, false) => 0,
        };
        let reading = Reading {
            medium: self.plan.medium,
            register: self.register,
            stored: self.stored,
            flow: u16::try_from(flow).unwrap_or(0),
            at_utc_s: now_utc_s,
        };
        let head = Head {
            address: self.plan.address,
            access_number: self.access_number,
            status,
            counter: self.counter,
        };
        let mode: Mode = self.plan.mode;
        Ok(Made {
            octets: telegram::seal(&head, mode, &self.key, &reading.octets())?,
            reading,
            access_number: self.access_number,
            status,
            counter: mode.has_counter().then_some(self.counter),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::plan::MbusPlan;
    use super::*;

    const PLAN: MbusPlan = MbusPlan {
        seed: 5,
        meters: 24,
        utility: *b"gasworks",
    };

    fn telegrams() -> Vec<Made> {
        let mut all = Vec::new();
        for plan in PLAN.meters() {
            let key = PLAN.key(&plan).unwrap();
            let mut meter = Meter::new(plan, key, PLAN.stream(9));
            // All in one second, in which the time tells nothing apart.
            all.extend((0..50).map(|_| meter.next(1_795_852_800).unwrap()));
        }
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_telegrams_and_no_two_of_them_are_alike() {
        let all = telegrams();
        assert_eq!(all, telegrams());
        let octets: HashSet<_> = all.iter().map(|made| made.octets.clone()).collect();
        assert_eq!(octets.len(), 24 * 50);
    }

    #[test]
    fn registers_grow_and_lengths_are_those_that_the_link_says() {
        for pair in telegrams().windows(2) {
            let [before, after] = pair else { continue };
            let is_same_meter = before.octets[2..10] == after.octets[2..10];
            assert!(!is_same_meter || before.reading.register < after.reading.register);
            assert_eq!(usize::from(after.octets[0]) + 1, after.octets.len());
        }
    }
}
