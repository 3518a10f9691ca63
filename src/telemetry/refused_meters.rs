//! Which meters' refusals were told lately.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::keyring::UtilityId;
use crate::wire::mbus::address::Address;

const HOUR_MS: u64 = 3_600_000;
/// Meters that are told of in an hour: a ring with wrong keys must not become a flood of lines.
const MAX_AN_HOUR: usize = 64;

/// The meters that a line told of in this hour.
#[derive(Debug, Default)]
pub struct RefusedMeters(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    number: u64,
    meters: HashSet<(UtilityId, Address)>,
}

impl RefusedMeters {
    /// Whether a refusal of this meter is the hour's first, and the hour has told of few others.
    /// `now_ms` is a clock that goes forward.
    #[must_use]
    pub fn is_news(&self, utility: UtilityId, meter: Address, now_ms: u64) -> bool {
        let mut hour = self.0.lock();
        let number = now_ms / HOUR_MS;
        if hour.number != number {
            hour.number = number;
            hour.meters.clear();
        }
        hour.meters.len() < MAX_AN_HOUR && hour.meters.insert((utility, meter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAS: UtilityId = UtilityId::new(*b"gasworks");
    const CITY: UtilityId = UtilityId::new(*b"citygas2");

    fn meter(number: u8) -> Address {
        Address::from_link_order([0x93, 0x15, number, 0, 0, 0, 0x33, 3])
    }

    #[test]
    fn a_meter_is_told_of_once_an_hour_and_of_each_utility_apart() {
        let told = RefusedMeters::default();
        assert!(told.is_news(GAS, meter(1), 10));
        assert!(!told.is_news(GAS, meter(1), HOUR_MS - 1));
        assert!(told.is_news(CITY, meter(1), HOUR_MS - 1));
        assert!(told.is_news(GAS, meter(2), HOUR_MS - 1));
        assert!(told.is_news(GAS, meter(1), HOUR_MS));
    }

    #[test]
    fn an_hour_tells_of_so_many_meters_and_the_next_of_others() {
        let told = RefusedMeters::default();
        let told = &told;
        let news = |now_ms| (0..200).filter(move |it| told.is_news(GAS, meter(*it), now_ms));
        assert_eq!(news(5).count(), MAX_AN_HOUR);
        assert_eq!(news(6).count(), 0);
        assert_eq!(news(HOUR_MS + 5).count(), MAX_AN_HOUR);
    }
}
