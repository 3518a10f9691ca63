//! The wireless link of EN 13757-4: the first block, and the CRCs of format A.

use super::address::Address;

/// Octets of the first block: L, C, maker and address.
const FIRST: usize = 10;
/// Octets of every further block, the last one less.
const FURTHER: usize = 16;
/// The polynomial of EN 13757, without its highest bit.
const POLYNOMIAL: u16 = 0x3D65;
/// SND-NR: a meter sends without being asked, and waits for no answer.
const SEND_NO_REPLY: u8 = 0x44;

/// The check of a block.
fn crc(octets: &[u8]) -> u16 {
    let register = octets.iter().fold(0_u16, |register, octet| {
        (0..8).fold(register ^ u16::from(*octet) << 8, |register, _| {
            let shifted = register << 1;
            if register & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ POLYNOMIAL
            }
        })
    });
    !register
}

/// A telegram without CRCs. `content` is at most 246 octets; of more, the length would be wrong.
#[must_use]
pub(super) fn telegram(address: &Address, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len() + FIRST - 1).unwrap_or(u8::MAX);
    let head = [length, SEND_NO_REPLY];
    [&head, address.link_order().as_slice(), content].concat()
}

/// The same with a CRC behind each block, the high octet first.
#[must_use]
pub(super) fn with_checks(telegram: &[u8]) -> Vec<u8> {
    let first = telegram.get(..FIRST).unwrap_or(telegram);
    let rest = telegram.get(FIRST..).unwrap_or_default();
    let mut out = Vec::with_capacity(telegram.len() + 2 * telegram.len().div_ceil(FURTHER));
    for block in std::iter::once(first).chain(rest.chunks(FURTHER)) {
        out.extend_from_slice(block);
        out.extend_from_slice(&crc(block).to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn checks_stand_where_published_telegrams_have_them() {
        // OMS Volume 2 Annex N, N.2.1, without and with its CRCs.
        let plain = hex!(
            "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6D"
            "EFC99D6D69EBF3"
        );
        let checked = hex!(
            "2E44931578563412330333637A2A0020255923C95AAA26D1B2E7493BC2AD013EC4A6F6D3529B520E"
            "DFF0EA6DEFC955B29D6D69EBF3EC8A"
        );
        assert_eq!(with_checks(&plain), checked);
    }
}
