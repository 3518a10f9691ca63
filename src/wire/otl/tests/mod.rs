//! Tests of the link: literal octets, refusals with their offsets, round trips.

#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use hex_literal::hex;

use crate::wire::error::{DecodeError, ErrorKind};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::record::{Record, RecordBody};
use crate::wire::otl::uplink::UplinkBody;
use crate::wire::writer::Writer;

mod answers;
mod commands;
mod framer;
mod header;
mod items;
mod padding;
mod records;
mod refusals;
mod registry;
mod roundtrip;
mod samples;
mod series;
mod strategies;
mod views;

/// A report: 2026-12-31 23:42 UTC ± 2 s, epoch 0x1ceb00da, slot version 1, no command.
const REPORT: [u8; 11] = hex!("02 6b36ecf8 1ceb00da 10 00");

/// Where the plaintext begins in these tests: behind the header of mode 1.
const BASE: usize = 23;

/// A set clock, 5 octets.
const STAMP: &str = "026b36ecf8";

/// Octets of a text of hexadecimal digits and blanks.
fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A plaintext: the report and these octets.
fn plaintext(items: &[u8]) -> Vec<u8> {
    [REPORT.as_slice(), items].concat()
}

/// An item with its length.
fn item(type_octet: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![type_octet];
    Writer::new(&mut out, 1_300)
        .with_length(|out| out.octets(body))
        .unwrap();
    out
}

/// A record with sequence 7, its body given in hexadecimal.
fn record(number: u8, body: &str) -> Vec<u8> {
    item(number, &[vec![7], octets(body)].concat())
}

/// Decodes report and items in mode 1, and checks that the encoder gives the same octets.
fn decode(items: &[u8]) -> Result<UplinkBody, DecodeError> {
    let plaintext = plaintext(items);
    let body = UplinkBody::decode(&plaintext, BASE, Mode::CcmStatic)?;
    assert_eq!(encode(&body, Mode::CcmStatic), plaintext);
    Ok(body)
}

fn encode(body: &UplinkBody, mode: Mode) -> Vec<u8> {
    let mut out = Vec::new();
    body.encode(mode, &mut Writer::new(&mut out, 4_000))
        .unwrap();
    out
}

/// Decodes a record with sequence 7.
fn body_of(number: u8, body: &str) -> RecordBody {
    let decoded = decode(&record(number, body)).unwrap();
    let [Record { sequence, body }] = decoded.records.as_slice() else {
        panic!("one record");
    };
    assert_eq!(sequence.get(), 7);
    body.clone()
}

/// The refusal of a record's body: what, and at which of its octets after the sequence.
fn refusal(number: u8, body: &str) -> (ErrorKind, usize) {
    let item = record(number, body);
    let head = item.len() - octets(body).len();
    let error = decode(&item).unwrap_err();
    (error.kind, error.offset - BASE - REPORT.len() - head)
}
