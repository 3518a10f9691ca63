//! `kenshin terminal show`: what is registered and known of a terminal, and what is folded of it.

use std::process::ExitCode;

use serde_json::json;

use super::super::operator::{Link, OperatorError, show_error};
use super::super::output::{fields, instant, or_dash, show};
use super::OneArgs;
use crate::admin::query::{AlarmView, MeterFolded, Question, Reply, TerminalFolded};
use crate::admin::{Answer, Ask, Trouble};
use crate::registry::{self, Command};

/// What is folded, or why that cannot be told.
type Folded = Result<(u64, Option<Box<TerminalFolded>>), Trouble>;

/// Shows a terminal.
#[must_use]
pub(super) fn run(args: &OneArgs) -> ExitCode {
    let (answer, folded) = match ask(args) {
        Ok(both) => both,
        Err(error) => return show_error(&args.place, &error),
    };
    let Answer::Registry(reply) = &answer else {
        return show_error(&args.place, &OperatorError::OtherAnswer);
    };
    let shown = if args.place.json {
        format!("{}\n", json_of(reply, &folded))
    } else {
        let registered = super::text(&answer).unwrap_or_default();
        format!("{registered}{}", text_of(&folded))
    };
    show(&shown, ExitCode::SUCCESS)
}

fn ask(args: &OneArgs) -> Result<(Answer, Folded), OperatorError> {
    let terminal = args.terminal;
    let mut link = Link::open(&args.place, true)?;
    let registered = link.ask(Ask::Registry(Command::TerminalShow { terminal }))?;
    // What is registered is shown whether or not anything is folded.
    let folded = match link.ask(Ask::Query(Question::Terminal { terminal })) {
        Ok(Answer::Query(Reply::Terminal { position, folded })) => Ok((position.get(), folded)),
        Ok(_) => return Err(OperatorError::OtherAnswer),
        Err(OperatorError::Trouble(trouble)) => Err(trouble),
        Err(error) => return Err(error),
    };
    link.close()?;
    Ok((registered, folded))
}

fn json_of(reply: &registry::Reply, folded: &Folded) -> serde_json::Value {
    let mut value = json!(reply);
    let folded = match folded {
        Ok((position, folded)) => json!({ "position": position, "terminal": folded }),
        Err(trouble) => json!({ "error": trouble }),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("folded".to_owned(), folded);
    }
    value
}

fn text_of(folded: &Folded) -> String {
    match folded {
        Ok((position, None)) => {
            format!("nothing is folded of it before position {position} of the log\n")
        }
        Ok((position, Some(folded))) => {
            let mut pairs = health_pairs(folded);
            for meter in &folded.meters {
                pairs.push(("at the meter", meter_text(meter)));
            }
            for alarm in &folded.open_alarms {
                pairs.push(("open alarm", alarm_text(alarm)));
            }
            pairs.push(("as of position", position.to_string()));
            fields(&pairs)
        }
        Err(trouble) => format!("what is folded cannot be told: {trouble}\n"),
    }
}

fn health_pairs(folded: &TerminalFolded) -> Vec<(&'static str, String)> {
    let Some(at) = folded.health_at_utc_s else {
        return vec![("health", "-".to_owned())];
    };
    let health = &folded.health;
    let with = |value: Option<String>, unit: &str| match value {
        Some(value) => format!("{value} {unit}"),
        None => "unknown".to_owned(),
    };
    vec![
        ("health at", instant(Some(at))),
        (
            "battery",
            with(health.battery_mv.map(|mv| mv.to_string()), "mV"),
        ),
        (
            "charge left",
            with(health.remaining_percent.map(|one| one.to_string()), "%"),
        ),
        (
            "power received",
            with(health.rsrp_dbm.map(|one| one.to_string()), "dBm"),
        ),
        (
            "signal to noise",
            with(health.snr_db.map(|one| one.to_string()), "dB"),
        ),
        (
            "temperature",
            with(health.temperature_degc.map(|one| one.to_string()), "°C"),
        ),
        ("last reset", or_dash(folded.reset_cause.as_ref())),
    ]
}

fn meter_text(meter: &MeterFolded) -> String {
    let MeterFolded {
        slot,
        generation,
        serial,
        valve,
        valve_at_utc_s,
        ..
    } = meter;
    let serial = or_dash(serial.as_ref());
    let valve = match valve {
        Some(valve) => format!("valve {valve} at {}", instant(*valve_at_utc_s)),
        None => "no word of a valve".to_owned(),
    };
    format!("slot {slot} generation {generation}: serial {serial}, {valve}")
}

fn alarm_text(alarm: &AlarmView) -> String {
    let since = instant(Some(alarm.since_utc_s));
    let code = alarm.code.as_ref();
    let code = code.map_or_else(String::new, |code| format!(" (code {code})"));
    let (slot, generation) = (alarm.slot, alarm.generation);
    format!(
        "{}{code} of slot {slot} generation {generation} since {since}",
        alarm.alarm
    )
}
