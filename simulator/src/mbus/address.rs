//! The address of a meter, and its forms.

use serde_json::{Value, json};

/// Who made a meter, its number, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// Three capital letters.
    pub manufacturer: [u8; 3],
    /// The identification, of which the last eight decimal digits count.
    pub identification: u32,
    /// The generation of the device.
    pub version: u8,
    /// The device type: 3 is gas, 4 heat, 7 water.
    pub device_type: u8,
}

impl Address {
    /// The maker's two octets as they are sent: five bits a letter.
    #[must_use]
    pub fn maker(&self) -> [u8; 2] {
        let letters = self.manufacturer.iter();
        let code = letters.fold(0_u16, |code, letter| {
            code << 5 | u16::from(letter.wrapping_sub(b'@') & 0x1F)
        });
        code.to_le_bytes()
    }

    /// The identification as it is sent: BCD, the lowest digits first.
    #[must_use]
    pub fn number(&self) -> [u8; 4] {
        bcd(self.identification)
    }

    /// Maker, identification, version and device type, as a wireless telegram sends them.
    #[must_use]
    pub fn link_order(&self) -> [u8; 8] {
        let ([m0, m1], [a, b, c, d]) = (self.maker(), self.number());
        [m0, m1, a, b, c, d, self.version, self.device_type]
    }

    /// `DMO-20000001-01-03`, as tables of keys name it.
    #[must_use]
    pub fn name(&self) -> String {
        let (digits, letters) = (self.digits(), self.letters());
        format!(
            "{letters}-{digits}-{:02X}-{:02X}",
            self.version, self.device_type
        )
    }

    /// The object of outward records.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "id": self.digits(),
            "manufacturer": self.letters(),
            "version": self.version,
            "device_type": self.device_type,
        })
    }

    fn digits(&self) -> String {
        format!("{:08}", self.identification % 100_000_000)
    }

    fn letters(&self) -> String {
        self.manufacturer
            .iter()
            .map(|letter| char::from(*letter))
            .collect()
    }
}

/// The last eight decimal digits of a number, two an octet, the lowest first.
#[must_use]
pub(super) fn bcd(number: u32) -> [u8; 4] {
    let mut rest = number;
    [(); 4].map(|()| {
        let pair = u8::try_from(rest % 100).unwrap_or(0);
        rest /= 100;
        ((pair / 10) << 4) | (pair % 10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_sent_as_in_published_telegrams() {
        let address = Address {
            manufacturer: *b"ELS",
            identification: 12_345_678,
            version: 0x33,
            device_type: 3,
        };
        let sent = [0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 3];
        assert_eq!(address.link_order(), sent);
        assert_eq!(address.name(), "ELS-12345678-33-03");
    }
}
