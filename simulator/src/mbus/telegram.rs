//! From records to a telegram as it is on the air.

use super::address::Address;
use super::cipher::{self, Derived};
use super::link;
use crate::crypto::{CryptoError, SecretKey, cmac};

/// A response of a meter with a short header.
const RESPONSE: u8 = 0x7A;
/// An extended link layer of the first form.
const EXTENDED_LINK: u8 = 0x8C;
/// What it says of the communication: the meter sends at its set times.
const SYNCHRONOUS: u8 = 0x20;
/// The authentication and fragmentation layer.
const AUTHENTICATION: u8 = 0x90;
/// Its fields: message control, counter and MAC.
const AUTHENTICATION_FIELDS: u16 = 0x2C00;
/// Message control: a counter, and a CMAC of 8 octets.
const AUTHENTICATION_CONTROL: u8 = 0x25;
/// Octets that fill a block, and open one that is encrypted.
const FILLER: u8 = 0x2F;
const BLOCK: usize = 16;

/// How a telegram is secured, by the numbers of EN 13757-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// 0: not at all.
    Clear,
    /// 5: AES-CBC under the meter's key.
    Cbc,
    /// 7: AES-CBC under a key of the telegram's own, with a CMAC.
    CbcDerived,
    /// 10: AES-CCM under a key of the telegram's own.
    CcmDerived,
}

impl Mode {
    /// All that a simulated meter may have.
    pub const ALL: [Self; 4] = [Self::Clear, Self::Cbc, Self::CbcDerived, Self::CcmDerived];

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Cbc => 5,
            Self::CbcDerived => 7,
            Self::CcmDerived => 10,
        }
    }

    /// Whether a telegram carries a message counter.
    #[must_use]
    pub const fn has_counter(self) -> bool {
        matches!(self, Self::CbcDerived | Self::CcmDerived)
    }
}

/// What stands in a telegram besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The meter.
    pub address: Address,
    /// The access number of the transport header, and of the extended link where there is one.
    pub access_number: u8,
    /// The status of the transport header.
    pub status: u8,
    /// The message counter of modes that have one.
    pub counter: u32,
}

/// A telegram without CRCs: link, what the mode has between, and the records, encrypted if they
/// are. Of mode 0 and 5 the link is followed by the transport header at once. Records have at most
/// 192 octets.
///
/// # Errors
/// A key of another length than 16.
pub fn seal(
    head: &Head,
    mode: Mode,
    key: &SecretKey,
    records: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let content = match mode {
        Mode::Clear => [&transport(head, 0), records].concat(),
        Mode::Cbc => cbc(head, key, records)?,
        Mode::CbcDerived => cbc_derived(head, key, records)?,
        Mode::CcmDerived => ccm_derived(head, key, records)?,
    };
    Ok(link::telegram(&head.address, &content))
}

/// The same telegram with the CRCs of format A.
#[must_use]
pub fn format_a(telegram: &[u8]) -> Vec<u8> {
    link::with_checks(telegram)
}

/// What a receiver has of a telegram once it is opened: the CI field, the records, and the idle
/// octets behind them that fill a block of modes which have blocks.
#[must_use]
pub fn opened(mode: Mode, records: &[u8]) -> Vec<u8> {
    let filled = filled(records);
    let application = match mode {
        Mode::Clear | Mode::CcmDerived => records,
        Mode::Cbc | Mode::CbcDerived => filled.get(2..).unwrap_or(records),
    };
    [&[RESPONSE], application].concat()
}

/// A short transport header.
fn transport(head: &Head, configuration: u16) -> [u8; 5] {
    let [low, high] = configuration.to_le_bytes();
    [RESPONSE, head.access_number, head.status, low, high]
}

fn extended_link(head: &Head) -> [u8; 3] {
    [EXTENDED_LINK, SYNCHRONOUS, head.access_number]
}

/// Records behind the two octets by which a key is known to be right, filled to whole blocks.
fn filled(records: &[u8]) -> Vec<u8> {
    let mut plain = [&[FILLER; 2], records].concat();
    plain.resize(plain.len().next_multiple_of(BLOCK), FILLER);
    plain
}

/// The number of encrypted blocks, where the configuration has it.
fn blocks(plain: &[u8]) -> u16 {
    u16::try_from(plain.len() / BLOCK).unwrap_or(0) << 4
}

fn cbc(head: &Head, key: &SecretKey, records: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let plain = filled(records);
    let mut vector = [head.access_number; BLOCK];
    for (octet, of_address) in vector.iter_mut().zip(head.address.link_order()) {
        *octet = of_address;
    }
    let sealed = cipher::cbc(key, vector, &plain)?;
    // Synchronous, and mode 5.
    let header = transport(head, 0x2500 | blocks(&plain));
    Ok([&header, sealed.as_slice()].concat())
}

fn cbc_derived(head: &Head, key: &SecretKey, records: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let derived = |what| cipher::derive(key, what, head.counter, &head.address);
    let plain = filled(records);
    let sealed = cipher::cbc(&derived(Derived::Encryption)?, [0; BLOCK], &plain)?;
    let header = transport(head, 0x0700 | blocks(&plain));
    // The extension: a key that is derived, of number 0.
    let message = [&header, [0x10].as_slice(), &sealed].concat();
    let counter = head.counter.to_le_bytes();
    let parts: [&[u8]; 3] = [&[AUTHENTICATION_CONTROL], &counter, &message];
    let mac = cmac(&derived(Derived::Mac)?, &parts)?;
    let mac = mac.first_chunk::<8>().ok_or(CryptoError::Input)?;
    let [low, high] = AUTHENTICATION_FIELDS.to_le_bytes();
    let authentication = [AUTHENTICATION, 15, low, high, AUTHENTICATION_CONTROL];
    let parts: [&[u8]; 5] = [
        &extended_link(head),
        &authentication,
        &counter,
        mac,
        &message,
    ];
    Ok(parts.concat())
}

fn ccm_derived(head: &Head, key: &SecretKey, records: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = cipher::derive(key, Derived::Encryption, head.counter, &head.address)?;
    // A counter in the header, mode 10, and all octets encrypted.
    let header = transport(head, 0x2AFF);
    // The extension: a tag of 8 octets, and a key that is derived, of number 0.
    let header = [header.as_slice(), &0x0110_u16.to_le_bytes()].concat();
    let [m0, m1, a, b, c, d, version, device_type] = head.address.link_order();
    let [c0, c1, c2, c3] = head.counter.to_be_bytes();
    let nonce = [m0, m1, a, b, c, d, version, device_type, 0, c0, c1, c2, c3];
    let sealed = cipher::ccm(&key, &nonce, &header, records)?;
    let counter = head.counter.to_le_bytes();
    let parts: [&[u8]; 4] = [&extended_link(head), &header, &counter, &sealed];
    Ok(parts.concat())
}

#[cfg(test)]
mod tests;
