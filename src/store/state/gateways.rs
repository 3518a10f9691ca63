//! Gateways as they are registered, found by what they show.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::keyring::UtilityId;
use crate::model::event::GatewayEntry;
use crate::model::{Cidr, Fingerprint, Lsn};

/// A gateway: who may hand over telegrams of one utility's meters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gateway {
    /// The position of the event that registered it so: its version, higher with each change.
    pub version: Lsn,
    /// What the event says.
    pub entry: GatewayEntry,
}

impl Gateway {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.gateway
    }

    /// The utility whose meters it hears.
    #[must_use]
    pub const fn utility(&self) -> UtilityId {
        self.entry.utility
    }
}

/// All gateways. A look-up does not depend on how many there are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<Gateway>")]
pub struct Gateways {
    by_name: BTreeMap<String, Arc<Gateway>>,
    by_token: HashMap<Fingerprint, Arc<Gateway>>,
    by_certificate: HashMap<Fingerprint, Arc<Gateway>>,
    /// By the first address of a range. No range overlaps another: of one gateway's, those that
    /// another of its own holds are left out, and no two gateways share an address.
    by_address: BTreeMap<u128, (Cidr, Arc<Gateway>)>,
}

impl PartialEq for Gateways {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl Eq for Gateways {}

impl From<Vec<Gateway>> for Gateways {
    fn from(all: Vec<Gateway>) -> Self {
        let mut gateways = Self::default();
        all.into_iter().for_each(|gateway| gateways.put(gateway));
        gateways
    }
}

impl Serialize for Gateways {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all().map(|gateway| &**gateway))
    }
}

