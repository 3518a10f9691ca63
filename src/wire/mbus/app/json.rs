//! The JSON form, written straight into a string.

use core::fmt::Write as _;

use super::body::Body;
use super::compact::CompactFrame;
use super::date::{DateState, DateTime};
use super::fixed::{FixedCounter, FixedData};
use super::meaning::Meaning;
use super::profile::{Point, ProfileFault, ProfilesLeft};
use super::record::{Item, Record, RecordFault, Records};
use super::times::{Tags, Times};
use super::value::{Invalid, Text, Value};
use super::vife::Modifier;

/// What a walk came by besides records, to be written elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Rest<'a> {
    /// What is no record.
    pub faults: Vec<RecordFault>,
    /// Data of the manufacturer: where its DIF stands, its octets, whether more follows.
    pub manufacturer: Option<(usize, &'a [u8], bool)>,
    /// Where a demand for all records stands.
    pub global_readout: Option<usize>,
}

/// Writes a whole application layer as fields of an object, without its braces: `"records":[…],
/// "opaque":[…]`, then `"faults":[…]` if there are any, `"application_error":{…}` or
/// `"compact":{…}` for what has one.
pub fn write_body<'a>(out: &mut String, ci: u8, body: &Body<'a>) -> Rest<'a> {
    let mut rest = Rest::default();
    out.push_str("\"records\":[");
    match body {
        Body::Records { records, .. } => rest = write_records(out, *records),
        Body::Fixed(fixed) => write_fixed(out, fixed),
        _ => {}
    }
    out.push_str("],\"opaque\":[");
    match body {
        Body::Opaque { kind, octets } => write_opaque(out, kind.id(), Some(ci), octets),
        _ => write_rest(out, &rest),
    }
    out.push(']');
    if !rest.faults.is_empty() {
        out.push_str(",\"faults\":[");
        for (index, fault) in rest.faults.iter().enumerate() {
            separate(out, index);
            write_fault(out, fault);
        }
        out.push(']');
    }
    match body {
        Body::Error(error) => {
            out.push_str(",\"application_error\":{\"code\":");
            match error.code {
                Some(code) => write_number(out, u64::from(code)),
                None => out.push_str("null"),
            }
            sure(write!(out, ",\"name\":\"{}\"", error.name()));
            if !error.details.is_empty() {
                write_hex_field(out, "details", error.details);
            }
            out.push('}');
        }
        Body::Compact(frame) => {
            out.push_str(",\"compact\":");
            write_compact(out, frame);
        }
        Body::Format(format) => {
            sure(write!(
                out,
                ",\"format\":{{\"signature\":\"{:04x}\"",
                format.signature
            ));
            write_hex_field(out, "heads", format.heads);
            out.push('}');
        }
        _ => {}
    }
    rest
}

/// Writes a compact frame that waits for its format.
pub fn write_compact(out: &mut String, frame: &CompactFrame<'_>) {
    sure(write!(
        out,
        "{{\"signature\":\"{:04x}\",\"full_frame_crc\":\"{:04x}\"",
        frame.signature, frame.full_frame_crc
    ));
    write_hex_field(out, "hex", frame.data);
    out.push('}');
}

/// Writes what a walk came by and is no record: the demand for all of them, the manufacturer's
/// data.
fn write_rest(out: &mut String, rest: &Rest<'_>) {
    if let Some(offset) = rest.global_readout {
        sure(write!(
            out,
            "{{\"kind\":\"global_readout\",\"offset\":{offset}}}"
        ));
        if rest.manufacturer.is_some() {
            out.push(',');
        }
    }
    write_manufacturer(out, rest);
}

/// Writes the manufacturer's data of a walk, if there is any.
fn write_manufacturer(out: &mut String, rest: &Rest<'_>) {
    if let Some((offset, octets, more_follows)) = rest.manufacturer {
        sure(write!(
            out,
            "{{\"kind\":\"manufacturer\",\"offset\":{offset},\"hex\":\""
        ));
        write_hex(out, octets);
        out.push_str(if more_follows {
            "\",\"more_follows\":true}"
        } else {
            "\"}"
        });
    }
}

/// Writes octets whose inside is not read.
pub fn write_opaque(out: &mut String, kind: &str, ci: Option<u8>, octets: &[u8]) {
    sure(write!(out, "{{\"kind\":\"{kind}\""));
    if let Some(ci) = ci {
        sure(write!(out, ",\"ci\":{ci}"));
    }
    write_hex_field(out, "hex", octets);
    out.push('}');
}

/// Writes a fault.
pub fn write_fault(out: &mut String, fault: &RecordFault) {
    sure(write!(
        out,
        "{{\"offset\":{},\"at\":{},\"len\":{},\"reason\":\"{}\",\"ends_walk\":{}}}",
        fault.offset,
        fault.at,
        fault.len,
        fault.reason.id(),
        fault.ends_walk
    ));
}

