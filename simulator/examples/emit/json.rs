//! The JSON form of decoded frames, from values.

use serde_json::{Map, Value, json};
use simulator::codec::gauges::Gauges;
use simulator::codec::record::{Everyday, Health, MeterRef, Proof, Record, Register, Unit};
use simulator::codec::report::{Report, Stamp, uncertainty_seconds};
use simulator::codec::series::Series;

use crate::keys::hex;
use crate::names::Names;

pub fn stamp(s: &Stamp) -> Value {
    match s {
        Stamp::Set { utc_s, uncertainty } => {
            json!({"utc_s": utc_s, "uncertainty_s": uncertainty_seconds(*uncertainty)})
        }
        Stamp::Unset { uptime_s, boot } => json!({"uptime_s": uptime_s, "boot": boot}),
    }
}

pub fn report(r: &Report, names: &Names) -> Value {
    let mut v = json!({
        "stamp": stamp(&r.stamp), "epoch": r.epoch, "wake_slot_version": r.slot_version,
        "frames_following": r.following, "command": r.command.map_or(0, |c| c.0),
    });
    if let Some((_, outcome)) = r.command {
        v["outcome"] = names.id("outcome", outcome).into();
    }
    v
}

fn meter(m: MeterRef) -> Value {
    json!({"slot": m.slot, "generation": m.generation})
}

fn unit(u: Unit, names: &Names) -> Value {
    json!({"code": u.0, "quantity": names.id("quantity", u.0 >> 4),
        "exponent": i64::from(u.0 & 0x0F) - 8})
}

fn register(r: &Register, names: &Names) -> Value {
    json!({"unit": unit(r.unit, names), "value": r.value})
}

pub fn series(s: &Series) -> Value {
    let segments = s.segments().iter().map(
        |g| json!({"reason": g.reason.code(), "first_mark": g.first, "registers": g.registers}),
    );
    segments.collect()
}

fn gauges(g: &Gauges) -> Value {
    json!(g.marks())
}

fn health(h: &Health) -> Value {
    let mut v = Map::new();
    if h.battery != 255 {
        v.insert("battery_mv".into(), (u32::from(h.battery) * 20).into());
    }
    if h.remaining != 255 {
        v.insert("remaining_percent".into(), h.remaining.into());
    }
    if h.rsrp != 255 {
        v.insert("rsrp_dbm".into(), (-i64::from(h.rsrp)).into());
    }
    if h.snr != -128 {
        v.insert("snr_db".into(), h.snr.into());
    }
    if h.temperature != -128 {
        v.insert("temperature_degc".into(), h.temperature.into());
    }
    let causes = [
        "power",
        "watchdog",
        "brown_out",
        "firmware",
        "fault",
        "external",
    ];
    let cause = causes
        .get(usize::from(h.reset))
        .copied()
        .unwrap_or("unknown");
    v.insert("sends".into(), h.sends.into());
    v.insert("reset_cause".into(), cause.into());
    Value::Object(v)
}

fn everyday(e: &Everyday, names: &Names) -> Value {
    let mut v = json!({
        "type": "everyday", "valve": names.id("valve", e.valve), "meter": meter(e.meter),
        "unit": unit(e.unit, names), "day": e.day,
    });
    let last = e.registers.as_ref().and_then(|s| s.at(24));
    if let Some(daily) = e.daily.or(last) {
        v["daily_register"] = daily.into();
    }
    if let Some(s) = &e.registers {
        v["hourly_registers"] = series(s);
    }
    if let Some(g) = &e.pressures {
        v["hourly_pressures"] = gauges(g);
    }
    if let Some(h) = &e.health {
        v["health"] = health(h);
    }
    v
}