impl Gateways {
    /// Gateways that may be registered at most.
    pub const MAX: usize = 65_536;

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        self.by_name.values()
    }

    /// Those after a name, in the order of their names.
    pub fn after<'a>(&'a self, name: Option<&str>) -> impl Iterator<Item = &'a Arc<Gateway>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        let range = self.by_name.range::<str, _>((from, Unbounded));
        range.map(|(_, gateway)| gateway)
    }

    /// The gateway of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Gateway>> {
        self.by_name.get(name)
    }

    /// The gateway of a token, which may have white space around it.
    ///
    /// What is looked up is the token's digest, of which nobody chooses a bit without knowing the
    /// token; digests are compared in constant time.
    #[must_use]
    pub fn by_token(&self, token: &[u8]) -> Option<&Arc<Gateway>> {
        self.of_token(Fingerprint::of_token(token))
    }

    /// The gateway of the digest of a token.
    #[must_use]
    pub fn of_token(&self, digest: Fingerprint) -> Option<&Arc<Gateway>> {
        self.by_token.get(&digest)
    }

    /// The gateway of the digest of a certificate.
    #[must_use]
    pub fn by_certificate(&self, digest: Fingerprint) -> Option<&Arc<Gateway>> {
        self.by_certificate.get(&digest)
    }

    /// The gateway that sends from an address, IPv4 as it is or mapped into IPv6.
    #[must_use]
    pub fn by_address(&self, address: IpAddr) -> Option<&Arc<Gateway>> {
        let number = Cidr::number_of(address);
        let (_, (range, gateway)) = self.by_address.range(..=number).next_back()?;
        range.contains(address).then_some(gateway)
    }

    /// A range of a gateway that has an address in common with `range`.
    #[must_use]
    pub fn overlap(&self, range: Cidr, except: &str) -> Option<(Cidr, &Arc<Gateway>)> {
        let before = self.by_address.range(..range.first()).next_back();
        let within = self.by_address.range(range.first()..=range.last());
        let mut near = before.into_iter().chain(within).map(|(_, found)| found);
        let found = near.find(|(found, of)| found.overlaps(range) && of.name() != except);
        found.map(|(found, of)| (*found, of))
    }

    /// Registers a gateway in place of the one of its name.
    pub fn put(&mut self, gateway: Gateway) {
        self.remove(gateway.name());
        let gateway = Arc::new(gateway);
        let entry = &gateway.entry;
        if let Some(token) = entry.token_sha256 {
            self.by_token.insert(token, Arc::clone(&gateway));
        }
        if let Some(certificate) = entry.certificate_sha256 {
            self.by_certificate
                .insert(certificate, Arc::clone(&gateway));
        }
        for range in &entry.addresses {
            let holds = |other: &Cidr| other != range && other.holds(*range);
            if !entry.addresses.iter().any(holds) {
                let of = (*range, Arc::clone(&gateway));
                self.by_address.insert(range.first(), of);
            }
        }
        self.by_name.insert(entry.gateway.clone(), gateway);
    }

    /// Removes a gateway, if there is one of this name.
    pub fn remove(&mut self, name: &str) {
        let Some(gateway) = self.by_name.remove(name) else {
            return;
        };
        let entry = &gateway.entry;
        if let Some(token) = entry.token_sha256 {
            self.by_token.remove(&token);
        }
        if let Some(certificate) = entry.certificate_sha256 {
            self.by_certificate.remove(&certificate);
        }
        for range in &entry.addresses {
            self.by_address.remove(&range.first());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str, addresses: &[&str]) -> Gateway {
        let digest = Fingerprint::of_token(name.as_bytes());
        Gateway {
            version: Lsn::new(1),
            entry: GatewayEntry {
                gateway: name.to_owned(),
                utility: UtilityId::new(*b"gasworks"),
                token_sha256: Some(digest),
                certificate_sha256: Some(digest),
                addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            },
        }
    }

    fn at<'a>(gateways: &'a Gateways, address: &str) -> Option<&'a str> {
        let found = gateways.by_address(address.parse().unwrap());
        found.map(|gateway| gateway.name())
    }

    #[test]
    fn a_gateway_is_found_by_all_that_it_shows_until_it_is_removed() {
        let mut all = Gateways::default();
        all.put(gateway(
            "roof",
            &["192.0.2.0/28", "192.0.2.4/30", "2001:db8::/64"],
        ));
        all.put(gateway("hill", &["192.0.2.16/28", "192.0.2.14"]));
        let name = |found: Option<&Arc<Gateway>>| found.map(|one| one.name().to_owned());
        assert_eq!(name(all.by_token(b"hill\n")).as_deref(), Some("hill"));
        assert_eq!(name(all.by_token(b"hil")), None);
        let roof = Fingerprint::of_certificate(b"roof");
        assert_eq!(name(all.by_certificate(roof)).as_deref(), Some("roof"));
        // A range within another of its own gateway hides nothing.
        for address in ["192.0.2.5", "192.0.2.9", "::ffff:192.0.2.1", "2001:db8::7"] {
            assert_eq!(at(&all, address), Some("roof"), "{address}");
        }
        assert_eq!(at(&all, "192.0.2.17"), Some("hill"));
        assert_eq!(at(&all, "192.0.2.32"), None);
        assert_eq!(at(&all, "0.0.0.0"), None);
        all.put(gateway("roof", &["198.51.100.7"]));
        assert_eq!(
            (at(&all, "192.0.2.5"), at(&all, "198.51.100.7")),
            (None, Some("roof"))
        );
        all.remove("hill");
        assert_eq!((at(&all, "192.0.2.17"), all.len()), (None, 1));
        assert_eq!(name(all.by_token(b"hill")), None);
        all.remove("hill");
        all.remove("roof");
        assert_eq!(all, Gateways::default());
        assert_eq!(
            all.by_address.len() + all.by_token.len() + all.by_certificate.len(),
            0
        );
    }

    #[test]
    fn an_overlap_is_found_whichever_range_is_larger() {
        let mut all = Gateways::default();
        all.put(gateway("roof", &["192.0.2.16/28", "10.0.0.0/8"]));
        let overlap = |text: &str, except: &str| {
            let found = all.overlap(text.parse().unwrap(), except);
            found.map(|(range, _)| range.to_string())
        };
        for (text, found) in [
            ("192.0.2.16/28", Some("192.0.2.16/28")),
            ("192.0.2.0/24", Some("192.0.2.16/28")),
            ("192.0.2.20", Some("192.0.2.16/28")),
            ("10.255.255.255", Some("10.0.0.0/8")),
            ("192.0.2.0/28", None),
            ("192.0.2.32/28", None),
            ("11.0.0.0/8", None),
            ("2001:db8::/32", None),
        ] {
            assert_eq!(overlap(text, "hill").as_deref(), found, "{text}");
            assert_eq!(overlap(text, "roof"), None);
        }
    }
}
