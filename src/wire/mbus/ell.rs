//! The extended link layer, I to IV (EN 13757-4): communication control, access number, and what
//! the longer forms add: an address, a session with a check of the payload.

use super::address::Address;
use super::error::{MbusError, MbusErrorKind};

/// The session of an extended link layer II or IV.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    /// The session number as on the wire, the low octet first.
    pub number: [u8; 4],
}

impl Session {
    /// How the payload is protected: 0 not at all, 1 AES-128-CTR.
    #[must_use]
    pub const fn encryption(self) -> u8 {
        let [_, _, _, high] = self.number;
        high >> 5
    }
}

/// An extended link layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtendedLink {
    /// The communication control: bit 7 bidirectional, 6 response delay, 5 synchronous, 4 hop, 3
    /// priority, 2 accessibility, 1 repeated access.
    pub control: u8,
    /// Its own access number.
    pub access_number: u8,
    /// The other side: in a downlink the meter, in an uplink the one that is meant (III and IV).
    pub address: Option<Address>,
    /// The session (II and IV). The two octets after it are the check of all that follows them, and
    /// are encrypted with it.
    pub session: Option<Session>,
    /// Octets of this layer, its CI field included, the check not.
    pub len: usize,
}

impl ExtendedLink {
    /// Reads the layer whose CI field is the first of `octets`, which stand at `offset`.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Truncated`].
    // clause: EN 13757-4, 13.2
    pub fn read(
        octets: &[u8],
        offset: usize,
        has_address: bool,
        has_session: bool,
    ) -> Result<Self, MbusError> {
        let end = offset.saturating_add(octets.len());
        let truncated = MbusError::new(end, MbusErrorKind::Truncated, "extended link layer");
        let [_, control, access_number, rest @ ..] = octets else {
            return Err(truncated);
        };
        let mut rest = rest;
        let mut address = None;
        if has_address {
            let (found, after) = rest.split_first_chunk::<8>().ok_or(truncated)?;
            address = Some(Address::from_link_order(*found));
            rest = after;
        }
        let mut session = None;
        if has_session {
            let (number, after) = rest.split_first_chunk::<4>().ok_or(truncated)?;
            session = Some(Session { number: *number });
            rest = after;
        }
        Ok(Self {
            control: *control,
            access_number: *access_number,
            address,
            session,
            len: octets.len().saturating_sub(rest.len()),
        })
    }
}
