//! The JSON form of decoded frames, `protocol-spec/decode-json.md`.
//!
//! One object a frame; [`uplink`], [`resync`], [`answer`], [`resync_answer`], [`sealed`], [`bare`]
//! and [`refused`] build it, and the caller writes it. Field order is that of the form wherever
//! `serde_json` keeps the order of insertion.

use serde_json::{Map, Value, json};

use crate::wire::hex::Hex;

use super::answer::{Answer, AnswerItem};
use super::command::CommandItem;
use super::header::{Header, VERSION};
use super::ident::Mode;
use super::report::Report;
use super::resync::{ResyncAnswer, ResyncBody};
use super::stamp::Stamp;
use super::uplink::{SessionItem, UplinkBody};

mod record;

use record::{MeterForm, StampForm, value};
pub use record::{RecordForm, record};

/// How far a frame is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Security {
    /// The mode of the frame; none in CLOSE.
    pub mode: Option<Mode>,
    /// Whether its tag verified.
    pub verified: bool,
}

impl Security {
    fn value(self) -> Value {
        let mut fields = Map::new();
        if let Some(mode) = self.mode {
            fields.insert("mode".into(), mode.number().into());
        }
        fields.insert("verified".into(), self.verified.into());
        Value::Object(fields)
    }
}

/// Builds an object field by field.
#[derive(Debug, Default)]
struct Object(Map<String, Value>);

