//! The transport header: address, access number, status, and the configuration field that says how
//! the application data is secured (EN 13757-7, 7.5 and 7.6).

use super::address::Address;
use super::ci::HeaderKind;
use super::error::{MbusError, MbusErrorKind};

/// The security of the application data as the configuration field announces it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announced {
    /// Mode 0, or no header at all: nothing is encrypted.
    Clear,
    /// Mode 5: AES-128-CBC under a persistent key.
    Mode5 {
        /// Encrypted blocks of 16 octets; none for all.
        blocks: Option<u8>,
    },
    /// Mode 7: AES-128-CBC under a derived key.
    Mode7(Derived),
    /// Mode 10: AES-128-CCM under a derived key.
    Mode10(Derived),
    /// Another mode.
    Other(u8),
}

/// What the extensions of the configuration field say in modes 7 and 10.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Derived {
    /// Encrypted blocks (mode 7) or octets (mode 10); none for all.
    pub encrypted: Option<u8>,
    /// The number of the key, 0 to 15.
    pub key_id: u8,
    /// How keys are derived: 1 is KDF-A.
    pub derivation: u8,
    /// The version of the key, if it is told.
    pub key_version: Option<u8>,
    /// The message counter as on the wire, the low octet first, if it is here and not in the AFL.
    pub counter: Option<[u8; 4]>,
    /// The length of the tag (mode 10): 1 is 8 octets.
    pub tag_length: u8,
    /// Where the extension ends that additional data of mode 10 reach to, from the CI field.
    pub additional_octets: usize,
}

/// A transport header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its CI field.
    pub ci: u8,
    /// Which header it is.
    pub kind: HeaderKind,
    /// The meter's address, of a long header.
    pub address: Option<Address>,
    /// The access number.
    pub access_number: Option<u8>,
    /// The status octet.
    pub status: Option<u8>,
    /// The configuration field.
    pub configuration: Option<u16>,
    /// What it says of security.
    pub security: Announced,
    /// Octets of the header, its CI field included.
    pub len: usize,
}

/// The security mode of a configuration field, five bits.
#[must_use]
pub const fn mode_of(configuration: u16) -> u8 {
    let [_, high] = configuration.to_le_bytes();
    high & 0x1F
}

/// The name of a security mode.
// clause: EN 13757-7:2018, table 19; OMS Volume 2, 9.3
#[must_use]
pub const fn mode_name(mode: u8) -> &'static str {
    match mode {
        0 => "none",
        1 => "manufacturer specific",
        2 => "DES-CBC, initialisation vector 0",
        3 => "DES-CBC, initialisation vector of address and date",
        4 => "AES-128-CBC, initialisation vector 0",
        5 => "AES-128-CBC",
        7 => "AES-128-CBC under a derived key, with a MAC",
        8 => "AES-128-CTR with CMAC",
        9 => "AES-128-GCM",
        10 => "AES-128-CCM",
        13 => "TLS",
        _ => "reserved",
    }
}

impl Header {
    /// The security mode that was read: 0 where there is no configuration field.
    #[must_use]
    pub const fn mode(&self) -> u8 {
        match self.security {
            Announced::Clear => 0,
            Announced::Mode5 { .. } => 5,
            Announced::Mode7(_) => 7,
            Announced::Mode10(_) => 10,
            Announced::Other(mode) => mode,
        }
    }

    /// Reads the header whose CI field is the first of `octets`, which stand at `offset`.
    /// `high_octet_first`: an old wired meter sends all fields the other way round.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Truncated`]. Reserved bits are not looked at: MAC or tag covers them.
    // clause: EN 13757-7, 7.5, 7.6
    pub fn read(
        octets: &[u8],
        offset: usize,
        kind: HeaderKind,
        high_octet_first: bool,
    ) -> Result<Self, MbusError> {
        let mut fields = Fields {
            octets,
            offset,
            at: 0,
        };
        let [ci] = fields.take("CI field")?;
        let mut header = Self {
            ci,
            kind,
            address: None,
            access_number: None,
            status: None,
            configuration: None,
            security: Announced::Clear,
            len: 1,
        };
        if kind == HeaderKind::None {
            return Ok(header);
        }
        if kind == HeaderKind::Long {
            let address: [u8; 8] = fields.take("address")?;
            header.address = Some(Address::from_transport_order(if high_octet_first {
                turned(address)
            } else {
                address
            }));
        }
        let [access_number, status] = fields.take("access number and status")?;
        let configuration = fields
            .take("configuration field")
            .map(if high_octet_first {
                u16::from_be_bytes
            } else {
                u16::from_le_bytes
            })?;
        header.access_number = Some(access_number);
        header.status = Some(status);
        header.configuration = Some(configuration);
        header.security = match mode_of(configuration) {
            0 => Announced::Clear,
            5 => Announced::Mode5 {
                blocks: blocks_of(configuration),
            },
            7 => Announced::Mode7(mode7(&mut fields, configuration)?),
            10 => Announced::Mode10(mode10(&mut fields, configuration)?),
            other => Announced::Other(other),
        };
        header.len = fields.at;
        Ok(header)
    }
}

