//! The outward record of a telegram: see `protocol-spec/record-json.md`.
//!
//! A telegram gives one record, and its records of values stand within it: a telegram is heard, or
//! kept, as a whole. All of it is a function of the frame in the log and of the decoder, so that a
//! redelivery or a second sink says the same under the same id.

use super::ids::{Lane, Lsn};
use super::record::SCHEMA;
use super::record::json::{instant, number, put, put_hex};
use super::telegram::{TELEGRAM_DECODER_VERSION, Telegram};
use crate::session::mbus::Verified;
use crate::wire::mbus::app::{Body, DateTime, Function, Item, Precision, Record, Value, json};

/// What was found while a value was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ValueFacts {
    /// When the meter says that it measured, by its own clock, whose zone nobody tells.
    pub measured: Option<DateTime>,
    /// Whether nothing of the application layer is understood.
    pub is_opaque: bool,
}

/// The VIF of a date with a time.
const DATE_TIME: u8 = 0x6D;
/// The CI field of a full frame with a short header, as which expanded compact frames are read.
const FULL_FRAME: u8 = 0x7A;

/// Writes the application layer of a telegram as a JSON object: `records`, `opaque`, and what
/// `wire::mbus::app::json` adds.
pub fn telegram_value_json(telegram: &Telegram<'_>, out: &mut String) -> ValueFacts {
    let (ci, payload) = match telegram.expanded {
        Some(records) => (FULL_FRAME, records),
        None => (telegram.ci, telegram.payload),
    };
    out.push('{');
    let facts = match Body::read(ci, telegram.is_wired, payload) {
        Ok(body) => {
            json::write_body(out, ci, &body);
            ValueFacts {
                measured: measured(&body),
                is_opaque: matches!(body, Body::Opaque { .. } | Body::Compact(_)),
            }
        }
        Err(_) => {
            out.push_str("\"records\":[],\"opaque\":[");
            json::write_opaque(out, "unreadable", Some(ci), payload);
            out.push(']');
            ValueFacts {
                measured: None,
                is_opaque: true,
            }
        }
    };
    out.push('}');
    facts
}

/// The first minute or second that the meter's clock says.
fn measured(body: &Body<'_>) -> Option<DateTime> {
    let Body::Records { records, .. } = body else {
        return None;
    };
    let mut found = (*records).filter_map(|item| match item {
        Ok(Item::Record(record)) => moment_of(&record),
        _ => None,
    });
    found.next()
}

fn moment_of(record: &Record<'_>) -> Option<DateTime> {
    let is_present = record.storage == 0 && record.tariff == 0 && record.subunit == 0;
    // A VIFE, or a maximum, makes it the time of something else.
    let is_clock = record.vif == DATE_TIME && record.vifes.is_empty();
    if !(is_present && is_clock && record.function() == Function::Instantaneous) {
        return None;
    }
    match record.value(&record.meaning()) {
        Value::DateTime(at) if at.is_moment() && at.year.is_some() => {
            matches!(at.precision, Precision::Minute | Precision::Second).then_some(at)
        }
        _ => None,
    }
}

/// What kind of record a telegram with this CI field gives.
// clause: EN 13757-7, table 2
const fn kind_of(ci: u8, is_opaque: bool) -> &'static str {
    match ci {
        0x6E..=0x70 => "application_error",
        0x71 | 0x74 | 0x75 => "meter_alarm",
        _ if is_opaque => "opaque",
        _ => "meter_data",
    }
}

