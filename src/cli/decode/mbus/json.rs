//! The JSON object of a telegram, `protocol-spec/decode-json.md`.

use std::fmt::Write as _;

use serde_json::json;

use crate::session::mbus::Opened;
use crate::wire::mbus::address::{Address, Identification, device_type_name};
use crate::wire::mbus::app::{Body, FixedData, medium_name};
use crate::wire::mbus::link::{self, Carriage, Format, c_field_name};

use super::decoder::Failure;
use super::line::LineError;

/// A telegram that was opened. `records` are the fields of its records.
pub(super) fn write_opened(
    out: &mut String,
    opened: &Opened<'_>,
    records: &str,
    failure: Option<&Failure>,
) {
    begin(out, failure);
    if let Some(meter) = opened.meter {
        write_address(out, "address", meter);
    }
    if let Some(sender) = opened.sender.filter(|sender| opened.meter != Some(*sender)) {
        write_address(out, "sender", sender);
    }
    write_format(out, opened.format, opened.c_field);
    put(out, format_args!(",\"ci\":{}", opened.ci));
    let fixed = fixed_of(opened);
    if let (None, Some(fixed)) = (opened.meter, &fixed) {
        write_fixed_address(out, fixed);
    }
    let of_fixed = fixed.map(|fixed| (fixed.access_number, fixed.status));
    let (access_number, status) = of_fixed.unzip();
    if let Some(access_number) = opened.access_number.or(access_number) {
        put(out, format_args!(",\"access_number\":{access_number}"));
    }
    if let Some(status) = opened.status.or(status) {
        put(out, format_args!(",\"status\":{status}"));
    }
    let security = &opened.security;
    put(
        out,
        format_args!(
            ",\"security\":{{\"mode\":{},\"verified\":\"{}\"",
            security.mode,
            security.verified.id()
        ),
    );
    if security.link_encrypted {
        out.push_str(",\"link\":\"aes_ctr\"");
    }
    if let Some(counter) = security.counter {
        put(out, format_args!(",\"counter\":{counter}"));
    }
    if security.clear_tail_octets > 0 {
        let octets = security.clear_tail_octets;
        put(out, format_args!(",\"clear_tail_octets\":{octets}"));
    }
    out.push_str("},");
    out.push_str(records);
    if opened.trailing_octets > 0 {
        let octets = opened.trailing_octets;
        put(out, format_args!(",\"trailing_octets\":{octets}"));
    }
    out.push('}');
}

/// The fixed structure, which has the meter's number in itself.
fn fixed_of(opened: &Opened<'_>) -> Option<FixedData> {
    match Body::read(opened.ci, opened.is_wired, opened.payload) {
        Ok(Body::Fixed(fixed)) => Some(fixed),
        _ => None,
    }
}

/// What the fixed structure tells of the meter: no manufacturer and no version.
fn write_fixed_address(out: &mut String, fixed: &FixedData) {
    let (id, medium) = (Identification::new(fixed.id), fixed.medium);
    put(
        out,
        format_args!(",\"address\":{{\"id\":\"{id}\",\"manufacturer\":null,\"version\":null"),
    );
    put(out, format_args!(",\"device_type\":{medium}"));
    if let Some(name) = medium_name(medium) {
        put(out, format_args!(",\"device\":\"{name}\""));
    }
    out.push('}');
}

/// A fragment that is kept.
pub(super) fn write_fragment(out: &mut String, sender: Address, fragment: u8) {
    begin(out, None);
    write_address(out, "address", sender);
    put(
        out,
        format_args!(
            ",\"security\":{{\"mode\":0,\"verified\":\"none\"}},\"fragment\":{fragment},\
             \"records\":[],\"opaque\":[]}}"
        ),
    );
}

/// A frame of the link without data.
pub(super) fn write_link(out: &mut String, format: Format, c_field: Option<u8>) {
    begin(out, None);
    write_format(out, format, c_field);
    out.push_str(",\"security\":{\"mode\":0,\"verified\":\"none\"},\"records\":[],\"opaque\":[]}");
}

/// A telegram that was refused before its records could be read.
pub(super) fn write_refused(out: &mut String, telegram: &[u8], failure: &Failure) {
    begin(out, Some(failure));
    let mut scratch = Vec::new();
    if let Ok(link) = link::read(telegram, Carriage::Auto, &mut scratch) {
        // Without its length octet a telegram is a guess.
        let is_told = link.format != Format::WirelessNoLength;
        if let Some(sender) = link.sender.filter(|_| is_told) {
            write_address(out, "address", sender);
        }
        write_format(out, link.format, link.c_field);
    }
    out.push_str(",\"records\":[]}");
}

/// A line that is no telegram.
pub(super) fn write_line_error(out: &mut String, error: &LineError) {
    let failure = Failure {
        kind: error.kind(),
        offset: error.offset(),
        message: error.to_string(),
    };
    begin(out, Some(&failure));
    out.push_str(",\"records\":[]}");
}

fn begin(out: &mut String, failure: Option<&Failure>) {
    match failure {
        None => out.push_str("{\"ok\":true,\"protocol\":\"mbus\""),
        Some(failure) => {
            let mut error = serde_json::Map::new();
            error.insert("kind".to_owned(), failure.kind.into());
            if let Some(offset) = failure.offset {
                error.insert("offset".to_owned(), offset.into());
            }
            error.insert("message".to_owned(), failure.message.as_str().into());
            let error = json!(error);
            put(
                out,
                format_args!("{{\"ok\":false,\"protocol\":\"mbus\",\"error\":{error}"),
            );
        }
    }
}

fn write_address(out: &mut String, name: &str, address: Address) {
    let Address {
        manufacturer,
        id,
        version,
        device_type,
    } = address;
    put(
        out,
        format_args!(
            ",\"{name}\":{{\"id\":\"{id}\",\"manufacturer\":{},\"version\":{version},\
             \"device_type\":{device_type}",
            json!(manufacturer.to_string())
        ),
    );
    if let Some(name) = device_type_name(device_type) {
        put(out, format_args!(",\"device\":\"{name}\""));
    }
    out.push('}');
}

fn write_format(out: &mut String, format: Format, c_field: Option<u8>) {
    put(out, format_args!(",\"format\":\"{}\"", format.id()));
    if let Some(name) = c_field.and_then(c_field_name) {
        put(out, format_args!(",\"function\":\"{name}\""));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    out.write_fmt(text).ok();
}
