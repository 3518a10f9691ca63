//! From a telegram to its JSON object. State goes from line to line: fragments of messages, and the
//! formats that compact frames are read by.

use crate::keyring::mbus::MeterKeyring;
use crate::session::mbus::{
    Fragments, Opened, Refusal, Scratch, Step, Verified, is_transport_first, open,
};
use crate::wire::mbus::app::{
    Body, CompactFrame, DeviceKind, Direction, Expanded, FaultReason, FormatCatalog, Item, Records,
    RecordsKind,
};
use crate::wire::mbus::ci::{Announced, HeaderKind, announced};
use crate::wire::mbus::error::{MbusError, MbusErrorKind};
use crate::wire::mbus::link::{Carriage, c_field_name};

use super::json;
use super::keys::LineKeys;
use super::line::Telegram;

/// What decodes lines.
pub(super) struct Decoder<'k> {
    ring: &'k MeterKeyring,
    scratch: Scratch,
    fragments: Fragments,
    formats: FormatCatalog,
    /// The fields of the records, while it is not known yet whether the line is good.
    records: String,
}

/// Why a line is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    /// Where, if it is at a place.
    pub(super) offset: Option<usize>,
    pub(super) message: String,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            kind: refusal.id(),
            offset: match refusal {
                Refusal::Octets(error) => Some(error.offset),
                _ => None,
            },
            message: match refusal {
                Refusal::NoKey { .. } => format!(
                    "{refusal}: put the key behind the telegram, or name a table with --keys"
                ),
                _ => refusal.to_string(),
            },
        }
    }
}

impl From<MbusError> for Failure {
    fn from(error: MbusError) -> Self {
        Refusal::Octets(error).into()
    }
}

impl Failure {
    fn of_fault(reason: FaultReason, offset: usize) -> Self {
        Self {
            kind: reason.id(),
            offset: Some(offset),
            message: format!("a record cannot be read: {} at octet {offset}", reason.id()),
        }
    }

    fn cut(opened: &Opened<'_>) -> Option<Self> {
        let cut = opened.security.cut_octets;
        let end = opened.payload_offset.saturating_add(opened.payload.len());
        (cut > 0).then(|| Self {
            kind: "length",
            offset: Some(end),
            message: format!("the telegram ends {cut} octets into an encrypted block"),
        })
    }
}

impl<'k> Decoder<'k> {
    pub(super) fn new(ring: &'k MeterKeyring) -> Self {
        Self {
            ring,
            scratch: Scratch::default(),
            fragments: Fragments::default(),
            formats: FormatCatalog::default(),
            records: String::new(),
        }
    }

    /// Writes the object of a telegram. Says whether it is good.
    pub(super) fn decode(&mut self, telegram: &Telegram, out: &mut String) -> bool {
        let keys = LineKeys {
            one: telegram.key.as_ref(),
            ring: self.ring,
        };
        let octets = &telegram.octets;
        // Lines have no time: what belongs together stands together.
        let (auto, fragments, scratch) = (Carriage::Auto, &mut self.fragments, &mut self.scratch);
        let refusal = match open(octets, auto, &keys, fragments, 0, scratch) {
            Ok(step) => return write_step(&step, (&mut self.formats, &mut self.records), out),
            Err(refusal) => refusal,
        };
        if may_be_transport_first(octets, &refusal)
            && is_transport_first(octets, &keys, scratch, reads_whole)
            && let Ok(step) = open(
                octets,
                Carriage::TransportFirst,
                &keys,
                fragments,
                0,
                scratch,
            )
        {
            return write_step(&step, (&mut self.formats, &mut self.records), out);
        }
        json::write_refused(out, octets, &refusal.into());
        false
    }
}

/// Writes what a telegram came to. `records` is a buffer.
fn write_step(
    step: &Step<'_>,
    (formats, records): (&mut FormatCatalog, &mut String),
    out: &mut String,
) -> bool {
    match step {
        Step::Opened(opened) => {
            records.clear();
            let of_records = write_records(formats, opened, records);
            // What is cut or doubtful ends within a record, as a rule.
            let doubt = opened.doubt.map(Failure::from);
            let failure = doubt.or_else(|| Failure::cut(opened)).or(of_records);
            json::write_opened(out, opened, records, failure.as_ref());
            failure.is_none()
        }
        Step::FragmentKept { sender, fragment } => {
            json::write_fragment(out, *sender, *fragment);
            true
        }
        Step::LinkOnly { format, c_field } => {
            json::write_link(out, *format, *c_field);
            true
        }
    }
}