fn proof(v: &mut Value, proof: Option<&Proof>) {
    v["command_key_version"] = proof.map_or(0, |p| p.key_version).into();
    if let Some(p) = proof {
        v["mac"] = hex(&p.mac).into();
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A record in the order of fields that the form asks for.
pub fn record(r: &Record, sequence: u32, names: &Names) -> Value {
    let first = [
        "type",
        "sequence",
        "stamp",
        "command_key_version",
        "meter",
        "snapshot",
        "valve",
        "flow_category",
        "register",
    ];
    let known = match r {
        Record::CommandResult(_) => &first[..4],
        Record::AlarmNotice(_) => &first,
        _ => &first[..2],
    };
    let mut fields = fields(r, names);
    fields["sequence"] = sequence.into();
    let mut out = Map::new();
    for name in known {
        if let Some(value) = fields.get(*name) {
            out.insert((*name).to_owned(), value.clone());
        }
    }
    for (name, value) in fields.as_object().unwrap() {
        out.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(out)
}

fn fields(r: &Record, names: &Names) -> Value {
    match r {
        Record::Everyday(e) => everyday(e, names),
        Record::AlarmNotice(a) => {
            let states = ["", "raised", "cleared", "present"];
            let alarms = a.alarms.iter().map(|x| {
                json!({"alarm": names.id("alarm", x.alarm), "state": states[usize::from(x.state)],
                    "code": hex(&x.code)})
            });
            let mut v = json!({
                "type": "alarm_notice", "stamp": stamp(&a.stamp), "meter": meter(a.meter),
                "snapshot": a.snapshot, "valve": names.id("valve", a.valve),
                "panel": text(&a.panel), "alarms": alarms.collect::<Value>(),
            });
            if a.flow_category != 0 {
                v["flow_category"] = text(&[a.flow_category]).into();
            }
            if let Some(g) = &a.register {
                v["register"] = register(g, names);
            }
            v
        }
        Record::ValveState(s) => {
            let mut v = json!({
                "type": "valve_state", "stamp": stamp(&s.stamp), "meter": meter(s.meter),
                "valve": names.id("valve", s.valve), "cause": s.cause, "command": s.command,
            });
            proof(&mut v, s.proof.as_ref());
            v
        }
        Record::CommandResult(c) => {
            let mut v = json!({
                "type": "command_result", "stamp": stamp(&c.stamp), "command": c.command,
                "kind": names.id("command", c.kind), "meter": meter(c.meter),
                "valve": names.id("valve", c.valve), "outcome": names.id("outcome", c.outcome),
                "data": hex(&c.data),
            });
            proof(&mut v, c.proof.as_ref());
            v
        }
        Record::MeterTable(t) => json!({
            "type": "meter_table", "stamp": stamp(&t.stamp), "meter": meter(t.meter),
            "medium": t.medium, "unit": unit(t.unit, names), "digits": t.digits,
            "serial": text(&t.serial),
        }),
        other => small(other, names),
    }
}

fn small(r: &Record, names: &Names) -> Value {
    match r {
        Record::RegisterReading {
            stamp: s,
            meter: m,
            cause,
            register: g,
        } => json!({
            "type": "register_reading", "stamp": stamp(s), "meter": meter(*m), "cause": cause,
            "register": register(g, names),
        }),
        Record::IntervalSeries {
            stamp: s,
            meter: m,
            unit: u,
            step_min,
            series: x,
        } => json!({
            "type": "interval_series", "stamp": stamp(s), "meter": meter(*m),
            "unit": unit(*u, names), "step_min": step_min, "count": x.count(),
            "series": series(x),
        }),
        Record::IntervalGauges {
            stamp: s,
            meter: m,
            unit: u,
            step_min,
            gauges: g,
        } => json!({
            "type": "interval_gauges", "stamp": stamp(s), "meter": meter(*m),
            "unit": unit(*u, names), "step_min": step_min, "count": g.marks().len(),
            "gauges": gauges(g),
        }),
        Record::Health {
            stamp: s,
            health: h,
            sends_total,
            uptime_s,
        } => json!({
            "type": "health", "stamp": stamp(s), "health": health(h),
            "sends_total": sends_total, "uptime_s": uptime_s,
        }),
        other => occasional(other, names),
    }
}

fn occasional(r: &Record, names: &Names) -> Value {
    match r {
        Record::ResidualGas {
            stamp: s,
            meter: m,
            level,
            register: g,
        } => {
            let mut v = json!({
                "type": "residual_gas", "stamp": stamp(s), "meter": meter(*m), "level": level,
            });
            if let Some(g) = g {
                v["register"] = register(g, names);
            }
            v
        }
        Record::MeterExchange {
            stamp: s,
            old,
            new,
            old_register,
            new_register,
        } => {
            let mut v = json!({
                "type": "meter_exchange", "stamp": stamp(s), "old_meter": meter(*old),
                "new_meter": meter(*new),
            });
            if let Some(g) = old_register {
                v["old_register"] = register(g, names);
            }
            if let Some(g) = new_register {
                v["new_register"] = register(g, names);
            }
            v
        }
        other => rare(other),
    }
}

fn rare(r: &Record) -> Value {
    match r {
        Record::ClockChange {
            before,
            after,
            cause,
        } => json!({
            "type": "clock_change", "before": stamp(before), "after": stamp(after),
            "cause": cause,
        }),
        Record::OpaquePayload {
            stamp: s,
            maker,
            payload_type,
            payload,
        } => json!({
            "type": "opaque_payload", "stamp": stamp(s), "maker": maker,
            "payload_type": payload_type, "payload": hex(payload),
        }),
        Record::TerminalInfo {
            stamp: s,
            model,
            firmware,
            capabilities,
            zone,
        } => json!({
            "type": "terminal_info", "stamp": stamp(s), "model": model, "firmware": firmware,
            "capabilities": capabilities, "zone_quarter_hours": zone,
        }),
        Record::Maker { number, body } => json!({
            "type": "opaque", "number": number, "critical": false, "body": hex(body),
        }),
        _ => Value::Null,
    }
}
