//! What a telegram says, as its outward form must say it: `protocol-spec/record-json.md`.

use serde_json::{Value, json};

use super::date::Civil;
use super::ledger::{MbusLedger, Sent};
use super::line::Told;
use super::meter::ABNORMAL;
use super::plan::{Carriage, MeterPlan};
use super::telegram::{Mode, opened};
use crate::custody::instant;
use crate::json::hex;

/// Seconds by which a gateway's clock may be ahead: a time beyond that is not taken.
const AHEAD_MAX_S: i64 = 60;

/// The lane that a telegram belongs in.
pub(super) const fn lane_of(sent: &Sent) -> &'static str {
    match sent.status {
        ABNORMAL => "alarm",
        _ => "bulk",
    }
}

/// What vouches for telegrams of a mode.
const fn verified_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Clear => "none",
        Mode::Cbc => "check_bytes",
        Mode::CbcDerived | Mode::CcmDerived => "mac",
    }
}

/// The first field of a line that is not what the telegram and the gateway that is named say; none
/// if all are.
pub(super) fn difference(
    ledger: &MbusLedger,
    meter: &MeterPlan,
    sent: &Sent,
    line: &Value,
) -> Option<&'static str> {
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let said = |value: Option<Value>| value.filter(|value| !value.is_null());
    let records = sent.reading.octets();
    let fields = [
        ("schema", json!("kenshin.record/1")),
        ("protocol", json!("mbus")),
        ("utility", hex(&ledger.plan.utility).into()),
        ("terminal", hex(&meter.address.link_order()).into()),
        ("address", meter.address.json()),
        ("kind", json!("meter_data")),
        ("measured_local", sent.reading.measured_local().into()),
        ("security_mode", meter.mode.code().into()),
        ("verified", verified_of(meter.mode).into()),
        ("quality", quality_of(meter.mode)),
        ("counter", sent.counter.into()),
        ("access_number", sent.access_number.into()),
        ("status", sent.status.into()),
        ("flags", json!([])),
        ("value", sent.reading.value()),
        ("raw", hex(&opened(meter.mode, &records)).into()),
        ("measured_at", Value::Null),
        ("epoch", Value::Null),
        ("sequence", Value::Null),
        ("meter", Value::Null),
    ];
    let differs = fields
        .into_iter()
        .find(|(name, value)| line.get(name) != said(Some(value.clone())).as_ref());
    if let Some((name, _)) = differs {
        return Some(name);
    }
    let received = text("received_at").and_then(instant);
    let heard = text("heard_at").and_then(instant);
    if received.is_none_or(|at| heard.is_some_and(|heard| at < heard.saturating_sub(AHEAD_MAX_S))) {
        return Some("received_at");
    }
    brought(ledger, sent, line)
}

fn quality_of(mode: Mode) -> Value {
    match mode {
        Mode::Clear => json!("unauthenticated"),
        _ => Value::Null,
    }
}

/// What a line says of the gateway that brought the telegram, which must be one that heard it.
fn brought(ledger: &MbusLedger, sent: &Sent, line: &Value) -> Option<&'static str> {
    let gateways = ledger.plan.gateways();
    let named = |hearing: &&super::ledger::Hearing| {
        let gateway = gateways.get(hearing.gateway);
        gateway.is_some_and(|one| line.get("gateway").is_some_and(|name| name == one.name))
    };
    let Some(hearing) = sent.heard.iter().find(named) else {
        return Some("gateway");
    };
    let carriage = gateways.get(hearing.gateway).map(|one| one.carriage);
    let (carriage, custody) = match carriage {
        Some(Carriage::Tcp) => ("tcp", "acknowledged"),
        _ => ("udp", "received"),
    };
    let Told {
        heard_utc_s,
        rssi_dbm,
    } = hearing.told;
    let heard_at = heard_utc_s.map(|at| Value::from(Civil::of_utc(at).to_second() + "Z"));
    let fields = [
        ("carriage", Some(carriage.into())),
        ("custody", Some(custody.into())),
        ("rssi_dbm", rssi_dbm.map(Value::from)),
        ("heard_at", heard_at),
    ];
    let mut fields = fields.into_iter();
    fields
        .find(|(name, value)| line.get(name) != value.as_ref())
        .map(|(name, _)| name)
}
