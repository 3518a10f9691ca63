//! Single records of a telegram: their octets, and what the outward form says of them.

use serde_json::{Value, json};

use super::address::bcd;
use super::date::Civil;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    octets: Vec<u8>,
    quantity: &'static str,
    unit: &'static str,
    value: String,
    storage: u8,
    /// When the value was valid; none of a date itself.
    at: Option<String>,
}

/// A number times a power of ten, without zeros at the end of its fraction.
fn decimal(number: u32, exponent: i8) -> String {
    let digits = number.to_string();
    let places = usize::from(exponent.unsigned_abs());
    if number == 0 || exponent == 0 {
        return digits;
    }
    if exponent > 0 {
        return digits + &"0".repeat(places);
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len().saturating_sub(places));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

impl Record {
    fn number(
        (head, data): ([u8; 2], &[u8]),
        (quantity, unit): (&'static str, &'static str),
        value: String,
    ) -> Self {
        Self {
            octets: [&head, data].concat(),
            quantity,
            unit,
            value,
            storage: 0,
            at: None,
        }
    }

    /// A volume in 0.01 m³, in eight digits of BCD.
    pub(super) fn volume_bcd(volume: u32) -> Self {
        let data = bcd(volume);
        let value = decimal(volume, -2);
        Self::number(([0x0C, 0x14], &data), ("volume", "m3"), value)
    }

    /// A volume in litres.
    pub(super) fn volume(litres: u32) -> Self {
        let data = litres.to_le_bytes();
        let value = decimal(litres, -3);
        Self::number(([0x04, 0x13], &data), ("volume", "m3"), value)
    }

    /// A flow in litres an hour.
    pub(super) fn flow(litres: u16) -> Self {
        let data = litres.to_le_bytes();
        let value = decimal(litres.into(), -3);
        Self::number(([0x02, 0x3B], &data), ("volume_flow", "m3/h"), value)
    }

    /// An energy in kWh.
    pub(super) fn energy(kilowatt_hours: u32) -> Self {
        let data = kilowatt_hours.to_le_bytes();
        let value = decimal(kilowatt_hours, 3);
        Self::number(([0x04, 0x06], &data), ("energy", "Wh"), value)
    }

    /// A power in W.
    pub(super) fn power(watts: u16) -> Self {
        let data = watts.to_le_bytes();
        let value = decimal(watts.into(), 0);
        Self::number(([0x02, 0x2B], &data), ("power", "W"), value)
    }

    /// The temperature of what flows in, in tenths of a degree.
    pub(super) fn flow_temperature(tenths: u16) -> Self {
        let data = tenths.to_le_bytes();
        let value = decimal(tenths.into(), -1);
        Self::number(([0x02, 0x5A], &data), ("flow_temperature", "degC"), value)
    }

    /// What the meter finds wrong with itself.
    pub(super) fn error_flags(flags: u16) -> Self {
        let [low, high] = flags.to_le_bytes();
        let value = flags.to_string();
        Self::number(
            ([0x02, 0xFD], &[0x17, low, high]),
            ("error_flags", ""),
            value,
        )
    }

    /// A date with its minute.
    pub(super) fn minute(at: Civil) -> Self {
        let data = at.type_f();
        Self::number(([0x04, 0x6D], &data), ("date_time", ""), at.to_minute())
    }

    /// A date with its second.
    pub(super) fn second(at: Civil) -> Self {
        let data = at.type_i();
        Self::number(([0x06, 0x6D], &data), ("date_time", ""), at.to_second())
    }

    /// A date.
    pub(super) fn date(at: Civil) -> Self {
        Self::number(([0x02, 0x6C], &at.type_g()), ("date", ""), at.date())
    }

    /// The same, as valid at a time that the telegram names.
    pub(super) fn valid_at(self, at: &str) -> Self {
        Self {
            at: Some(at.to_owned()),
            ..self
        }
    }

    /// The same in the first storage, which keeps a value of before.
    pub(super) fn stored(mut self) -> Self {
        self.storage = 1;
        if let Some(information) = self.octets.first_mut() {
            *information |= 0x40;
        }
        self
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(super) fn json(&self) -> Value {
        let mut object = json!({
            "quantity": self.quantity,
            "unit": self.unit,
            "value": self.value,
            "storage": self.storage,
            "tariff": 0,
            "subunit": 0,
            "function": "instantaneous",
        });
        if let (Some(at), Some(fields)) = (&self.at, object.as_object_mut()) {
            fields.insert("at".to_owned(), at.as_str().into());
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_exactly_and_without_idle_zeros() {
        for (number, exponent, text) in [
            (2_850_427, -2, "28504.27"),
            (2_850_420, -2, "28504.2"),
            (2_850_400, -2, "28504"),
            (7, -3, "0.007"),
            (0, -3, "0"),
            (0, 3, "0"),
            (12_345, 3, "12345000"),
            (655, -1, "65.5"),
            (1_234, 0, "1234"),
        ] {
            assert_eq!(decimal(number, exponent), text);
        }
    }

    #[test]
    fn a_stored_record_is_marked_in_its_first_octet() {
        let record = Record::volume_bcd(2_850_300).stored();
        assert_eq!(record.octets(), [0x4C, 0x14, 0x00, 0x03, 0x85, 0x02]);
        assert_eq!(record.json()["storage"], 1);
        assert_eq!(record.json()["value"], "28503");
    }
}
