//! Values from the JSON form of decoded frames.

use serde_json::Value;
use simulator::codec::gauges::Gauges;
use simulator::codec::record::*;
use simulator::codec::report::{Report, Stamp, uncertainty_code};
use simulator::codec::series::{Reason, Segment, Series};
use simulator::json::{List, Names};

use super::keys::unhex;

fn n<T: TryFrom<i64>>(v: &Value) -> T {
    T::try_from(v.as_i64().unwrap()).ok().unwrap()
}

/// The code of a name, or of `unknown_<code>`.
fn code(names: &Names, list: List, id: &Value) -> u8 {
    (0..=u8::MAX)
        .find(|code| *id == *names.id(list, *code))
        .unwrap()
}

pub(crate) fn stamp(v: &Value) -> Stamp {
    match v.get("utc_s") {
        Some(utc) => Stamp::Set {
            utc_s: n(utc),
            uncertainty: v["uncertainty_s"].as_u64().map_or(127, uncertainty_code),
        },
        None => Stamp::Unset {
            uptime_s: n(&v["uptime_s"]),
            boot: n(&v["boot"]),
        },
    }
}

pub(crate) fn report(v: &Value, names: &Names) -> Report {
    let command: u32 = n(&v["command"]);
    Report {
        stamp: stamp(&v["stamp"]),
        epoch: n(&v["epoch"]),
        slot_version: n(&v["wake_slot_version"]),
        following: n(&v["frames_following"]),
        command: (command != 0).then(|| (command, code(names, List::Outcome, &v["outcome"]))),
    }
}

fn meter(v: &Value) -> MeterRef {
    MeterRef {
        slot: n(&v["slot"]),
        generation: n(&v["generation"]),
    }
}

fn unit(v: &Value) -> Unit {
    Unit(n(&v["code"]))
}

fn register(v: &Value) -> Option<Register> {
    v.is_object().then(|| Register {
        unit: unit(&v["unit"]),
        value: n(&v["value"]),
    })
}

fn reason(code: u8) -> Reason {
    [
        Reason::Gap,
        Reason::Wrap,
        Reason::Correction,
        Reason::Reverse,
        Reason::Clock,
        Reason::BigStep,
        Reason::Other,
    ][usize::from(code)]
}

pub(crate) fn series(v: &Value, count: usize) -> Option<Series> {
    let segment = |s: &Value| Segment {
        reason: reason(n(&s["reason"])),
        first: n(&s["first_mark"]),
        registers: s["registers"].as_array().unwrap().iter().map(n).collect(),
    };
    let segments = v.as_array()?.iter().map(segment).collect();
    Some(Series::from_segments(u8::try_from(count).unwrap(), segments).unwrap())
}

pub(crate) fn gauges(v: &Value) -> Option<Gauges> {
    Gauges::new(
        v.as_array()?
            .iter()
            .map(|g| (!g.is_null()).then(|| n(g)))
            .collect(),
    )
}

fn health(v: &Value) -> Health {
    let causes = [
        "power",
        "watchdog",
        "brown_out",
        "firmware",
        "fault",
        "external",
    ];
    let known = causes.iter().position(|c| v["reset_cause"] == *c);
    Health {
        battery: v["battery_mv"]
            .as_u64()
            .map_or(255, |mv| u8::try_from(mv / 20).unwrap()),
        remaining: v["remaining_percent"]
            .as_u64()
            .map_or(255, |p| u8::try_from(p).unwrap()),
        rsrp: v["rsrp_dbm"]
            .as_i64()
            .map_or(255, |d| u8::try_from(-d).unwrap()),
        snr: v["snr_db"]
            .as_i64()
            .map_or(-128, |d| i8::try_from(d).unwrap()),
        temperature: v["temperature_degc"]
            .as_i64()
            .map_or(-128, |d| i8::try_from(d).unwrap()),
        sends: n(&v["sends"]),
        reset: known.map_or(15, |k| u8::try_from(k).unwrap()),
    }
}

fn alarm(v: &Value, names: &Names) -> Alarm {
    let states = ["", "raised", "cleared", "present"];
    let state = states.iter().position(|s| v["state"] == *s).unwrap();
    Alarm {
        alarm: code(names, List::Alarm, &v["alarm"]),
        state: u8::try_from(state).unwrap(),
        code: unhex(v["code"].as_str().unwrap()).try_into().unwrap(),
    }
}

fn proof(v: &Value) -> Option<Proof> {
    let mac = unhex(v["mac"].as_str()?).try_into().unwrap();
    Some(Proof {
        key_version: n(&v["command_key_version"]),
        mac,
    })
}

