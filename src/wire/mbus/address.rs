//! Who a meter is: manufacturer, identification, version and device type, eight octets on the wire.

use core::fmt;

/// The manufacturer field: three letters of five bits, and a flag above them.
// clause: EN 13757-7, 7.5.2
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Manufacturer(u16);

impl Manufacturer {
    /// A field as it stands on the wire, read little-endian.
    #[must_use]
    pub const fn new(field: u16) -> Self {
        Self(field)
    }

    /// The field.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Its three letters. A value of five bits that is no letter gives a character between `@` and
    /// `_`, as on the wire.
    #[must_use]
    pub fn letters(self) -> [u8; 3] {
        let letter = |shift: u32| {
            let five = (self.0 >> shift) & 0x1F;
            u8::try_from(five).unwrap_or_default() | 0x40
        };
        [letter(10), letter(5), letter(0)]
    }

    /// The manufacturer with three capital letters; none for any other text.
    #[must_use]
    pub fn from_letters(letters: &str) -> Option<Self> {
        let [a, b, c] = <[u8; 3]>::try_from(letters.as_bytes()).ok()?;
        let five = |letter: u8| {
            letter
                .is_ascii_uppercase()
                .then(|| u16::from(letter & 0x1F))
        };
        Some(Self(five(a)? << 10 | five(b)? << 5 | five(c)?))
    }
}

impl fmt::Display for Manufacturer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters()
            .iter()
            .try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

/// The identification: four octets, eight decimal digits as a rule. Digits A to F are legal in the
/// field, in meters without a number and in those of some makers, so nothing is made of them here.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identification([u8; 4]);

impl Identification {
    /// Four octets as on the wire, the lowest digits first.
    #[must_use]
    pub const fn new(octets: [u8; 4]) -> Self {
        Self(octets)
    }

    /// The octets as on the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", u32::from_le_bytes(self.0))
    }
}

/// The whole address of a meter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    /// The maker.
    pub manufacturer: Manufacturer,
    /// The identification.
    pub id: Identification,
    /// The version, the maker's own.
    pub version: u8,
    /// The device type as on the wire.
    pub device_type: u8,
}

impl Address {
    /// An address in the order of the link layer: `M[2] ID[4] V T`.
    // clause: EN 13757-4, 12.5
    #[must_use]
    pub const fn from_link_order(octets: [u8; 8]) -> Self {
        let [m0, m1, i0, i1, i2, i3, version, device_type] = octets;
        Self {
            manufacturer: Manufacturer::new(u16::from_le_bytes([m0, m1])),
            id: Identification::new([i0, i1, i2, i3]),
            version,
            device_type,
        }
    }

    /// An address in the order of a long transport header: `ID[4] M[2] V T`.
    // clause: EN 13757-7, 7.5.1
    #[must_use]
    pub const fn from_transport_order(octets: [u8; 8]) -> Self {
        let [i0, i1, i2, i3, m0, m1, version, device_type] = octets;
        Self::from_link_order([m0, m1, i0, i1, i2, i3, version, device_type])
    }

    /// The octets in the order of the link layer.
    #[must_use]
    pub const fn link_order(self) -> [u8; 8] {
        let [m0, m1] = self.manufacturer.get().to_le_bytes();
        let [i0, i1, i2, i3] = self.id.octets();
        [m0, m1, i0, i1, i2, i3, self.version, self.device_type]
    }

    /// The octets in the order of a long transport header.
    #[must_use]
    pub const fn transport_order(self) -> [u8; 8] {
        let [m0, m1, i0, i1, i2, i3, version, device_type] = self.link_order();
        [i0, i1, i2, i3, m0, m1, version, device_type]
    }
}

impl fmt::Display for Address {
    /// As people and key files write it: `ELS-12345678-33-03`, the last two hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            manufacturer,
            id,
            version,
            device_type,
        } = self;
        write!(f, "{manufacturer}-{id}-{version:02X}-{device_type:02X}")
    }
}

/// The name of a device type; none for those that are reserved.
// clause: EN 13757-7, table 13; OMS Volume 2, table 2
#[must_use]
pub const fn device_type_name(device_type: u8) -> Option<&'static str> {
    Some(match device_type {
        0x00 => "other",
        0x01 => "oil",
        0x02 => "electricity",
        0x03 => "gas",
        0x04 => "heat",
        0x05 => "steam",
        0x06 => "warm_water",
        0x07 => "water",
        0x08 => "heat_cost_allocator",
        0x09 => "compressed_air",
        0x0A => "cooling_outlet",
        0x0B => "cooling_inlet",
        0x0C => "heat_inlet",
        0x0D => "heat_cooling",
        0x0E => "bus_system",
        0x0F => "unknown",
        0x10 => "irrigation_water",
        0x11 => "water_data_logger",
        0x12 => "gas_data_logger",
        0x13 => "gas_converter",
        0x14 => "calorific_value",
        0x15 => "hot_water",
        0x16 => "cold_water",
        0x17 => "dual_water",
        0x18 => "pressure",
        0x19 => "ad_converter",
        0x1A => "smoke_detector",
        0x1B => "room_sensor",
        0x1C => "gas_detector",
        0x20 => "breaker",
        0x21 => "valve",
        0x25 => "customer_unit",
        0x28 => "waste_water",
        0x29 => "garbage",
        0x2A => "carbon_dioxide",
        0x31 => "communication_controller",
        0x32 => "unidirectional_repeater",
        0x33 => "bidirectional_repeater",
        0x36 => "radio_converter_system",
        0x37 => "radio_converter_meter",
        0x38 => "bus_converter_wired",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_in_both_orders_and_shows_hexadecimal_digits_of_an_identification() {
        let link = hex_literal::hex!("9315785634123303");
        let address = Address::from_link_order(link);
        assert_eq!(address.to_string(), "ELS-12345678-33-03");
        assert_eq!(address.link_order(), link);
        assert_eq!(
            Address::from_transport_order(address.transport_order()),
            address
        );
        assert_eq!(
            Manufacturer::from_letters("ELS"),
            Some(address.manufacturer)
        );
        assert_eq!(Manufacturer::from_letters("els"), None);
        let unprogrammed = Identification::new([0xFF, 0xAB, 0x34, 0x12]);
        assert_eq!(unprogrammed.to_string(), "1234ABFF");
    }
}
