//! Telegrams to a meter: SND-UD with an extended link layer III, which carries the meter's address,
//! and a long transport header.
//!
//! Nothing here was held against a telegram of another maker's: no downlink with its key is
//! published. The tests hold the octets to those that were computed apart from this code.

use crate::crypto::key::Key128;
use crate::crypto::mbus::{
    AflKey, CHECK_OCTETS, Derivation, KdfKey, TAG_OCTETS, seal_cbc_mode7, seal_ccm,
};
use crate::keyring::mbus::UniqueCounter;
use crate::wire::mbus::address::Address;

/// How a telegram is secured.
// clause: OMS Volume 2, security profiles
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Profile {
    /// Profile B: mode 7, and a MAC of 8 octets in the AFL.
    B,
    /// Profile D: mode 10. With a long header its additional data is an assumption; see
    /// [`Unverified`].
    D,
}

/// What to do where no text and no telegram at hand settles the octets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Unverified {
    /// Build nothing.
    #[default]
    Refuse,
    /// Build by the likeliest reading: a meter that reads otherwise refuses the telegram.
    Allow,
}

/// Why a telegram was not built.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum DownlinkError {
    /// There is no record to send.
    #[error("a command has at least one record")]
    Empty,
    /// The records do not fit into one telegram.
    #[error("{octets} octets of records do not fit: one telegram has room for {max}")]
    TooLong {
        /// Octets that were given.
        octets: usize,
        /// Octets that fit.
        max: usize,
    },
    /// Profile D with a long header, without [`Unverified::Allow`].
    #[error(
        "mode 10 with a long header is not verified: that its additional data begin at the CI \
         field and hold the address is an assumption, which no telegram at hand confirms"
    )]
    Unverified,
}

/// What a telegram is made of.
#[derive(Debug)]
pub struct Downlink<'a> {
    /// The meter.
    pub meter: Address,
    /// Who sends over the air: the gateway or other partner.
    pub partner: Address,
    /// The access number; see [`AccessNumbers`](super::outgoing::AccessNumbers).
    pub access_number: u8,
    /// The message counter, of a range that is durable.
    pub counter: UniqueCounter,
    /// The records, without check octets and fillers.
    pub records: &'a [u8],
}

/// SND-UD. The meter ignores the frame count bit.
const C_SND_UD: u8 = 0x53;
/// Extended link layer III.
const CI_ELL_III: u8 = 0x8E;
/// Bidirectional, and nothing else.
const CC: u8 = 0x80;
/// Authentication and fragmentation layer.
const CI_AFL: u8 = 0x90;
/// Length 15; MCL, counter and MAC present, unfragmented; message with counter, CMAC of 8 octets.
const AFL_HEAD: [u8; 3] = [0x0F, 0x00, 0x2C];
const AFL_MCL: u8 = 0x25;
/// M-Bus command, long header.
const CI_COMMAND: u8 = 0x5B;
/// Status in a downlink: reception level not told.
const STATUS: u8 = 0;
/// Mode 10 with a counter, all octets encrypted; tag of 8 octets, KDF-A, key 0.
const MODE_10: [u8; 4] = [0xFF, 0x2A, 0x10, 0x01];

const BLOCK_OCTETS: usize = 16;
/// Link layer after its length octet, and extended link layer.
const LINK_OCTETS: usize = 9 + 11;
/// Long transport header from its CI field to the configuration field.
const HEADER_OCTETS: usize = 1 + 12;
/// What the length octet can count, less all headers.
const MODE_7_MAX: usize =
    (255 - LINK_OCTETS - 17 - HEADER_OCTETS - 1) / BLOCK_OCTETS * BLOCK_OCTETS - 2;
const MODE_10_MAX: usize = 255 - LINK_OCTETS - HEADER_OCTETS - 2 - 4 - TAG_OCTETS;

