//! Names of things: terminals, positions in the log, lanes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::wire::hex::Hex;

/// A terminal, whatever protocol it speaks: eight octets, in OTL its identity.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TerminalId([u8; 8]);

impl TerminalId {
    /// A terminal by its octets.
    #[must_use]
    pub const fn new(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TerminalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// A text that is no terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a terminal is 16 hexadecimal digits, as in 00070000499602d2")]
pub struct NoTerminalId;

impl FromStr for TerminalId {
    type Err = NoTerminalId;

    fn from_str(text: &str) -> Result<Self, NoTerminalId> {
        octets_of_hex(text).map(Self).ok_or(NoTerminalId)
    }
}

/// Eight octets from 16 hexadecimal digits of either case.
#[must_use]
pub fn octets_of_hex(text: &str) -> Option<[u8; 8]> {
    let is_plain = text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok();
    number.filter(|_| is_plain).map(u64::to_be_bytes)
}

/// The longest name of a sink, a consumer or a gateway, in octets.
pub const NAME_MAX: usize = 32;

/// Whether a text can be the name of a sink, a consumer or a gateway, which stands in metrics, file
/// names and commands: 1 to [`NAME_MAX`] of a-z, 0-9 and -.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_plain =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

impl Serialize for TerminalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TerminalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A position in the log: octets since its beginning, headers of segments included.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// The beginning of the log.
    pub const ZERO: Self = Self(0);

    /// A position by its octets.
    #[must_use]
    pub const fn new(octets: u64) -> Self {
        Self(octets)
    }

    /// Octets since the beginning of the log.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This position moved on by `octets`.
    #[must_use]
    pub const fn saturating_add(self, octets: u64) -> Self {
        Self(self.0.saturating_add(octets))
    }

    /// Octets from `earlier` to this position, 0 if that is the later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the two ways from a terminal to a sink.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Alarm notices.
    Alarm,
    /// Everything else.
    Bulk,
}

/// The lanes that a frame of the log has something for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lanes(u8);

impl Lanes {
    /// None: nothing for a sink.
    pub const NONE: Self = Self(0);
    /// The bulk lane.
    pub const BULK: Self = Self(1);
    /// The alarm lane.
    pub const ALARM: Self = Self(2);

    /// The lanes of an octet; none if it has other bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= 3 { Some(Self(bits)) } else { None }
    }

    /// The octet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other` is in this set.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl From<Lane> for Lanes {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Alarm => Self::ALARM,
            Lane::Bulk => Self::BULK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_written_and_read_as_16_digits_and_as_nothing_else() {
        let id: TerminalId = "00070000499602D2".parse().unwrap();
        assert_eq!(id.to_string(), "00070000499602d2");
        for wrong in ["", "0007", "+0070000499602d2", "00070000499602d2a"] {
            assert_eq!(wrong.parse::<TerminalId>(), Err(NoTerminalId));
        }
    }
}