/// Writes all records of a telegram, with commas and without brackets, the points of a load profile
/// as records of their own.
pub fn write_records<'a>(out: &mut String, records: Records<'a>) -> Rest<'a> {
    let telegram = records.restart();
    let times = Times::of(telegram);
    let mut rest = Rest::default();
    let mut written = Written::default();
    for item in telegram {
        match item {
            Ok(Item::Record(record)) => {
                write_item(out, &record, telegram, &times, &mut written);
            }
            Ok(Item::Manufacturer {
                offset,
                octets,
                more_follows,
            }) => rest.manufacturer = Some((offset, octets, more_follows)),
            Ok(Item::GlobalReadout { offset }) => rest.global_readout = Some(offset),
            Err(fault) => rest.faults.push(fault),
        }
    }
    rest
}

/// A string takes all that is written.
const fn sure(_: core::fmt::Result) {}

/// What was written of a telegram so far.
#[derive(Default)]
struct Written {
    records: usize,
    profiles: ProfilesLeft,
}

fn separate(out: &mut String, count: usize) {
    if count > 0 {
        out.push(',');
    }
}

fn write_item<'a>(
    out: &mut String,
    record: &Record<'a>,
    telegram: Records<'a>,
    times: &Times,
    written: &mut Written,
) {
    let meaning = record.meaning();
    let count = &mut written.records;
    let mut fault = None;
    match record.profile(&meaning, telegram, &mut written.profiles) {
        Some(Ok(profile)) => {
            for point in profile.points() {
                separate(out, *count);
                write_point(out, record, &meaning, &point);
                *count = count.saturating_add(1);
            }
            return;
        }
        Some(Err(reason)) => fault = Some(reason),
        None => {}
    }
    separate(out, *count);
    *count = count.saturating_add(1);
    write_record(
        out,
        record,
        &meaning,
        times.find(Tags::of(record), meaning.quantity),
        fault,
    );
}

/// Quantity and unit, up to the value's key.
fn write_what(out: &mut String, record: &Record<'_>, meaning: &Meaning<'_>) {
    out.push_str("{\"quantity\":\"");
    out.push_str(meaning.quantity.id());
    out.push_str("\",\"unit\":\"");
    let [unit, times, per] = meaning.unit.parts();
    if record.unit_text.is_empty() || meaning.is_beside_unit {
        out.push_str(unit);
    } else {
        write_text(out, record.unit_text(meaning));
    }
    out.push_str(times);
    out.push_str(per);
    out.push_str("\",\"value\":");
}

/// Where the record belongs, behind its value.
fn write_place(out: &mut String, record: &Record<'_>, storage: u64, at: Option<DateTime>) {
    out.push_str(",\"storage\":");
    write_number(out, storage);
    out.push_str(",\"tariff\":");
    write_number(out, u64::from(record.tariff));
    out.push_str(",\"subunit\":");
    write_number(out, u64::from(record.subunit));
    out.push_str(",\"function\":\"");
    out.push_str(record.function().id());
    out.push('"');
    if let Some(at) = at {
        out.push_str(",\"at\":\"");
        sure(at.write(out));
        out.push('"');
    }
}

fn write_point(out: &mut String, record: &Record<'_>, meaning: &Meaning<'_>, point: &Point<'_>) {
    write_what(out, record, meaning);
    write_value(out, &point.value);
    write_place(out, record, point.storage, point.at);
    write_modifiers(out, meaning);
    write_error(out, meaning);
    if let Some(invalid) = point.invalid() {
        sure(write!(out, ",\"invalid\":\"{}\"", invalid.id()));
    }
    write_form(out, &point.value);
    out.push('}');
}

/// Writes one record. `at` is when its value was valid.
fn write_record(
    out: &mut String,
    record: &Record<'_>,
    meaning: &Meaning<'_>,
    at: Option<DateTime>,
    fault: Option<ProfileFault>,
) {
    let value = record.value(meaning);
    write_what(out, record, meaning);
    write_value(out, &value);
    let is_number = matches!(value, Value::Number(_));
    write_place(out, record, record.storage, at.filter(|_| is_number));
    write_modifiers(out, meaning);
    write_error(out, meaning);
    if let Some(invalid) = value.invalid() {
        sure(write!(out, ",\"invalid\":\"{}\"", invalid.id()));
    }
    if let Some(fault) = fault {
        sure(write!(out, ",\"invalid\":\"{}\"", fault.id()));
    }
    write_form(out, &value);
    if record.is_register {
        out.push_str(",\"register\":true");
    }
    if record.is_unknown(meaning) {
        write_hex_field(out, "raw", record.octets);
    }
    out.push('}');
}

