//! Which meters' refusals were told lately.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use crate::keyring::UtilityId;
use crate::wire::mbus::address::Address;

const HOUR_MS: u64 = 3_600_000;
/// Meters of one utility that are told of in an hour for one reason: a ring with wrong keys must
/// not become a flood of lines, and what a radio makes up must not hide what is wrong with another
/// utility's, or for another reason.
const MAX_AN_HOUR: usize = 64;

/// A utility, and the name of a reason.
type Of = (UtilityId, &'static str);

/// The meters that a line told of in this hour.
#[derive(Debug, Default)]
pub struct RefusedMeters(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    number: u64,
    meters: HashMap<Of, HashSet<Address>>,
}

impl RefusedMeters {
    /// Whether a refusal of this meter for this reason is the hour's first, and the hour has told
    /// of few others.
    /// `now_ms` is a clock that goes forward.
    #[must_use]
    pub fn is_news(&self, of: Of, meter: Address, now_ms: u64) -> bool {
        let mut hour = self.0.lock();
        let number = now_ms / HOUR_MS;
        if hour.number != number {
            hour.number = number;
            hour.meters.clear();
        }
        let meters = hour.meters.entry(of).or_default();
        meters.len() < MAX_AN_HOUR && meters.insert(meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAS: Of = (UtilityId::new(*b"gasworks"), "wrong_key");
    const CITY: Of = (UtilityId::new(*b"citygas2"), "wrong_key");
    const CLEAR: Of = (UtilityId::new(*b"gasworks"), "clear_not_allowed");

    fn meter(number: u8) -> Address {
        Address::from_link_order([0x93, 0x15, number, 0, 0, 0, 0x33, 3])
    }

    #[test]
    fn a_meter_is_told_of_once_an_hour_and_of_each_utility_apart() {
        let told = RefusedMeters::default();
        assert!(told.is_news(GAS, meter(1), 10));
        assert!(!told.is_news(GAS, meter(1), HOUR_MS - 1));
        assert!(told.is_news(CITY, meter(1), HOUR_MS - 1));
        assert!(told.is_news(CLEAR, meter(1), HOUR_MS - 1));
        assert!(told.is_news(GAS, meter(2), HOUR_MS - 1));
        assert!(told.is_news(GAS, meter(1), HOUR_MS));
    }

    #[test]
    fn an_hour_tells_of_so_many_meters_and_the_next_of_others() {
        let told = RefusedMeters::default();
        let told = &told;
        let news = |now_ms| (0..200).filter(move |it| told.is_news(GAS, meter(*it), now_ms));
        assert_eq!(news(5).count(), MAX_AN_HOUR);
        assert!(told.is_news(CITY, meter(1), 5) && told.is_news(CLEAR, meter(1), 5));
        assert_eq!(news(6).count(), 0);
        assert_eq!(news(HOUR_MS + 5).count(), MAX_AN_HOUR);
    }
}