/// Identification, manufacturer, version and type of a meter that sends the high octet first.
const fn turned([i0, i1, i2, i3, m0, m1, version, device_type]: [u8; 8]) -> [u8; 8] {
    [i3, i2, i1, i0, m1, m0, version, device_type]
}

/// The number of encrypted blocks: bits 7 to 4, all set for all.
const fn blocks_of(configuration: u16) -> Option<u8> {
    let [low, _] = configuration.to_le_bytes();
    match low >> 4 {
        0x0F => None,
        blocks => Some(blocks),
    }
}

const fn has_counter(configuration: u16) -> bool {
    configuration & 1 << 13 != 0
}

fn mode7(fields: &mut Fields<'_>, configuration: u16) -> Result<Derived, MbusError> {
    let [extension] = fields.take("configuration field extension")?;
    let key_version = fields.take_if::<1>(extension & 0x40 != 0, "key version")?;
    let counter = fields.take_if(has_counter(configuration), "message counter")?;
    Ok(Derived {
        encrypted: blocks_of(configuration),
        key_id: extension & 0x0F,
        derivation: extension >> 4 & 0x03,
        key_version: key_version.map(|[version]| version),
        counter,
        tag_length: 0,
        additional_octets: 0,
    })
}

fn mode10(fields: &mut Fields<'_>, configuration: u16) -> Result<Derived, MbusError> {
    let [low, high] = fields.take("configuration field extension")?;
    let additional_octets = fields.at;
    let key_version = fields.take_if::<1>(low & 0x40 != 0, "key version")?;
    let counter = fields.take_if(has_counter(configuration), "message counter")?;
    let [octets, _] = configuration.to_le_bytes();
    Ok(Derived {
        encrypted: Some(octets).filter(|octets| *octets != 0xFF),
        key_id: low & 0x0F,
        derivation: low >> 4 & 0x03,
        key_version: key_version.map(|[version]| version),
        counter,
        tag_length: high & 0x03,
        additional_octets,
    })
}

struct Fields<'a> {
    octets: &'a [u8],
    offset: usize,
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MbusError> {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let Some((found, _)) = rest.split_first_chunk::<N>() else {
            let end = self.offset.saturating_add(self.octets.len());
            return Err(MbusError::new(end, MbusErrorKind::Truncated, field));
        };
        self.at = self.at.saturating_add(N);
        Ok(*found)
    }

    fn take_if<const N: usize>(
        &mut self,
        is_there: bool,
        field: &'static str,
    ) -> Result<Option<[u8; N]>, MbusError> {
        if is_there {
            self.take(field).map(Some)
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]

    use hex_literal::hex;

    use super::*;

    #[test]
    fn headers_of_published_telegrams_read_as_their_texts_say() {
        // OMS Volume 2 Annex N, N.2.1.
        let header = Header::read(&hex!("7A2A0020255923"), 0, HeaderKind::Short, false).unwrap();
        assert_eq!(header.access_number, Some(0x2A));
        assert_eq!(header.security, Announced::Mode5 { blocks: Some(2) });
        assert_eq!(header.len, 5);
        // CEN/TR 17167, F.3, with a radio adapter.
        let long = hex!("72785634129315330375002007109058");
        let header = Header::read(&long, 0, HeaderKind::Long, false).unwrap();
        assert_eq!(header.address.unwrap().to_string(), "ELS-12345678-33-03");
        let Announced::Mode7(derived) = header.security else {
            panic!("{header:?}");
        };
        assert_eq!(
            (derived.encrypted, derived.key_id, derived.derivation),
            (Some(2), 0, 1)
        );
        assert_eq!((derived.counter, header.len), (None, 14));
        // wmbusmeters issue 1667: a water meter in profile D.
        let ten = hex!("7A3010FF2A10018C570E006DA7");
        let header = Header::read(&ten, 0, HeaderKind::Short, false).unwrap();
        let Announced::Mode10(derived) = header.security else {
            panic!("{header:?}");
        };
        assert_eq!(derived.counter, Some(hex!("8C570E00")));
        assert_eq!(
            (derived.encrypted, derived.tag_length, derived.derivation),
            (None, 1, 1)
        );
        assert_eq!((derived.additional_octets, header.len), (7, 11));
        for end in 0..header.len {
            let cut = Header::read(&ten[..end], 4, HeaderKind::Short, false).unwrap_err();
            assert_eq!((cut.kind, cut.offset), (MbusErrorKind::Truncated, 4 + end));
        }
    }

    #[test]
    fn the_mode_has_five_bits() {
        let header = Header::read(&hex!("7A00000015"), 0, HeaderKind::Short, false).unwrap();
        assert_eq!(header.security, Announced::Other(21));
    }
}
