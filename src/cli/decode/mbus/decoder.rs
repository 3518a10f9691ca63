//! From a telegram to its JSON object. State goes from line to line: fragments of messages, and the
//! formats that compact frames are read by.

use crate::keyring::mbus::MeterKeyring;
use crate::session::mbus::{
    Fragments, Opened, Refusal, Scratch, Step, Verified, is_transport_first, open,
};
use crate::wire::mbus::app::{
    Body, CompactFrame, DeviceKind, Direction, Expanded, FaultReason, FormatCatalog, Records,
    RecordsKind,
};
use crate::wire::mbus::error::MbusError;
use crate::wire::mbus::link::Carriage;

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
            message: refusal.to_string(),
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
        if matches!(refusal, Refusal::Octets(_))
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
            // What is cut ends within a record, as a rule.
            let failure = Failure::cut(opened).or(of_records);
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

/// Whether a telegram is proven, or has records and no fault.
fn reads_whole(opened: &Opened<'_>) -> bool {
    let body = Body::read(opened.ci, opened.is_wired, opened.payload);
    let is_whole = |records: Records<'_>| {
        let mut records = records.restart().peekable();
        records.peek().is_some() && records.all(|item| item.is_ok())
    };
    opened.security.verified > Verified::None
        || matches!(body, Ok(Body::Records { records, .. }) if is_whole(records))
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