/// Whether octets that no link layer fits may begin with their CI field. Where CRCs were found they
/// do not, and neither do those that begin as a telegram that was cut: a length and a C field, but
/// for a transport header that tells.
fn may_be_transport_first(octets: &[u8], refusal: &Refusal) -> bool {
    let Refusal::Octets(error) = refusal else {
        return false;
    };
    let ci = octets.first().and_then(|ci| announced(*ci, false, false));
    let has_header = !matches!(ci, Some(Announced::Transport(HeaderKind::None)));
    let is_cut = error.kind == MbusErrorKind::Truncated
        && octets.get(1).is_some_and(|c| c_field_name(*c).is_some());
    !matches!(error.kind, MbusErrorKind::BlockCrc(_)) && (has_header || !is_cut)
}

/// Whether a telegram is proven, or has records that end where it does, without a fault. A maker's
/// part takes whatever comes, and so speaks for nothing without a meter that has a maker.
fn reads_whole(opened: &Opened<'_>) -> bool {
    let body = Body::read(opened.ci, opened.is_wired, opened.payload);
    let is_whole = |records: Records<'_>| {
        let mut records = records.restart().peekable();
        let is_told = |item| match item {
            Ok(Item::Record(_)) => true,
            Ok(Item::Manufacturer { .. }) => has_maker(opened),
            Ok(Item::GlobalReadout { .. }) | Err(_) => false,
        };
        records.peek().is_some() && records.all(is_told)
    };
    opened.security.verified > Verified::None
        || matches!(body, Ok(Body::Records { records, .. }) if is_whole(records))
}

fn has_maker(opened: &Opened<'_>) -> bool {
    let letters = opened.meter.map(|meter| meter.manufacturer.letters());
    letters.is_some_and(|letters| letters.iter().all(u8::is_ascii_uppercase))
}

/// Writes the records of a telegram as fields. Gives what is wrong with the first that is.
fn write_records(
    formats: &mut FormatCatalog,
    opened: &Opened<'_>,
    out: &mut String,
) -> Option<Failure> {
    let body = match Body::read(opened.ci, opened.is_wired, opened.payload) {
        Ok(body) => body,
        Err(error) => {
            out.push_str("\"records\":[],\"opaque\":[]");
            let offset = opened.payload_offset.saturating_add(error.offset);
            return Some(MbusError { offset, ..error }.into());
        }
    };
    let kind = opened.meter.map(DeviceKind::from);
    if let (Body::Compact(compact), Some(kind)) = (&body, kind) {
        return write_compact(formats, kind, compact, opened, out);
    }
    if let Some(kind) = kind {
        formats.learn_from(kind, &body);
    }
    fault_of(&body, opened, out)
}

fn fault_of(body: &Body<'_>, opened: &Opened<'_>, out: &mut String) -> Option<Failure> {
    let rest = crate::wire::mbus::app::json::write_body(out, opened.ci, body);
    let fault = rest.faults.first()?;
    let offset = opened.payload_offset.saturating_add(fault.at);
    Some(Failure::of_fault(fault.reason, offset))
}

fn write_compact(
    formats: &FormatCatalog,
    kind: DeviceKind,
    compact: &CompactFrame<'_>,
    opened: &Opened<'_>,
    out: &mut String,
) -> Option<Failure> {
    match formats.expand(kind, compact) {
        Expanded::Records(full) => {
            let records = Records::new(&full, Direction::Uplink);
            let kind = RecordsKind::Response;
            fault_of(&Body::Records { kind, records }, opened, out)
        }
        Expanded::UnknownFormat(_) => fault_of(&Body::Compact(*compact), opened, out),
        Expanded::Refused(error) => {
            out.push_str("\"records\":[],\"opaque\":[]");
            Some(Failure {
                kind: error.id(),
                offset: Some(opened.payload_offset),
                message: error.to_string(),
            })
        }
    }
}
