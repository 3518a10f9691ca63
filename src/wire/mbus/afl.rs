//! The authentication and fragmentation layer of EN 13757-7: parts of a message, and its MAC.

use super::error::{MbusError, MbusErrorKind};

/// The longest message that fragments may add up to, in octets.
// clause: OMS Volume 2, 6.3.6
pub const MESSAGE_MAX: usize = 16_384;

const MORE_FRAGMENTS: u16 = 1 << 14;
const HAS_CONTROL: u16 = 1 << 13;
const HAS_LENGTH: u16 = 1 << 12;
const HAS_COUNTER: u16 = 1 << 11;
const HAS_MAC: u16 = 1 << 10;
const HAS_KEY: u16 = 1 << 9;
const RESERVED: u16 = 1 << 15 | 1 << 8;

/// What the message control field says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageControl(u8);

impl MessageControl {
    /// The field as on the wire.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// Octets of a CMAC by the authentication type: 0 for none, and none for a type that is no
    /// CMAC.
    // clause: EN 13757-7, table 8
    #[must_use]
    pub const fn cmac_octets(self) -> Option<usize> {
        match self.0 & 0x0F {
            0 => Some(0),
            3 => Some(2),
            4 => Some(4),
            5 => Some(8),
            6 => Some(12),
            7 => Some(16),
            _ => None,
        }
    }
}

/// One AFL, borrowed from its telegram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Afl<'a> {
    /// The number of the fragment: 0 if the message is whole, else counted from 1.
    pub fragment: u8,
    /// Whether another fragment follows.
    pub more_fragments: bool,
    /// The message control field.
    pub control: Option<MessageControl>,
    /// The key information field: version, and number of the key.
    pub key: Option<[u8; 2]>,
    /// The message counter as on the wire, the low octet first.
    pub counter: Option<[u8; 4]>,
    /// The MAC; empty without one.
    pub mac: &'a [u8],
    /// Octets of the whole message.
    pub message_octets: Option<u16>,
    /// Octets of this layer, its CI field included.
    pub len: usize,
}

impl<'a> Afl<'a> {
    /// Reads the layer whose CI field is the first of `octets`, which stand at `offset`.
    ///
    /// # Errors
    ///
    /// [`MbusErrorKind::Truncated`], [`MbusErrorKind::Length`] if the length does not fit the
    /// fields that are said to be there, [`MbusErrorKind::Reserved`] for a reserved bit or a field
    /// in a fragment that must not have it.
    // clause: EN 13757-7, 6.3; OMS Volume 2, 6.3
    pub fn read(octets: &'a [u8], offset: usize) -> Result<Self, MbusError> {
        let at = |index: usize| offset.saturating_add(index);
        let truncated = MbusError::new(at(octets.len()), MbusErrorKind::Truncated, "AFL");
        let [_, length, rest @ ..] = octets else {
            return Err(truncated);
        };
        let fields = rest.get(..usize::from(*length)).ok_or(truncated)?;
        let wrong_length = MbusError::new(at(1), MbusErrorKind::Length, "AFLL");
        let mut fields = Fields(fields);
        let control = fields
            .take::<2>()
            .map(u16::from_le_bytes)
            .ok_or(wrong_length)?;
        let [fragment, _] = control.to_le_bytes();
        let reserved = MbusError::new(at(2), MbusErrorKind::Reserved, "AFL.FCL");
        let is_later = fragment > 1;
        let first_only = HAS_CONTROL | HAS_LENGTH | HAS_COUNTER | HAS_KEY;
        let has = |bit: u16| control & bit != 0;
        if has(RESERVED)
            || is_later && has(first_only)
            || has(MORE_FRAGMENTS) && (fragment == 0 || has(HAS_MAC))
        {
            return Err(reserved);
        }
        let message_control = fields.take_if::<1>(has(HAS_CONTROL)).ok_or(wrong_length)?;
        let key = fields.take_if::<2>(has(HAS_KEY)).ok_or(wrong_length)?;
        let counter = fields.take_if::<4>(has(HAS_COUNTER)).ok_or(wrong_length)?;
        let length_octets = if has(HAS_LENGTH) { 2 } else { 0 };
        let (mac, mut after) = fields
            .split_before_last(length_octets)
            .ok_or(wrong_length)?;
        if mac.is_empty() == has(HAS_MAC) {
            return Err(wrong_length);
        }
        let message_octets = after.take_if::<2>(has(HAS_LENGTH)).ok_or(wrong_length)?;
        Ok(Self {
            fragment,
            more_fragments: has(MORE_FRAGMENTS),
            control: message_control.map(|[octet]| MessageControl(octet)),
            key,
            counter,
            mac,
            message_octets: message_octets.map(u16::from_le_bytes),
            len: usize::from(*length).saturating_add(2),
        })
    }

    /// Whether it is a part of a message in more than one telegram.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.fragment != 0
    }
}

/// The fields of the layer, taken from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*found)
    }

    /// The field if it is there; none if it should be and the octets end.
    fn take_if<const N: usize>(&mut self, is_there: bool) -> Option<Option<[u8; N]>> {
        if is_there {
            self.take().map(Some)
        } else {
            Some(None)
        }
    }

    /// All but the last `octets`, and those.
    fn split_before_last(self, octets: usize) -> Option<(&'a [u8], Self)> {
        let at = self.0.len().checked_sub(octets)?;
        let (before, after) = self.0.split_at_checked(at)?;
        Some((before, Self(after)))
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn the_layer_of_a_published_telegram_reads_as_its_text_says() {
        // CEN/TR 17167, F.3.
        let octets = hex!("900F002C25B30A000021924D4F2FB66E017A75");
        let afl = Afl::read(&octets, 0).unwrap();
        assert!(!afl.is_fragment());
        assert_eq!(afl.control.unwrap().cmac_octets(), Some(8));
        assert_eq!(afl.counter, Some(hex!("B30A0000")));
        assert_eq!(afl.mac, hex!("21924D4F2FB66E01"));
        assert_eq!((afl.len, octets[afl.len]), (17, 0x7A));
        for end in 0..17 {
            assert!(Afl::read(&octets[..end], 0).is_err(), "{end}");
        }
    }

    #[test]
    fn fragments_carry_what_their_place_allows() {
        let first = Afl::read(&hex!("9009017865B40A00004E0072"), 0).unwrap();
        assert_eq!((first.fragment, first.more_fragments), (1, true));
        assert_eq!(first.message_octets, Some(0x4E));
        let second = Afl::read(&hex!("900A02049E0E75FAC389F38AA1"), 0).unwrap();
        assert_eq!((second.fragment, second.more_fragments), (2, false));
        assert_eq!(second.mac.len(), 8);
        // A counter in a second fragment, a MAC before the last, a reserved bit.
        for wrong in [
            &hex!("900602080000000000")[..],
            &hex!("900A01440000000000000000"),
            &hex!("90020081"),
        ] {
            assert_eq!(
                Afl::read(wrong, 0).unwrap_err().kind,
                MbusErrorKind::Reserved
            );
        }
        // Too short and too long for what it says.
        for wrong in [&hex!("9003002C25")[..], &hex!("900400200000")] {
            assert_eq!(Afl::read(wrong, 0).unwrap_err().kind, MbusErrorKind::Length);
        }
    }
}
