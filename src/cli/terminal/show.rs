//! `kenshin terminal show`: what is registered and known of a terminal, and what is folded of it.

use std::process::ExitCode;

use serde_json::json;

use super::super::operator::{Link, OperatorError, show_error};
use super::super::output::{fields, instant, or_dash, show};
use super::OneArgs;
use crate::admin::query::{AlarmView, Question, Reply, TerminalFolded};
use crate::admin::{Answer, Ask, Trouble};
use crate::registry::{self, Command, MeterView};

/// What is folded, or why that cannot be told.
type Folded = Result<(u64, Box<TerminalFolded>), Trouble>;

/// Shows a terminal.
#[must_use]
pub(super) fn run(args: &OneArgs) -> ExitCode {
    let (answer, folded) = match ask(args) {
        Ok(both) => both,
        Err(error) => return show_error(&args.place, &error),
    };
    let Answer::Registry(reply @ registry::Reply::Terminal { terminal }) = &answer else {
        return show_error(&args.place, &OperatorError::OtherAnswer);
    };
    let shown = if args.place.json {
        format!("{}\n", json_of(reply, &folded))
    } else {
        let mut terminal = terminal.clone();
        if let Ok((_, folded)) = &folded {
            terminal.meters = joined(&terminal.meters, &folded.meters);
        }
        format!("{}{}", super::show(&terminal), text_of(&folded))
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

/// Each meter once: registers as memory has them, and what is only folded beside them.
fn joined(known: &[MeterView], folded: &[MeterView]) -> Vec<MeterView> {
    let mut meters = known.to_vec();
    let place = |meter: &MeterView| (meter.slot, meter.generation);
    for one in folded {
        match meters.iter_mut().find(|known| place(known) == place(one)) {
            Some(known) => {
                known.serial.clone_from(&one.serial);
                known.medium = one.medium;
                known.valve.clone_from(&one.valve);
                known.valve_at_utc_s = one.valve_at_utc_s;
            }
            None => meters.push(one.clone()),
        }
    }
    meters
}

fn text_of(folded: &Folded) -> String {
    match folded {
        Ok((position, folded)) => {
            let mut pairs = health_pairs(folded);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(octet: u8, register: u64, serial: Option<&str>) -> MeterView {
        MeterView {
            serial: serial.map(str::to_owned),
            ..MeterView::new(octet, true, (register, 0x13), 1_793_404_800)
        }
    }

    #[test]
    fn each_meter_is_shown_once_with_the_register_of_memory_and_the_serial_that_is_folded() {
        let known = [meter(0x00, 20, None)];
        let folded = [meter(0x00, 10, Some("G-1")), meter(0x10, 5, Some("G-2"))];
        let wanted = [meter(0x00, 20, Some("G-1")), meter(0x10, 5, Some("G-2"))];
        assert_eq!(joined(&known, &folded), wanted);
    }
}