fn text(v: &Value) -> Vec<u8> {
    v.as_str().unwrap().as_bytes().to_vec()
}

/// A record; `None` is one that the sender has no type for.
pub(crate) fn record(v: &Value, names: &Names) -> Option<Record> {
    let at = || stamp(&v["stamp"]);
    Some(match v["type"].as_str()? {
        "everyday" => Record::Everyday(Everyday {
            valve: code(names, List::Valve, &v["valve"]),
            meter: meter(&v["meter"]),
            unit: unit(&v["unit"]),
            day: n(&v["day"]),
            daily: v.get("daily_register").map(n),
            registers: v.get("hourly_registers").and_then(|s| series(s, 24)),
            pressures: v.get("hourly_pressures").and_then(gauges),
            health: v.get("health").map(health),
        }),
        "register_reading" => Record::RegisterReading {
            stamp: at(),
            meter: meter(&v["meter"]),
            cause: n(&v["cause"]),
            register: register(&v["register"])?,
        },
        "interval_series" => Record::IntervalSeries {
            stamp: at(),
            meter: meter(&v["meter"]),
            unit: unit(&v["unit"]),
            step_min: n(&v["step_min"]),
            series: series(&v["series"], n(&v["count"]))?,
        },
        "interval_gauges" => Record::IntervalGauges {
            stamp: at(),
            meter: meter(&v["meter"]),
            unit: unit(&v["unit"]),
            step_min: n(&v["step_min"]),
            gauges: gauges(&v["gauges"])?,
        },
        "alarm_notice" => Record::AlarmNotice(AlarmNotice {
            stamp: at(),
            meter: meter(&v["meter"]),
            snapshot: v["snapshot"].as_bool()?,
            valve: code(names, List::Valve, &v["valve"]),
            flow_category: v.get("flow_category").map_or(0, |f| text(f)[0]),
            register: register(&v["register"]),
            panel: text(&v["panel"]),
            alarms: v["alarms"]
                .as_array()?
                .iter()
                .map(|a| alarm(a, names))
                .collect(),
        }),
        "valve_state" => Record::ValveState(ValveState {
            stamp: at(),
            meter: meter(&v["meter"]),
            valve: code(names, List::Valve, &v["valve"]),
            cause: n(&v["cause"]),
            command: n(&v["command"]),
            proof: proof(v),
        }),
        "command_result" => Record::CommandResult(CommandResult {
            stamp: at(),
            command: n(&v["command"]),
            kind: code(names, List::Command, &v["kind"]),
            meter: meter(&v["meter"]),
            valve: code(names, List::Valve, &v["valve"]),
            outcome: code(names, List::Outcome, &v["outcome"]),
            data: unhex(v["data"].as_str()?),
            proof: proof(v),
        }),
        _ => return rare(v),
    })
}

fn rare(v: &Value) -> Option<Record> {
    let at = || stamp(&v["stamp"]);
    Some(match v["type"].as_str()? {
        "health" => Record::Health {
            stamp: at(),
            health: health(&v["health"]),
            sends_total: n(&v["sends_total"]),
            uptime_s: n(&v["uptime_s"]),
        },
        "residual_gas" => Record::ResidualGas {
            stamp: at(),
            meter: meter(&v["meter"]),
            level: n(&v["level"]),
            register: register(&v["register"]),
        },
        "meter_exchange" => Record::MeterExchange {
            stamp: at(),
            old: meter(&v["old_meter"]),
            new: meter(&v["new_meter"]),
            old_register: register(&v["old_register"]),
            new_register: register(&v["new_register"]),
        },
        "meter_table" => Record::MeterTable(MeterTable {
            stamp: at(),
            meter: meter(&v["meter"]),
            medium: n(&v["medium"]),
            unit: unit(&v["unit"]),
            digits: n(&v["digits"]),
            serial: text(&v["serial"]),
        }),
        "clock_change" => Record::ClockChange {
            before: stamp(&v["before"]),
            after: stamp(&v["after"]),
            cause: n(&v["cause"]),
        },
        "opaque_payload" => Record::OpaquePayload {
            stamp: at(),
            maker: n(&v["maker"]),
            payload_type: n(&v["payload_type"]),
            payload: unhex(v["payload"].as_str()?),
        },
        "terminal_info" => Record::TerminalInfo {
            stamp: at(),
            model: n(&v["model"]),
            firmware: n(&v["firmware"]),
            capabilities: n(&v["capabilities"]),
            zone: n(&v["zone_quarter_hours"]),
        },
        "opaque" => Record::Maker {
            number: n(&v["number"]),
            body: unhex(v["body"].as_str()?),
        },
        _ => return None,
    })
}