impl Downlink<'_> {
    /// Builds the telegram, without the CRCs of the link, from its length octet on: under keys that
    /// are derived from the meter's persistent key (number 0) and the counter.
    ///
    /// It takes the parts over, because the counter serves one telegram. For a retry the octets are
    /// kept and sent again.
    ///
    /// # Errors
    ///
    /// [`DownlinkError`]; the counter is spent all the same.
    pub fn build(
        self,
        profile: Profile,
        key: &Key128,
        unverified: Unverified,
    ) -> Result<Vec<u8>, DownlinkError> {
        let max = match profile {
            Profile::B => MODE_7_MAX,
            Profile::D => MODE_10_MAX,
        };
        match (self.records.len(), profile, unverified) {
            (_, Profile::D, Unverified::Refuse) => Err(DownlinkError::Unverified),
            (0, ..) => Err(DownlinkError::Empty),
            (octets, ..) if octets > max => Err(DownlinkError::TooLong { octets, max }),
            (octets, ..) => {
                let too_long = DownlinkError::TooLong { octets, max };
                let body = match profile {
                    Profile::B => self.mode_7(key).ok_or(too_long)?,
                    Profile::D => self.mode_10(key).ok_or(too_long)?,
                };
                self.with_link(&body).ok_or(too_long)
            }
        }
    }

    /// AFL, header and records; none if they are too long.
    // clause: EN 13757-7, AFL and security mode 7
    fn mode_7(&self, key: &Key128) -> Option<Vec<u8>> {
        let keys = KdfKey::new(key);
        let id = self.meter.id.octets();
        let counter = self.counter.get().to_le_bytes();

        let plain = CHECK_OCTETS.len().checked_add(self.records.len())?;
        let blocks = plain.div_ceil(BLOCK_OCTETS);
        let mut data = Vec::with_capacity(blocks.checked_mul(BLOCK_OCTETS)?);
        data.extend(CHECK_OCTETS);
        data.extend_from_slice(self.records);
        data.resize(data.capacity().min(blocks.checked_mul(BLOCK_OCTETS)?), 0x2F);
        seal_cbc_mode7(&keys.derive(Derivation::Lenc, counter, id), &mut data).ok()?;

        let count = u8::try_from(blocks).ok().filter(|count| *count < 15)?;
        // The number of blocks, mode 7, KDF-A with key 0.
        let message = [&self.header(&[count << 4, 0x07, 0x10]), &data[..]].concat();
        let lmac = AflKey::new(&keys.derive(Derivation::Lmac, counter, id));
        let mac = lmac.mac(&[&[AFL_MCL], &counter, &message]);
        let afl: [&[u8]; 6] = [
            &[CI_AFL],
            &AFL_HEAD,
            &[AFL_MCL],
            &counter,
            mac.get(..8)?,
            &message,
        ];
        Some(afl.concat())
    }

    /// Header, records and tag; none if they are too long.
    // clause: EN 13757-7, security mode 10; the additional data are an assumption
    fn mode_10(&self, key: &Key128) -> Option<Vec<u8>> {
        let counter = self.counter.get();
        let on_air = counter.to_le_bytes();
        let lenc = KdfKey::new(key).derive(Derivation::Lenc, on_air, self.meter.id.octets());
        let aad = self.header(&MODE_10);
        let mut data = self.records.to_vec();
        let address = self.meter.link_order();
        let tag = seal_ccm(&lenc, address, counter, &aad, &mut data).ok()?;
        Some([&aad[..], &on_air, &data, &tag].concat())
    }

    /// The long transport header, with configuration field and its extension.
    fn header(&self, configuration: &[u8]) -> Vec<u8> {
        let address = self.meter.transport_order();
        let numbers = [self.access_number, STATUS];
        [&[CI_COMMAND], &address[..], &numbers, configuration].concat()
    }

    /// Puts link layer and extended link layer before; none if the length octet cannot count it.
    // clause: EN 13757-4, link layer and extended link layer III
    fn with_link(&self, body: &[u8]) -> Option<Vec<u8>> {
        let length = u8::try_from(body.len().checked_add(LINK_OCTETS)?).ok()?;
        let telegram: [&[u8]; 5] = [
            &[length, C_SND_UD],
            &self.partner.link_order(),
            &[CI_ELL_III, CC, self.access_number],
            &self.meter.link_order(),
            body,
        ];
        Some(telegram.concat())
    }
}

#[cfg(test)]
#[path = "downlink_tests.rs"]
mod tests;
