//! The CRC of EN 13757: polynomial 3D65h, begun with 0, not reflected, inverted at the end.
//!
//! One function for the blocks of the wireless link, the payload of an extended link layer, format
//! signatures and whole-frame checks of compact frames.

/// The polynomial, EN 13757-4.
const POLYNOMIAL: u16 = 0x3D65;

/// How many octets are taken in at once.
const STRIDE: usize = 8;

/// What an octet adds to a CRC, by how many octets of its stride follow it. Eight look-ups that do
/// not wait for each other are several times as fast as eight in turn, and each telegram that
/// comes without CRCs is checked for those that it might have.
static TABLES: [[u16; 256]; STRIDE] = tables();

#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "it runs while this is compiled, where both are errors of the build"
)]
const fn tables() -> [[u16; 256]; STRIDE] {
    let mut tables = [[0_u16; 256]; STRIDE];
    let mut octet = 0_u16;
    while octet < 256 {
        let mut crc = octet << 8;
        let mut follow = 0;
        while follow < STRIDE {
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
            tables[follow][octet as usize] = crc;
            follow += 1;
        }
        octet += 1;
    }
    tables
}

/// A CRC that is fed piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc(u16);

impl Crc {
    /// Takes more octets in.
    #[must_use]
    pub fn update(self, octets: &[u8]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        // An octet is always below the length of a table.
        let of = |table: &[u16; 256], octet: u8| {
            let entry = table.get(usize::from(octet)).copied();
            entry.unwrap_or_default()
        };
        let (strides, rest) = octets.as_chunks::<STRIDE>();
        let mut crc = self.0;
        for [a, b, c, d, e, f, g, h] in strides {
            let [high, low] = crc.to_be_bytes();
            crc = of(t7, high ^ a)
                ^ of(t6, low ^ b)
                ^ of(t5, *c)
                ^ of(t4, *d)
                ^ of(t3, *e)
                ^ of(t2, *f)
                ^ of(t1, *g)
                ^ of(t0, *h);
        }
        for octet in rest {
            let [high, low] = crc.to_be_bytes();
            crc = u16::from_be_bytes([low, 0]) ^ of(t0, high ^ octet);
        }
        Self(crc)
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

    #[test]
    fn strides_give_what_bits_one_by_one_give() {
        let octets: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(151) ^ 0x5A).collect();
        for len in 0..=octets.len() {
            let mut register = 0_u16;
            for octet in &octets[..len] {
                register ^= u16::from(*octet) << 8;
                for _ in 0..8 {
                    let carry = register & 0x8000 != 0;
                    register = register << 1 ^ if carry { 0x3D65 } else { 0 };
                }
            }
            assert_eq!(crc(&octets[..len]), !register, "{len}");
        }
    }
}
