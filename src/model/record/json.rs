//! The JSON form of an outward record, written as text: see `protocol-spec/record-json.md`.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use crate::wire::otl::json::RecordForm;
use crate::wire::otl::limits::FRAME_MAX;
use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::otl::uplink::DamagedItem;
use crate::wire::writer::Writer;

use super::super::ids::Lane;
use super::{Content, OutwardRecord};

/// The name and version of the form.
pub const SCHEMA: &str = "kenshin.record/1";

const CRITICAL: u8 = 0x80;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl OutwardRecord<'_> {
    /// Appends the record as one JSON object without line breaks.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        put(out, "{\"schema\":\"");
        put(out, SCHEMA);
        put(out, "\",\"id\":\"");
        put_hex(out, &self.utility.octets());
        out.push(b'-');
        put_hex(out, &self.terminal.octets());
        out.push(b'-');
        put_hex(out, &self.epoch.to_be_bytes());
        number(out, "-", self.sequence);
        number(out, "-", self.index);
        number(out, "\",\"revision\":", self.revision());
        put(out, ",\"utility\":\"");
        put_hex(out, &self.utility.octets());
        put(out, "\",\"terminal\":\"");
        put_hex(out, &self.terminal.octets());
        put(
            out,
            match self.lane {
                Lane::Alarm => "\",\"lane\":\"alarm\",\"kind\":\"",
                Lane::Bulk => "\",\"lane\":\"bulk\",\"kind\":\"",
            },
        );
        put(out, self.kind());
        number(out, "\",\"epoch\":", self.epoch);
        number(out, ",\"sequence\":", self.sequence);
        if let Some(meter) = self.meter() {
            number(out, ",\"meter\":{\"slot\":", meter.slot());
            number(out, ",\"generation\":", meter.generation());
            out.push(b'}');
        }
        if let Some(measured) = self.measured {
            put(out, ",\"measured_at\":\"");
            instant(out, measured.utc_s);
            out.push(b'"');
            if let Some(uncertainty_s) = measured.uncertainty_s {
                number(out, ",\"measured_uncertainty_s\":", uncertainty_s);
            }
        }
        put(out, ",\"received_at\":\"");
        instant(out, self.received_utc_s);
        number(
            out,
            "\",\"protocol\":\"otl/1\",\"security_mode\":",
            self.mode,
        );
        self.flags_json(out);
        put(out, ",\"value\":");
        self.value_json(out);
        put(out, ",\"raw\":\"");
        self.raw_hex(out);
        number(out, "\",\"position\":", self.position.get());
        number(out, ",\"decoder\":", self.revision());
        out.push(b'}');
    }

    fn flags_json(&self, out: &mut Vec<u8>) {
        let zone_assumed = self.measured.is_some_and(|measured| measured.zone_assumed);
        let names = self.flags.names();
        let names = names.chain(self.freshness_unproven.then_some("freshness_unproven"));
        let names = names.chain(zone_assumed.then_some("zone_assumed"));
        put(out, ",\"flags\":[");
        let mut separator = "\"";
        for name in names {
            put(out, separator);
            put(out, name);
            out.push(b'"');
            separator = ",\"";
        }
        out.push(b']');
    }

    fn value_json(&self, out: &mut Vec<u8>) {
        match self.content {
            Content::Decoded(record) => {
                let start = out.len();
                // A vector takes every octet, and no form has a key that is no text.
                if serde_json::to_writer(&mut *out, &RecordForm(record)).is_err() {
                    out.truncate(start);
                    put(out, "null");
                }
            }
            Content::Damaged(item) => damaged_json(out, item),
        }
    }

    /// The record as the terminal sent it: type octet, and the body without its sequence.
    fn raw_hex(&self, out: &mut Vec<u8>) {
        match self.content {
            Content::Decoded(record) => {
                let octets = octets_of(record);
                put_hex(out, &octets);
            }
            Content::Damaged(item) => {
                put_hex(out, &[item.number]);
                put_hex(out, &item.octets);
            }
        }
    }
}

/// A value has one encoding, and so these are the octets that it came in.
// spec: GEN-3
fn octets_of(record: &Record) -> Vec<u8> {
    let critical = match &record.body {
        RecordBody::Opaque(record) if record.critical() => CRITICAL,
        _ => 0,
    };
    let mut octets = Vec::with_capacity(128);
    octets.push(record.body.number() | critical);
    // What came out of a frame fits one.
    if record
        .body
        .encode(&mut Writer::new(&mut octets, FRAME_MAX))
        .is_err()
    {
        octets.clear();
    }
    octets
}

fn damaged_json(out: &mut Vec<u8>, item: &DamagedItem) {
    number(out, "{\"type\":\"undecodable\",\"number\":", item.number);
    put(out, ",\"reason\":\"");
    put(out, item.error.kind.id());
    number(out, "\",\"offset\":", item.error.offset);
    put(out, ",\"field\":\"");
    put(out, item.error.context);
    put(out, "\",\"octets\":\"");
    put_hex(out, &item.octets);
    put(out, "\"}");
}

pub(in crate::model) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

pub(in crate::model) fn put_hex(out: &mut Vec<u8>, octets: &[u8]) {
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?');
    out.reserve(octets.len().saturating_mul(2));
    for octet in octets {
        out.extend_from_slice(&[digit(octet >> 4), digit(octet & 0x0F)]);
    }
}

pub(in crate::model) fn number(out: &mut Vec<u8>, before: &str, value: impl core::fmt::Display) {
    // A vector takes every octet.
    let _written = write!(out, "{before}{value}");
}

pub(in crate::model) fn instant(out: &mut Vec<u8>, utc_s: u32) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    // Every u32 is an instant of the calendar, and a vector takes every octet.
    if let Ok(instant) = Timestamp::from_second(i64::from(utc_s)) {
        let _written = PRINTER.print_timestamp(&instant, &mut *out);
    }
}
