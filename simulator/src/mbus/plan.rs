//! Who there is: meters with their keys, and gateways with what they hear. The same plan gives the
//! same, so that a server can register them without asking.

use super::address::Address;
use super::reading::Medium;
use super::telegram::Mode;
use crate::crypto::{CryptoError, SecretKey};
use crate::json::hex;
use crate::random::{Random as _, Seeded};

/// Meters of one utility, and the gateways that hear them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbusPlan {
    /// Everything random follows from it, keys and tokens included: not fit for use outside of a
    /// test.
    pub seed: u64,
    /// Meters, up to 10,000,000.
    pub meters: u32,
    /// The utility whose meters they are.
    pub utility: [u8; 8],
}

/// A meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterPlan {
    /// 0 to the number of meters less 1.
    pub index: u32,
    /// Its address.
    pub address: Address,
    /// How its telegrams are secured.
    pub mode: Mode,
    /// What it measures.
    pub medium: Medium,
}

/// How a gateway hands telegrams on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// By lines of a connection, each of which is answered.
    Tcp,
    /// By datagrams, that nobody answers.
    Udp,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Its name.
    pub name: &'static str,
    /// How it hands telegrams on.
    pub carriage: Carriage,
    /// Whether it leaves the CRCs of format A in telegrams.
    pub keeps_checks: bool,
    /// What it shows of itself: 64 digits.
    pub token: String,
    /// Of five meters, which it hears.
    places: &'static [u32],
}

/// The first identification.
const FIRST_IDENTIFICATION: u32 = 20_000_000;
/// Numbers of the streams from which tokens come; meters have the numbers from 0 on.
const TOKENS_FROM: u64 = 1 << 32;

impl MbusPlan {
    /// The meters in order.
    pub fn meters(&self) -> impl Iterator<Item = MeterPlan> + use<> {
        (0..self.meters).map(meter)
    }

    /// The key of a meter; those of mode 0 have one too, and nobody is told.
    ///
    /// # Errors
    /// None in practice: it has a length that keys have.
    pub fn key(&self, meter: &MeterPlan) -> Result<SecretKey, CryptoError> {
        let mut octets = [0; 16];
        self.stream(meter.index.into()).fill(&mut octets);
        SecretKey::new(&octets)
    }

    /// The gateways: two on connections, whose meters are partly the same, and one on datagrams.
    /// Every fifth meter is heard by the last alone.
    #[must_use]
    pub fn gateways(&self) -> [GatewayPlan; 3] {
        let gateway = |index: u64, name, carriage, places| {
            let mut octets = [0; 32];
            self.stream(TOKENS_FROM + index).fill(&mut octets);
            GatewayPlan {
                name,
                carriage,
                keeps_checks: index == 0,
                token: hex(&octets),
                places,
            }
        };
        [
            gateway(0, "demo-roof", Carriage::Tcp, &[0, 1, 2]),
            gateway(1, "demo-hill", Carriage::Tcp, &[0, 2, 3]),
            gateway(2, "demo-mast", Carriage::Udp, &[2, 3, 4]),
        ]
    }

    /// The random stream of a number.
    pub(super) fn stream(&self, number: u64) -> Seeded {
        Seeded::new(self.seed ^ number.wrapping_add(1).wrapping_mul(0xA24B_AED4_963E_E407))
    }
}

impl GatewayPlan {
    /// Whether it is near enough to hear a meter.
    #[must_use]
    pub fn is_near(&self, meter: u32) -> bool {
        self.places.contains(&(meter % 5))
    }
}

fn meter(index: u32) -> MeterPlan {
    let medium = match index % 3 {
        0 => Medium::Gas,
        1 => Medium::Water,
        _ => Medium::Heat,
    };
    let address = Address {
        manufacturer: *b"DMO",
        identification: FIRST_IDENTIFICATION + index,
        version: 1,
        device_type: medium.device_type(),
    };
    MeterPlan {
        index,
        address,
        mode: mode_of(index),
        medium,
    }
}

/// Of eight meters three each of modes 5 and 7, and one each of modes 0 and 10.
fn mode_of(index: u32) -> Mode {
    match index % 8 {
        2 => Mode::Clear,
        3 => Mode::CcmDerived,
        1 | 4 | 6 => Mode::CbcDerived,
        _ => Mode::Cbc,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PLAN: MbusPlan = MbusPlan {
        seed: 1,
        meters: 120,
        utility: *b"gasworks",
    };

    #[test]
    fn the_same_plan_gives_the_same_meters_keys_and_tokens() {
        let meters: Vec<_> = PLAN.meters().collect();
        assert_eq!(meters, PLAN.meters().collect::<Vec<_>>());
        assert_eq!(PLAN.gateways(), PLAN.gateways());
        let mut secrets = HashSet::new();
        for meter in &meters {
            secrets.insert(hex(PLAN.key(meter).unwrap().expose()));
        }
        secrets.extend(PLAN.gateways().map(|gateway| gateway.token));
        assert_eq!(secrets.len(), 123);
        let addresses: HashSet<_> = meters.iter().map(|one| one.address.link_order()).collect();
        assert_eq!(addresses.len(), 120);
    }

    #[test]
    fn every_mode_meets_every_medium_and_every_gateway() {
        let mut pairs = HashSet::new();
        for meter in PLAN.meters() {
            for gateway in PLAN
                .gateways()
                .iter()
                .filter(|one| one.is_near(meter.index))
            {
                pairs.insert((meter.mode, meter.medium, gateway.name));
            }
        }
        assert_eq!(pairs.len(), 4 * 3 * 3);
    }

    #[test]
    fn meters_are_heard_by_one_gateway_two_or_three_and_the_first_by_a_connection() {
        let [roof, hill, mast] = PLAN.gateways();
        let near = |meter| [&roof, &hill, &mast].map(|one| one.is_near(meter));
        assert_eq!(near(0), [true, true, false]);
        assert_eq!(near(1), [true, false, false]);
        assert_eq!(near(2), [true; 3]);
        assert_eq!(near(3), [false, true, true]);
        assert_eq!(near(4), [false, false, true]);
    }
}
