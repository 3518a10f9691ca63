//! The CRC of EN 13757: polynomial 3D65h, begun with 0, not reflected, inverted at the end.
//!
//! One function for the blocks of the wireless link, the payload of an extended link layer, format
//! signatures and whole-frame checks of compact frames.

/// The polynomial, EN 13757-4.
const POLYNOMIAL: u16 = 0x3D65;

const TABLE: [u16; 256] = table();

#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "it runs while this is compiled, where both are errors of the build"
)]
const fn table() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut octet = 0_u16;
    while octet < 256 {
        let mut crc = octet << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= POLYNOMIAL;
            }
            bit += 1;
        }
        // cast: the loop ends at 256.
        table[octet as usize] = crc;
        octet += 1;
    }
    table
}

/// A CRC that is fed piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc(u16);

impl Crc {
    /// Takes more octets in.
    #[must_use]
    pub fn update(self, octets: &[u8]) -> Self {
        let step = |crc: u16, octet: &u8| {
            let [high, low] = crc.to_be_bytes();
            let entry = TABLE.get(usize::from(high ^ octet)).copied();
            u16::from_be_bytes([low, 0]) ^ entry.unwrap_or_default()
        };
        Self(octets.iter().fold(self.0, step))
    }

    /// The check of all octets so far.
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.0
    }
}

/// The check of one string.
#[must_use]
pub fn crc(octets: &[u8]) -> u16 {
    Crc::default().update(octets).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_a_published_telegram_have_its_checks() {
        // OMS Volume 2 Annex N, N.2.1: the first two blocks with their CRC.
        let first = hex_literal::hex!("2E449315785634123303");
        let second = hex_literal::hex!("7A2A0020255923C95AAA26D1B2E7493B");
        assert_eq!(crc(&first), 0x3363);
        assert_eq!(crc(&second), 0xC2AD);
        assert_eq!(
            Crc::default()
                .update(&first[..3])
                .update(&first[3..])
                .finish(),
            0x3363
        );
    }
}
