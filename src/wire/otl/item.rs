//! The form that records, session items and answer items share: type, length, body.

use core::fmt;

use nom::Input as _;

use crate::wire::error::{DecodeError, EncodeError, ErrorKind};
use crate::wire::span::{Parsed, Span, plain};
use crate::wire::varint::varint;
use crate::wire::writer::Writer;

use super::limits::ITEM_MAX;

const CRITICAL: u8 = 0x80;

/// The highest number of an item; 127 is none.
// spec: FRM-21, EXT-2
pub(crate) const NUMBER_MAX: u8 = 0x7E;

/// An item whose body is not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawItem<'a> {
    /// Offset of the type octet.
    pub(crate) offset: usize,
    /// Whether the receiver has to understand it.
    pub(crate) critical: bool,
    /// The registered number, 1 to 126.
    pub(crate) number: u8,
    /// The octets of the body.
    pub(crate) body: Span<'a>,
}

/// The type octet of an item.
struct TypeOctet {
    octet: u8,
    id: &'static str,
}

impl fmt::Display for TypeOctet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x} {}", self.octet, self.id)
    }
}

/// What a registry says about an item number.
pub(crate) struct Registered {
    /// The fixed critical bit.
    pub(crate) critical: bool,
    /// The id.
    pub(crate) id: &'static str,
}

/// Reads the next item. `registry` knows the numbers; `judge` may refuse an item by its type
/// octet alone.
// spec: FRM-19, FRM-20, FRM-21, GEN-6
#[inline(always)]
pub(crate) fn item<'a>(
    input: Span<'a>,
    registry: fn(u8) -> Option<Registered>,
    judge: impl FnOnce(u8, bool) -> Result<(), ErrorKind>,
) -> Parsed<'a, RawItem<'a>> {
    let Some((octet, _)) = input.octets().split_first() else {
        return named(Err(nom::Err::Error(input.truncated())), "item type");
    };
    let (number, critical) = (octet & !CRITICAL, octet & CRITICAL != 0);
    let registered = registry(number);
    let well_formed = matches!(number, 1..=NUMBER_MAX)
        && registered
            .as_ref()
            .is_none_or(|known| known.critical == critical);
    if !well_formed {
        return named(input.refuse(ErrorKind::BadValue), "item type");
    }
    if let Err(kind) = judge(number, critical) {
        return named(input.refuse(kind), "item type");
    }
    let rest = input.take_from(1);
    let id = registered.map_or("unknown", |known| known.id);
    input.note(rest, "item type", &TypeOctet { octet: *octet, id });
    let (body, length) = named(varint(ITEM_MAX)(rest), "item length")?;
    rest.note(body, "item length", &length);
    match usize::try_from(length) {
        Ok(length) if length <= body.octets().len() => {
            let (rest, body) = body.take_split(length);
            let item = RawItem {
                offset: input.offset(),
                critical,
                number,
                body,
            };
            Ok((rest, item))
        }
        _ => named(Err(nom::Err::Error(body.truncated())), "item length"),
    }
}

/// Writes an item whose body `body` writes.
pub(crate) fn put(
    out: &mut Writer<'_>,
    number: u8,
    critical: bool,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    out.u8(if critical { number | CRITICAL } else { number })?;
    out.with_length(body)
}

/// Reads a body to its end.
// spec: FRM-19
#[inline(always)]
pub(crate) fn whole<'a, T>(
    body: Span<'a>,
    parser: impl FnOnce(Span<'a>) -> Parsed<'a, T>,
) -> Result<T, DecodeError> {
    let (rest, value) = parser(body).map_err(plain)?;
    rest.expect_end("item body")?;
    Ok(value)
}

fn named<'a, T>(parsed: Parsed<'a, T>, name: &'static str) -> Parsed<'a, T> {
    parsed.map_err(|error| error.map(|error: DecodeError| error.in_field(name)))
}
