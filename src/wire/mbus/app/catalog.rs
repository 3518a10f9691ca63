//! The formats of compact frames that were learned.

use std::collections::BTreeMap;

use crate::wire::mbus::address::{Address, Manufacturer};
use crate::wire::mbus::crc::crc;
use crate::wire::mbus::error::{MbusError, MbusErrorKind};

use super::body::{Body, RecordsKind};
use super::compact::{CompactFrame, ExpandError, FormatFrame, heads_of, signature_of};
use super::known;
use super::record::Records;

/// The most formats that are kept.
const FORMATS_MAX: usize = 16_384;
/// The most formats of one kind of device.
const FORMATS_OF_KIND_MAX: usize = 64;
/// The longest heads of a format; a longer one is not what a format frame can tell.
const HEADS_MAX: usize = 253;
/// What a catalog's octets begin with.
const MARK: [u8; 4] = *b"MBF1";

/// The kind of a device: its formats are the same in all meters of the kind.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeviceKind {
    /// The maker.
    pub manufacturer: Manufacturer,
    /// The maker's version.
    pub version: u8,
    /// The device type as on the wire.
    pub device_type: u8,
}

impl From<Address> for DeviceKind {
    fn from(address: Address) -> Self {
        Self {
            manufacturer: address.manufacturer,
            version: address.version,
            device_type: address.device_type,
        }
    }
}

/// What came of learning a format.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Learned {
    /// It is new: compact frames that name it can be expanded from now on.
    New(u16),
    /// It was known.
    Known(u16),
    /// There is nothing to learn: a record is wrong, or the heads are too long for a format.
    Nothing,
    /// There is no more room, for this kind or at all.
    Full,
}

/// What came of a compact frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expanded {
    /// The records of the full frame; both checks hold.
    Records(Vec<u8>),
    /// The format with this signature is not known yet: the frame stays as it came.
    UnknownFormat(u16),
    /// The frame does not fit the format that it names.
    Refused(ExpandError),
}

/// Formats by kind of device and signature. Bounded; a format that is known is never replaced, so
/// a later frame cannot change what others mean.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FormatCatalog {
    formats: BTreeMap<(DeviceKind, u16), Box<[u8]>>,
}

impl FormatCatalog {
    /// How many formats are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.formats.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.formats.is_empty()
    }

    /// The heads of a format.
    #[must_use]
    pub fn heads(&self, kind: DeviceKind, signature: u16) -> Option<&[u8]> {
        self.formats.get(&(kind, signature)).map(AsRef::as_ref)
    }

    /// Learns from whatever teaches a format: a full frame or a format frame. What is known already
    /// costs no change. To be called for verified telegrams where there are any.
    pub fn learn_from(&mut self, kind: DeviceKind, body: &Body<'_>) -> Learned {
        match body {
            Body::Records {
                kind: RecordsKind::Response,
                records,
            } => self.learn(kind, *records),
            Body::Format(format) => self.learn_format(kind, format),
            _ => Learned::Nothing,
        }
    }

    /// Whether [`Self::learn_from`] would change anything, or fail for want of room.
    #[must_use]
    pub fn would_learn_from(&self, kind: DeviceKind, body: &Body<'_>) -> bool {
        let signature = match body {
            Body::Records {
                kind: RecordsKind::Response,
                records,
            } => signature_of(*records),
            Body::Format(format) => Some(crc(format.heads)),
            _ => None,
        };
        signature.is_some_and(|signature| {
            self.formats.len() < FORMATS_MAX && self.heads(kind, signature).is_none()
        })
    }

    /// Learns from a full frame. To be called for verified telegrams where there are any.
    pub fn learn(&mut self, kind: DeviceKind, records: Records<'_>) -> Learned {
        match heads_of(records) {
            Some(heads) => self.insert(kind, crc(&heads), &heads),
            None => Learned::Nothing,
        }
    }

    /// Learns from a format frame.
    pub fn learn_format(&mut self, kind: DeviceKind, format: &FormatFrame<'_>) -> Learned {
        self.insert(kind, crc(format.heads), format.heads)
    }

    fn insert(&mut self, kind: DeviceKind, signature: u16, heads: &[u8]) -> Learned {
        if heads.is_empty() || heads.len() > HEADS_MAX {
            return Learned::Nothing;
        }
        let key = (kind, signature);
        if self.formats.contains_key(&key) {
            return Learned::Known(signature);
        }
        let of_kind = self.formats.range((kind, 0)..=(kind, u16::MAX)).count();
        if self.formats.len() >= FORMATS_MAX || of_kind >= FORMATS_OF_KIND_MAX {
            return Learned::Full;
        }
        self.formats.insert(key, heads.into());
        Learned::New(signature)
    }

    /// Expands a compact frame of a device.
    #[must_use]
    pub fn expand(&self, kind: DeviceKind, compact: &CompactFrame<'_>) -> Expanded {
        let learned = self.heads(kind, compact.signature);
        let Some(heads) = learned.or_else(|| known::heads(compact.signature)) else {
            return Expanded::UnknownFormat(compact.signature);
        };
        match compact.expand(heads) {
            Ok(records) => Expanded::Records(records),
            Err(error) => Expanded::Refused(error),
        }
    }

    /// The catalog as octets, to be kept: the mark `MBF1`, and for each format maker, version,
    /// device type, number of octets and the heads. The same formats give the same octets.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = MARK.to_vec();
        for ((kind, _), heads) in &self.formats {
            octets.extend_from_slice(&kind.manufacturer.get().to_le_bytes());
            octets.push(kind.version);
            octets.push(kind.device_type);
            octets.push(u8::try_from(heads.len()).unwrap_or_default());
            octets.extend_from_slice(heads);
        }
        octets
    }

    /// The catalog that [`Self::to_octets`] gave.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Start`] without the mark, [`MbusErrorKind::Truncated`] where a format ends
    /// early, [`MbusErrorKind::Limit`] for more formats than a catalog holds.
    pub fn from_octets(octets: &[u8]) -> Result<Self, MbusError> {
        const FIELD: &str = "format catalog";
        let refuse = |at, kind| MbusError::new(at, kind, FIELD);
        let mut rest = octets
            .strip_prefix(&MARK)
            .ok_or_else(|| refuse(0, MbusErrorKind::Start))?;
        let mut catalog = Self::default();
        while !rest.is_empty() {
            let at = octets.len().saturating_sub(rest.len());
            let truncated = refuse(at, MbusErrorKind::Truncated);
            let (head, behind) = rest.split_at_checked(5).ok_or(truncated)?;
            let &[low, high, version, device_type, len] = head else {
                return Err(truncated);
            };
            let (heads, behind) = behind.split_at_checked(usize::from(len)).ok_or(truncated)?;
            let kind = DeviceKind {
                manufacturer: Manufacturer::new(u16::from_le_bytes([low, high])),
                version,
                device_type,
            };
            if catalog.insert(kind, crc(heads), heads) == Learned::Full {
                return Err(refuse(at, MbusErrorKind::Limit));
            }
            rest = behind;
        }
        Ok(catalog)
    }
}