impl Object {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    fn with_option(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

fn hex(octets: &[u8]) -> String {
    Hex(octets).to_string()
}

fn accepted(of: &Header, security: Security) -> Object {
    Object::default()
        .with("ok", true)
        .with("protocol", "otl")
        .with("header", header(of))
        .with("security", security.value())
}

/// A decoded UPLINK.
#[must_use]
pub fn uplink(of: &Header, security: Security, body: &UplinkBody) -> Value {
    let records: Vec<Value> = body.records.iter().map(record).collect();
    let session: Vec<Value> = body
        .session_items
        .as_slice()
        .iter()
        .map(session_item)
        .collect();
    accepted(of, security)
        .with("report", report(&body.report).value())
        .with("records", records)
        .with_option("session_items", (!session.is_empty()).then_some(session))
        .with("padding", body.padding)
        .value()
}

/// A decoded RESYNC.
#[must_use]
pub fn resync(of: &Header, security: Security, body: &ResyncBody) -> Value {
    let report = report(&body.report).with("resync_reason", body.reason);
    accepted(of, security)
        .with("report", report.value())
        .with("records", Vec::<Value>::new())
        .value()
}

/// A decoded ANSWER.
#[must_use]
pub fn answer(of: &Header, security: Security, body: &Answer) -> Value {
    let flags = body.flags();
    let answer = Object::default()
        .with("ack", flags.ack)
        .with("final", flags.is_final)
        .with("more", flags.more)
        .with("new_epoch", flags.new_epoch)
        .with("unproven", flags.unproven)
        .with("map", body.map())
        .with("items", items(body.items()));
    accepted(of, security)
        .with("answer", answer.value())
        .value()
}

/// A decoded RESYNC_ANSWER.
#[must_use]
pub fn resync_answer(of: &Header, security: Security, body: &ResyncAnswer) -> Value {
    let answer = Object::default()
        .with("floor", body.floor().get())
        .with("items", items(body.items()));
    accepted(of, security)
        .with("answer", answer.value())
        .value()
}

/// A frame whose header is valid and whose content cannot be opened for want of a key.
#[must_use]
pub fn sealed(of: &Header, mode: Mode, ciphertext_octets: usize) -> Value {
    let security = Security {
        mode: Some(mode),
        verified: false,
    };
    let has_records = matches!(of, Header::Uplink(_) | Header::Resync(_));
    accepted(of, security)
        .with("ciphertext_octets", ciphertext_octets)
        .with_option("records", has_records.then(Vec::<Value>::new))
        .value()
}

/// A CALL_NOW or a CLOSE, which have no content.
#[must_use]
pub fn bare(of: &Header, security: Security) -> Value {
    accepted(of, security).value()
}

/// A frame that is refused. `of` is the header exactly if all of its checks passed.
// spec: ERR-3
#[must_use]
pub fn refused(kind: &str, offset: usize, message: &str, of: Option<&Header>) -> Value {
    Object::default()
        .with("ok", false)
        .with("protocol", "otl")
        .with(
            "error",
            json!({ "kind": kind, "offset": offset, "message": message }),
        )
        .with_option("header", of.map(header))
        .value()
}

/// A header.
#[must_use]
pub fn header(of: &Header) -> Value {
    let object = Object::default()
        .with("frame", of.kind().id())
        .with("version", VERSION)
        .with_option("mode", of.mode().map(Mode::number));
    match of {
        Header::Uplink(header) => object
            .with("alarm", header.alarm())
            .with("answer", header.answer())
            .with(
                "key_version",
                header.key_version().map_or(0, |version| version.get()),
            )
            .with("identity", header.identity().to_string())
            .with("counter", header.counter().get())
            .with_option("ticket", header.ticket().map(|ticket| ticket.to_string()))
            .with_option("nt", header.nt().map(|nonce| nonce.to_string())),
        Header::Resync(header) => object
            .with("key_version", header.key_version().get())
            .with("identity", header.identity().to_string())
            .with("nr", header.nr().to_string()),
        Header::Answer(header) => object
            .with("counter", header.counter().get())
            .with_option("ns", header.ns().map(|nonce| nonce.to_string()))
            .with_option("ns_utc_s", header.ns().map(|nonce| nonce.utc_s())),
        Header::ResyncAnswer(header) => object
            .with("ns", header.ns().to_string())
            .with("ns_utc_s", header.ns().utc_s()),
        Header::CallNow(header) => object
            .with("key_version", header.key_version().get())
            .with("identity", header.identity().to_string())
            .with("call_counter", header.call_counter()),
        Header::Close(header) => object.with("code", header.code),
    }
    .value()
}

fn stamp(stamp: Stamp) -> Value {
    value(&StampForm(stamp))
}

fn report(report: &Report) -> Object {
    Object::default()
        .with("stamp", stamp(report.stamp))
        .with("epoch", report.epoch.get())
        .with("wake_slot_version", report.slots.wake_slot_version())
        .with("frames_following", report.slots.frames_following())
        .with(
            "command",
            report.command.map_or(0, |end| end.sequence.get()),
        )
        .with_option("outcome", report.command.map(|end| end.outcome.to_string()))
}

fn session_item(item: &SessionItem) -> Value {
    match item {
        SessionItem::PreviousEpoch(epoch) => {
            json!({ "item": "previous_epoch", "epoch": epoch.get() })
        }
        SessionItem::AnswerRefused(number) => {
            json!({ "item": "answer_refused", "number": number })
        }
        SessionItem::Unknown(item) => json!({
            "item": "unknown",
            "number": item.number(),
            "critical": item.critical(),
            "body": hex(item.octets()),
        }),
    }
}

fn items(items: &[AnswerItem]) -> Vec<Value> {
    items
        .iter()
        .map(|item| match item {
            AnswerItem::ComeBack(time) => {
                json!({ "item": "come_back", "seconds": time.seconds() })
            }
            AnswerItem::Slot(slot) => json!({
                "item": "slot",
                "version": slot.version(),
                "second_of_day": slot.second_of_day(),
            }),
            AnswerItem::Floor(counter) => json!({ "item": "floor", "counter": counter.get() }),
            AnswerItem::Command(item) => command(item),
            AnswerItem::Unknown(item) => json!({
                "item": "unknown",
                "number": item.number(),
                "critical": false,
                "body": hex(item.octets()),
            }),
        })
        .collect()
}

fn command(item: &CommandItem) -> Value {
    Object::default()
        .with("item", "command")
        .with("key_version", item.key_version.get())
        .with("sequence", item.sequence.get())
        .with("kind", item.kind.to_string())
        .with("meter", value(&MeterForm(item.meter)))
        .with("bound", item.bound)
        .with("precondition", item.precondition.code())
        .with("not_after_utc_s", item.not_after_utc_s)
        .with("parameters", hex(&item.parameters))
        .with("mac", item.mac.to_string())
        .value()
}
