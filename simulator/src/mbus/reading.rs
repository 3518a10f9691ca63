//! What a meter says in one telegram.

use serde_json::{Value, json};

use super::date::Civil;
use super::record::Record;

/// What a meter measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Volume in 0.01 m³.
    Gas,
    /// Volume in litres, and a flow.
    Water,
    /// Energy in kWh, a power and a temperature.
    Heat,
}

impl Medium {
    /// The device type of its meters.
    #[must_use]
    pub const fn device_type(self) -> u8 {
        match self {
            Self::Gas => 3,
            Self::Heat => 4,
            Self::Water => 7,
        }
    }
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub medium: Medium,
    /// The register, in its medium's unit: 0 to 99,999,999.
    pub register: u32,
    /// What the register showed at the end of yesterday.
    pub stored: u32,
    /// What flows: litres an hour of water, W of heat.
    pub flow: u16,
    /// When, UTC seconds.
    pub at_utc_s: u32,
}

const DAY_S: u32 = 86_400;

impl Reading {
    fn records(&self) -> Vec<Record> {
        let at = Civil::of_utc(self.at_utc_s);
        let yesterday = Civil::of_utc(self.at_utc_s.saturating_sub(DAY_S));
        let day = yesterday.date();
        let (time, moment) = match self.medium {
            Medium::Gas | Medium::Heat => (Record::minute(at), at.to_minute()),
            Medium::Water => (Record::second(at), at.to_second()),
        };
        let now = |record: Record| record.valid_at(&moment);
        let then = |record: Record| record.stored().valid_at(&day);
        match self.medium {
            Medium::Gas => vec![
                now(Record::volume_bcd(self.register)),
                time,
                then(Record::volume_bcd(self.stored)),
                Record::date(yesterday).stored(),
                now(Record::error_flags(0)),
            ],
            Medium::Water => vec![
                now(Record::volume(self.register)),
                time,
                now(Record::flow(self.flow)),
                then(Record::volume(self.stored)),
                Record::date(yesterday).stored(),
            ],
            Medium::Heat => vec![
                now(Record::energy(self.register)),
                time,
                now(Record::power(self.flow)),
                now(Record::flow_temperature(400 + self.flow % 400)),
            ],
        }
    }

    /// The application layer in clear.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let records = self.records();
        let octets = records.iter().flat_map(Record::octets);
        octets.copied().collect()
    }

    /// The object that an outward record has as its value.
    #[must_use]
    pub fn value(&self) -> Value {
        let records: Vec<Value> = self.records().iter().map(Record::json).collect();
        json!({ "records": records, "opaque": [] })
    }

    /// The time of the reading by the meter's own clock, as precise as the telegram tells it.
    #[must_use]
    pub fn measured_local(&self) -> String {
        let at = Civil::of_utc(self.at_utc_s);
        match self.medium {
            Medium::Gas | Medium::Heat => at.to_minute(),
            Medium::Water => at.to_second(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn a_gas_meter_says_its_volume_its_time_and_what_it_was_yesterday() {
        let reading = Reading {
            medium: Medium::Gas,
            register: 2_850_427,
            stored: 2_850_300,
            flow: 0,
            at_utc_s: 1_212_277_800,
        };
        let octets = hex!("0C1427048502 046D32371F15 4C1400038502 426C1E15 02FD170000");
        assert_eq!(reading.octets(), octets);
        assert_eq!(reading.measured_local(), "2008-05-31T23:50");
        let value = reading.value();
        assert_eq!(value["records"][0]["value"], "28504.27");
        assert_eq!(value["records"][0]["at"], "2008-05-31T23:50");
        assert_eq!(value["records"][2]["value"], "28503");
        assert_eq!(value["records"][2]["at"], "2008-05-30");
        assert_eq!(value["records"][3]["value"], "2008-05-30");
    }
}
