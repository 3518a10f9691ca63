//! How key files and people write the address of a meter.

use crate::keyring::hex;
use crate::wire::mbus::address::{Address, Identification, Manufacturer};

/// A text that names no meter. The text is not repeated: in a table whose columns are mixed up it
/// may be a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a meter is its maker, identification, version and device type, as in ELS-12345678-33-03, or \
     its address in the order of the link, 16 hexadecimal digits"
)]
pub struct NoMeter;

/// Reads the form that an address is shown in, or its 16 hexadecimal digits in the order of the
/// link. A maker with a flag above its letters, or with five bits that are no letter, can only be
/// written in digits.
///
/// # Errors
///
/// [`NoMeter`].
pub fn parse_meter(text: &str) -> Result<Address, NoMeter> {
    if let Some(octets) = hex::read_8(text) {
        return Ok(Address::from_link_order(octets));
    }
    let mut parts = text.split('-');
    let mut part = || parts.next().ok_or(NoMeter);
    let manufacturer = Manufacturer::from_letters(part()?).ok_or(NoMeter)?;
    let mut id: [u8; 4] = octets(part()?)?;
    id.reverse();
    let [version] = octets(part()?)?;
    let [device_type] = octets(part()?)?;
    if parts.next().is_some() {
        return Err(NoMeter);
    }
    Ok(Address {
        manufacturer,
        id: Identification::new(id),
        version,
        device_type,
    })
}

fn octets<const N: usize>(text: &str) -> Result<[u8; N], NoMeter> {
    let (octets, used) = hex::read(text.as_bytes()).ok_or(NoMeter)?;
    let found = octets.first_chunk::<N>().filter(|_| used == N);
    found.copied().ok_or(NoMeter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_meter_and_nothing_else_is_read() {
        let meter = parse_meter("ELS-12345678-33-03").unwrap();
        // OMS Volume 2 Annex N, N.2.1: the address as it is on the air.
        assert_eq!(
            meter.link_order(),
            [0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03]
        );
        assert_eq!(parse_meter("9315785634123303"), Ok(meter));
        assert_eq!(parse_meter(&meter.to_string()), Ok(meter));
        for wrong in [
            "",
            "ELS",
            "els-12345678-33-03",
            "ELS-1234567-33-03",
            "ELS-12345678-33",
            "ELS-12345678-33-3",
            "ELS-12345678-33-03-00",
            "ELS-12345678--03",
            "931578563412330",
            "93157856341233030",
        ] {
            assert_eq!(parse_meter(wrong), Err(NoMeter), "{wrong}");
        }
    }
}