fn write_error(out: &mut String, meaning: &Meaning<'_>) {
    if let Some(error) = meaning.error {
        sure(write!(out, ",\"error\":\"{}\"", error.id()));
    }
}

/// What the text of a value does not say of it.
fn write_form(out: &mut String, value: &Value<'_>) {
    match value {
        Value::DateTime(date) => {
            let has_moment = matches!(date.state, DateState::Moment | DateState::TimeInvalid);
            if date.summer_time && has_moment {
                out.push_str(",\"summer_time\":true");
            }
            if date.state == DateState::TimeInvalid {
                out.push_str(",\"sent\":\"");
                sure(date.write(out));
                out.push('"');
            }
        }
        Value::OutOfRange(number) => {
            out.push_str(",\"sent\":\"");
            sure(number.write(out));
            out.push('"');
        }
        // The text of one NaN is that of all.
        Value::NotANumber(bits) => sure(write!(out, ",\"sent\":\"{bits:08x}\"")),
        Value::Wide(_) | Value::Octets(_) | Value::WrongField(_) => {
            out.push_str(",\"coding\":\"hex\"");
        }
        _ => {}
    }
}

fn write_value(out: &mut String, value: &Value<'_>) {
    let is_nothing = match value {
        Value::None | Value::OutOfRange(_) => true,
        // A time that the meter calls wrong looks like any other.
        Value::DateTime(date) => {
            matches!(date.state, DateState::NotSet | DateState::TimeInvalid)
        }
        _ => false,
    };
    if is_nothing {
        out.push_str("null");
        return;
    }
    out.push('"');
    match value {
        Value::None | Value::OutOfRange(_) => {}
        Value::Number(number) => {
            sure(number.write(out));
        }
        Value::NotANumber(bits) => {
            sure(write!(out, "{}", f32::from_bits(*bits)));
        }
        Value::DateTime(date) => {
            sure(date.write(out));
        }
        Value::Text(text) => write_text(out, *text),
        Value::BadBcd(digits) | Value::Wide(digits) => out.extend(digits.chars()),
        Value::Octets(octets) | Value::WrongField(octets) => write_hex(out, octets),
    }
    out.push('"');
}

fn write_modifiers(out: &mut String, meaning: &Meaning<'_>) {
    if meaning.modifiers.octets().is_empty() {
        return;
    }
    let mut count = 0_usize;
    for modifier in meaning.modifiers {
        let Some(id) = modifier.id() else {
            continue;
        };
        out.push_str(if count == 0 {
            ",\"modifiers\":[\""
        } else {
            ",\""
        });
        out.push_str(id);
        match modifier {
            Modifier::Manufacturer(octets) if !octets.is_empty() => {
                out.push(':');
                write_hex(out, octets);
            }
            Modifier::Reserved(code) => {
                out.push(':');
                write_hex(out, &[code]);
            }
            _ => {}
        }
        out.push('"');
        count = count.saturating_add(1);
    }
    if count > 0 {
        out.push(']');
    }
}

fn write_fixed(out: &mut String, fixed: &FixedData) {
    for (index, counter) in fixed.counters.iter().enumerate() {
        separate(out, index);
        write_counter(out, counter);
    }
}

fn write_counter(out: &mut String, counter: &FixedCounter) {
    sure(write!(
        out,
        "{{\"quantity\":\"{}\",\"unit\":\"{}\",\"value\":\"",
        counter.quantity.id(),
        counter.unit.id()
    ));
    match counter.value {
        Some(number) => {
            sure(number.write(out));
        }
        None => {
            let [a, b, c, d] = counter.octets;
            write_hex(out, &[d, c, b, a]);
        }
    }
    sure(write!(
        out,
        "\",\"storage\":{},\"tariff\":0,\"subunit\":0,\"function\":\"instantaneous\"",
        u8::from(counter.is_stored)
    ));
    if counter.value.is_none() {
        sure(write!(out, ",\"invalid\":\"{}\"", Invalid::BcdDigits.id()));
    }
    out.push('}');
}

/// Writes a number; most have one digit.
fn write_number(out: &mut String, number: u64) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(char::from(b'0' | digit)),
        _ => {
            sure(write!(out, "{number}"));
        }
    }
}

/// Writes a text of ISO 8859-1 with what JSON wants escaped.
fn write_text(out: &mut String, text: Text<'_>) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => {
                sure(write!(out, "\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
}

fn write_hex_field(out: &mut String, key: &str, octets: &[u8]) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":\"");
    write_hex(out, octets);
    out.push('"');
}

fn write_hex(out: &mut String, octets: &[u8]) {
    for octet in octets {
        for nibble in [octet >> 4, octet & 0x0F] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}
