//! What a gateway is known by: digests of tokens and certificates, ranges of addresses.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::{Choice, ConstantTimeEq as _};

use crate::crypto::digest::sha256;
use crate::wire::hex::Hex;

/// A SHA-256 digest: of a token without the white space around it, or of a certificate in DER. It
/// stands in the log in place of what it is a digest of.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// A digest by its octets.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The digest of a token, as its file or a line has it: white space around it is left out.
    #[must_use]
    pub fn of_token(octets: &[u8]) -> Self {
        Self(sha256(octets.trim_ascii()))
    }

    /// The digest of a certificate in DER.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(sha256(der))
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 32] {
        self.0
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.is(other).into()
    }
}

impl Eq for Fingerprint {}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits, with or without colons between the octets")]
pub struct NoFingerprint;

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Reads 64 digits, or the form with colons that other tools show of certificates.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let has_colons = text.len() == 95;
        let step = if has_colons { 3 } else { 2 };
        if !has_colons && text.len() != 64 {
            return Err(NoFingerprint);
        }
        let mut octets = [0; 32];
        let groups = text.as_bytes().chunks(step);
        for (octet, group) in octets.iter_mut().zip(groups) {
            let (high, low) = match *group {
                [high, low] | [high, low, b':'] => (digit(high)?, digit(low)?),
                _ => return Err(NoFingerprint),
            };
            *octet = high << 4 | low;
        }
        Ok(Self(octets))
    }
}

fn digit(octet: u8) -> Result<u8, NoFingerprint> {
    let digit = char::from(octet).to_digit(16);
    let digit = digit.and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or(NoFingerprint)
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A range of addresses: the first one, and how many bits all have in common. An IPv4 address that
/// is mapped into IPv6 is the IPv4 address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr {
    /// IPv4 ranges are kept as those of the mapped addresses, so that one order has all.
    first: u128,
    /// Bits of the mapped form, 0 to 128.
    bits: u8,
}

/// The mapped IPv4 addresses.
const ALL_IPV4: Cidr = Cidr {
    first: 0xFFFF_0000_0000,
    bits: 96,
};

/// A text that is no range of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoCidr {
    /// It has another form.
    #[error(
        "a range of addresses is one address, as 192.0.2.7 or 2001:db8::7, or its first one and \
         the bits that all have in common, as 192.0.2.0/24"
    )]
    Form,
    /// The address is not the first of its range.
    #[error("the address is not the first of that range: say {0}")]
    NotFirst(Cidr),
    /// It holds all IPv4 addresses, if only as mapped ones.
    #[error("that range holds every IPv4 address there is")]
    All,
}

/// The number of an address in the order of all, IPv4 ones as mapped.
const fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Cidr {
    /// The number of its first address in the order of all addresses.
    #[must_use]
    pub const fn first(self) -> u128 {
        self.first
    }

    /// The number of its last address.
    #[must_use]
    pub fn last(self) -> u128 {
        self.first | self.host_mask()
    }

    fn host_mask(self) -> u128 {
        // All 128 bits are common in a range of one.
        let bits = u32::from(self.bits);
        u128::MAX.checked_shr(bits).unwrap_or_default()
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        number_of(address) & !self.host_mask() == self.first
    }

    /// Whether all addresses of another range are in it.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        self.first <= other.first && other.last() <= self.last()
    }

    /// Whether an address is in both. Of two ranges that overlap, one holds the other.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }

    /// The number of an address, to look for the range that begins at it or before it.
    #[must_use]
    pub const fn number_of(address: IpAddr) -> u128 {
        number_of(address)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Ipv6Addr::from_bits(self.first);
        let (address, bits, most) = match first.to_ipv4_mapped() {
            Some(address) if self.bits >= 96 => {
                (IpAddr::V4(address), self.bits.saturating_sub(96), 32)
            }
            _ => (IpAddr::V6(first), self.bits, 128),
        };
        if bits == most {
            address.fmt(f)
        } else {
            write!(f, "{address}/{bits}")
        }
    }
}

impl FromStr for Cidr {
    type Err = NoCidr;

    fn from_str(text: &str) -> Result<Self, NoCidr> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoCidr::Form)?;
        let (most, beside) = match address {
            IpAddr::V4(_) => (32_u8, 96_u8),
            IpAddr::V6(_) => (128, 0),
        };
        let bits = match bits {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse(),
            Some(_) => return Err(NoCidr::Form),
            None => Ok(most),
        };
        let bits = bits.ok().filter(|bits| *bits <= most).ok_or(NoCidr::Form)?;
        let range = Self {
            first: number_of(address),
            bits: bits.saturating_add(beside),
        };
        let begins = Self {
            first: range.first & !range.host_mask(),
            ..range
        };
        let is_all = begins.bits <= ALL_IPV4.bits && begins.holds(ALL_IPV4);
        match begins == range {
            _ if is_all => Err(NoCidr::All),
            true => Ok(range),
            false => Err(NoCidr::NotFirst(begins)),
        }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_in_both_forms_and_shown_in_one() {
        let digest = Fingerprint::of_token(b" abc\n");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        let pairs = digest.octets().map(|octet| format!("{octet:02X}"));
        assert_eq!(pairs.join(":").parse(), Ok(digest));
        let other = pairs.join("-");
        for wrong in [
            "",
            "ba78",
            &text.replacen('b', "", 1),
            &other,
            &"g".repeat(64),
        ] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint));
        }
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let range: Cidr = "192.0.2.0/24".parse().unwrap();
        let holds = |text: &str| range.contains(text.parse().unwrap());
        assert!(holds("192.0.2.0") && holds("192.0.2.255") && holds("::ffff:192.0.2.9"));
        assert!(!holds("192.0.3.0") && !holds("192.0.1.255") && !holds("2001:db8::1"));
        let six: Cidr = "2001:db8::/32".parse().unwrap();
        assert!(six.contains("2001:db8:ffff::1".parse().unwrap()));
        assert!(!six.contains("2001:db9::1".parse().unwrap()));
        let one: Cidr = "192.0.2.7".parse().unwrap();
        assert!(one.overlaps(range) && range.overlaps(one) && !one.overlaps(six));
        assert!(!one.overlaps("192.0.2.8/29".parse().unwrap()));
        assert_eq!(one.first(), one.last());
    }

    #[test]
    fn ranges_are_shown_as_they_are_read() {
        for text in [
            "192.0.2.7",
            "192.0.2.0/24",
            "2001:db8::/32",
            "2001:db8::7",
            "::1",
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        assert_eq!(
            "10.0.0.1/32".parse::<Cidr>().unwrap().to_string(),
            "10.0.0.1"
        );
        assert_eq!(
            "192.0.2.7/24".parse::<Cidr>().unwrap_err().to_string(),
            "the address is not the first of that range: say 192.0.2.0/24"
        );
        for all in ["0.0.0.0/0", "192.0.2.0/0", "::/0", "::/64", "::ffff:0:0/96"] {
            assert_eq!(all.parse::<Cidr>(), Err(NoCidr::All));
        }
        for wrong in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.0/+1",
            "::/129",
            "192.0.2.0/",
            "/8",
        ] {
            assert_eq!(wrong.parse::<Cidr>(), Err(NoCidr::Form), "{wrong}");
        }
    }
}