/// Appends the record of a telegram as one JSON object without line breaks. `position` is that of
/// its frame.
pub fn write_telegram_json(position: Lsn, telegram: &Telegram<'_>, out: &mut Vec<u8>) {
    let mut value = String::with_capacity(telegram.payload.len().saturating_mul(8));
    let facts = telegram_value_json(telegram, &mut value);
    put_name(out, telegram);
    put(
        out,
        match telegram.lane() {
            Lane::Alarm => ",\"lane\":\"alarm\",\"kind\":\"",
            Lane::Bulk => ",\"lane\":\"bulk\",\"kind\":\"",
        },
    );
    put(out, kind_of(telegram.ci, facts.is_opaque));
    out.push(b'"');
    put_carriage(out, telegram);
    if let Some(measured) = facts.measured {
        let mut text = String::new();
        // A string takes all that is written.
        measured.write(&mut text).ok();
        put(out, ",\"measured_local\":\"");
        put(out, &text);
        out.push(b'"');
    }
    put_security(out, telegram);
    put(
        out,
        match (
            telegram.security.clear_tail_octets,
            telegram.security.withheld_octets,
        ) {
            (0, 0) => ",\"flags\":[],\"value\":",
            (0, _) => ",\"flags\":[\"tail_withheld\"],\"value\":",
            _ => ",\"flags\":[\"clear_tail\"],\"value\":",
        },
    );
    put(out, &value);
    put(out, ",\"raw\":\"");
    put_hex(out, &[telegram.ci]);
    put_hex(out, telegram.payload);
    number(out, "\",\"position\":", position.get());
    number(out, ",\"decoder\":", TELEGRAM_DECODER_VERSION);
    out.push(b'}');
}

/// The first decoder whose records have ids by the time when they were heard. A record keeps its
/// id.
const OWN_IDS_DECODER: u16 = 2;

fn put_name(out: &mut Vec<u8>, telegram: &Telegram<'_>) {
    let (utility, meter) = (telegram.utility.octets(), telegram.meter.link_order());
    put(out, "{\"schema\":\"");
    put(out, SCHEMA);
    put(out, "\",\"id\":\"");
    put_hex(out, &utility);
    out.push(b'-');
    put_hex(out, &meter);
    if telegram.decoder < OWN_IDS_DECODER {
        number(out, "-", format_args!("{:012x}", telegram.received_utc_ms));
        number(out, "-", format_args!("{:08x}", telegram.digest >> 32));
    } else {
        // With one digest and one time they would be copies, of which one is durable.
        number(out, "-", format_args!("{:012x}", telegram.at_utc_ms()));
        number(out, "-", format_args!("{:016x}", telegram.digest));
    }
    number(out, "-0\",\"revision\":", TELEGRAM_DECODER_VERSION);
    put(out, ",\"utility\":\"");
    put_hex(out, &utility);
    put(out, "\",\"terminal\":\"");
    put_hex(out, &meter);
    let address = telegram.meter;
    number(out, "\",\"address\":{\"id\":\"", address.id);
    number(out, "\",\"manufacturer\":\"", Letters(address.manufacturer));
    number(out, "\",\"version\":", address.version);
    number(out, ",\"device_type\":", address.device_type);
    out.push(b'}');
}

/// The letters of a maker as JSON: five bits may be no letter, and one of those would be read as
/// the begin of an escape.
struct Letters(crate::wire::mbus::address::Manufacturer);

impl core::fmt::Display for Letters {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for letter in self.0.letters() {
            if letter == b'\\' {
                f.write_str("\\")?;
            }
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

fn put_carriage(out: &mut Vec<u8>, telegram: &Telegram<'_>) {
    // A name has no character that JSON would escape.
    put(out, ",\"gateway\":\"");
    put(out, telegram.gateway);
    put(out, "\",\"carriage\":\"");
    put(out, telegram.carriage.id());
    put(out, "\",\"custody\":\"");
    put(out, telegram.carriage.custody());
    out.push(b'"');
    if let Some(rssi_dbm) = telegram.rssi_dbm {
        number(out, ",\"rssi_dbm\":", rssi_dbm);
    }
    if let Some(heard) = telegram.heard_utc_ms {
        put_instant(out, "heard_at", seconds(heard));
    }
    put_instant(out, "received_at", seconds(telegram.received_utc_ms));
}

fn put_security(out: &mut Vec<u8>, telegram: &Telegram<'_>) {
    let security = &telegram.security;
    number(
        out,
        ",\"protocol\":\"mbus\",\"security_mode\":",
        security.mode,
    );
    put(out, ",\"verified\":\"");
    put(out, security.verified.id());
    out.push(b'"');
    if security.verified == Verified::None {
        put(out, ",\"quality\":\"unauthenticated\"");
    }
    if let Some(counter) = security.counter {
        number(out, ",\"counter\":", counter);
    }
    if let Some(access_number) = telegram.access_number {
        number(out, ",\"access_number\":", access_number);
    }
    if let Some(status) = telegram.status {
        number(out, ",\"status\":", status);
    }
}

fn put_instant(out: &mut Vec<u8>, name: &str, utc_s: u32) {
    put(out, ",\"");
    put(out, name);
    put(out, "\":\"");
    instant(out, utc_s);
    out.push(b'"');
}

fn seconds(utc_ms: u64) -> u32 {
    u32::try_from(utc_ms / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::telegram::tests::told;
    use crate::session::mbus::Security;

    fn text(telegram: &Telegram<'_>) -> String {
        let mut out = Vec::new();
        write_telegram_json(Lsn::new(7), telegram, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_keeps_the_id_that_its_first_decoder_gave_it() {
        let old = Telegram {
            decoder: 1,
            ..told()
        };
        assert!(text(&old).contains("9315785634123303-01a220630c00-11223344-0\""));
    }

    #[test]
    fn the_record_of_a_telegram_has_this_form() {
        let expected = "{\"schema\":\"kenshin.record/1\",\"id\":\"676173776f726b73-\
            9315785634123303-01a220630800-1122334455667788-0\",\"revision\":2,\
            \"utility\":\"676173776f726b73\",\
            \"terminal\":\"9315785634123303\",\"address\":{\"id\":\"12345678\",\
            \"manufacturer\":\
            \"ELS\",\"version\":51,\"device_type\":3},\"lane\":\"bulk\",\"kind\":\"meter_data\",\
            \"gateway\":\"roof\",\"carriage\":\"tcp\",\"custody\":\"acknowledged\",\
            \"rssi_dbm\":-87,\
            \"heard_at\":\"2026-11-28T04:21:30Z\",\"received_at\":\"2026-11-28T04:21:31Z\",\
            \"protocol\":\"mbus\",\"security_mode\":7,\"verified\":\"mac\",\"counter\":16909060,\
            \"access_number\":42,\"status\":4,\"flags\":[],\"value\":{\"records\":[{\
            \"quantity\":\"volume\",\"unit\":\"m3\",\"value\":\"28504.27\",\
            \"storage\":0,\"tariff\":0,\
            \"subunit\":0,\"function\":\"instantaneous\"}],\"opaque\":[]},\
            \"raw\":\"7afd0b27048502\",\"position\":7,\
            \"decoder\":2}";
        let now = Telegram {
            decoder: TELEGRAM_DECODER_VERSION,
            ..told()
        };
        let text = text(&now);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn what_came_in_clear_says_that_nobody_vouches_for_it_and_the_id_knows_no_position() {
        let clear = Telegram {
            security: Security {
                verified: Verified::None,
                counter: None,
                key: None,
                ..told().security
            },
            ci: 0x74,
            ..told()
        };
        let text = text(&clear);
        assert!(text.contains("\"verified\":\"none\",\"quality\":\"unauthenticated\""));
        assert!(text.contains("\"lane\":\"alarm\",\"kind\":\"meter_alarm\""));
        let mut moved = Vec::new();
        write_telegram_json(Lsn::new(99), &clear, &mut moved);
        let id = |text: &str| text.split_once("\"revision\"").unwrap().0.to_owned();
        assert_eq!(id(&text), id(&String::from_utf8(moved).unwrap()));
    }
}
