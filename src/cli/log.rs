//! `kenshin log`: checks the custody log and shows its frames. Nothing is written, so both work
//! beside a server that runs.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{fail, show};
use crate::app::boot::STATE_DIRECTORY;
use crate::model::{Event, Lanes, Lsn, SessionStep, Telegram};
use crate::store::fs::RealFs;
use crate::store::log::{DIRECTORY, Damage, FrameRef, Survey, SurveyError, survey};
use crate::store::state::fold::{KIND_EVENT, KIND_STEP, KIND_TELEGRAM};
use crate::store::state::snapshot;

/// What `--help` says after the arguments.
const AFTER_HELP: &str = "\
Exit status:
  0  the log is good; a torn end, which is told, may be of a batch that was never durable
  1  it is damaged, and each range is named
  2  the arguments are wrong, or the log cannot be read";

/// The arguments of `kenshin log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LogCommand,
}

/// The subcommands of `kenshin log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Check every frame, the order of the frames and that of the files.
    #[command(after_long_help = AFTER_HELP)]
    Verify(VerifyArgs),
    /// Show frames, one a line.
    #[command(after_long_help = AFTER_HELP)]
    Inspect(InspectArgs),
}

/// The arguments of `kenshin log verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR", alias = "data-dir")]
    pub data: PathBuf,

    /// Show the outcome as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `kenshin log inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR", alias = "data-dir")]
    pub data: PathBuf,

    /// Begin at this position of the log.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub from: u64,

    /// Show so many frames; without it, all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// Show each frame as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs a subcommand of `kenshin log`.
///
/// The exit code is 0 if the log is good, 1 if it is damaged, and 2 if it cannot be read.
#[must_use]
pub fn run(args: &LogArgs) -> ExitCode {
    let outcome = match &args.command {
        LogCommand::Verify(args) => verify(args),
        LogCommand::Inspect(args) => inspect(args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Why the log was not looked at, or not shown.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error("cannot write to standard output: {0}")]
    Show(#[source] io::Error),
}

fn code_of(survey: &Survey) -> ExitCode {
    if survey.damage.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A write to a reader that has seen enough is no failure.
fn written(result: io::Result<()>) -> Result<(), LogError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(LogError::Show(error)),
        _ => Ok(()),
    }
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, LogError> {
    let dir = args.data.join(DIRECTORY);
    let mut found = survey(&RealFs, &dir, Lsn::ZERO, &mut |_| ControlFlow::Continue(()))?;
    // A folder that cannot be read tells nothing of the log.
    let snapshots = args.data.join(STATE_DIRECTORY);
    let known = snapshot::newest_kept(&snapshots, &RealFs).ok().flatten();
    found
        .damage
        .extend(known.and_then(|known| cut_off(&found, &dir, known)));
    let text = if args.json {
        format!("{}\n", json_of(&found))
    } else {
        text_of(&found)
    };
    Ok(show(&text, code_of(&found)))
}

/// The damage of a log that ends before a position which a snapshot knows to have been durable.
fn cut_off(found: &Survey, dir: &Path, known: Lsn) -> Option<Damage> {
    let end = found.segments.last().map_or(Lsn::ZERO, |last| last.end);
    (end < known).then(|| Damage {
        path: dir.to_owned(),
        from: end,
        to: known,
        what: "it is missing, and a snapshot of the state knows that it was durable",
    })
}

fn frames_of(survey: &Survey) -> u64 {
    survey.segments.iter().map(|segment| segment.frames).sum()
}

fn json_of(survey: &Survey) -> Value {
    let damage = survey.damage.iter().map(|damage| {
        json!({
            "file": damage.path.display().to_string(),
            "from": damage.from,
            "to": damage.to,
            "wrong": damage.what,
        })
    });
    json!({
        "ok": survey.damage.is_empty(),
        "first": survey.segments.first().map(|segment| segment.base),
        "end": survey.segments.last().map(|segment| segment.end),
        "segments": survey.segments.len(),
        "frames": frames_of(survey),
        "torn_octets": survey.torn_octets,
        "damage": damage.collect::<Vec<_>>(),
    })
}

fn line_of(damage: &Damage) -> String {
    let (from, to, what) = (damage.from, damage.to, damage.what);
    let path = damage.path.display();
    format!("damaged from position {from} to {to} in {path}: {what}\n")
}

fn text_of(survey: &Survey) -> String {
    let mut text: String = survey.damage.iter().map(line_of).collect();
    let first = survey.segments.first().map_or(Lsn::ZERO, |s| s.base);
    let end = survey.segments.last().map_or(Lsn::ZERO, |s| s.end);
    let (frames, segments) = (frames_of(survey), survey.segments.len());
    text.push_str(&format!(
        "{frames} frames in {segments} segments, positions {first} to {end}\n"
    ));
    if survey.torn_octets > 0 && survey.damage.is_empty() {
        text.push_str(&format!(
            "{} octets at the end are of a batch that is being written, or was torn; the next \
             start cuts them\n",
            survey.torn_octets
        ));
    }
    text.push_str(if survey.damage.is_empty() {
        "The log is good.\n"
    } else {
        "The log is damaged: restore the files that are named from a copy.\n"
    });
    text
}

fn inspect(args: &InspectArgs) -> Result<ExitCode, LogError> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut shown = Ok(());
    let mut show = |frame: &FrameRef<'_>| {
        let line = if args.json {
            format!("{}\n", json_of_frame(frame))
        } else {
            line_of_frame(frame)
        };
        shown = output.write_all(line.as_bytes());
        left = left.saturating_sub(1);
        if left == 0 || shown.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let dir = args.data.join(DIRECTORY);
    let found = survey(&RealFs, &dir, Lsn::new(args.from), &mut show)?;
    written(shown.and_then(|()| output.flush()))?;
    let damage: String = found.damage.iter().map(line_of).collect();
    // A failure to say why has no place to be said.
    io::stderr().write_all(damage.as_bytes()).ok();
    Ok(code_of(&found))
}

fn lanes_of(frame: &FrameRef<'_>) -> Vec<&'static str> {
    let all = [(Lanes::BULK, "bulk"), (Lanes::ALARM, "alarm")];
    let has = all.into_iter().filter(|(lane, _)| frame.lanes.meets(*lane));
    has.map(|(_, name)| name).collect()
}

/// What a payload says, without readings.
fn content_of(frame: &FrameRef<'_>) -> (&'static str, Value) {
    match frame.kind {
        KIND_STEP => match SessionStep::decode(frame.payload) {
            Ok(step) => ("session_step", json_of_step(&step)),
            Err(error) => ("session_step", json!({ "error": error.to_string() })),
        },
        KIND_EVENT => match Event::decode(frame.payload) {
            Ok(event) => ("event", json!(event)),
            Err(error) => ("event", json!({ "error": error.to_string() })),
        },
        KIND_TELEGRAM => match Telegram::decode(frame.payload) {
            Ok(telegram) => ("telegram", json_of_telegram(&telegram)),
            Err(error) => ("telegram", json!({ "error": error.to_string() })),
        },
        _ => ("unknown", Value::Null),
    }
}

fn json_of_step(step: &SessionStep<'_>) -> Value {
    let entries = step.entries.iter().map(|entry| {
        json!({
            "sequence": entry.sequence,
            "type": entry.number,
            "flags": entry.flags.names().collect::<Vec<_>>(),
        })
    });
    json!({
        "utility": step.utility.to_string(),
        "mode": step.mode,
        "received_utc_s": step.received_utc_s,
        "counter": step.counter,
        "epoch": step.epoch.map(|epoch| format!("{epoch:08x}")),
        "decoder": step.decoder,
        "entries": entries.collect::<Vec<_>>(),
        "plaintext_octets": step.plaintext.len(),
    })
}

fn json_of_telegram(telegram: &Telegram<'_>) -> Value {
    let key = telegram.security.key;
    json!({
        "utility": telegram.utility.to_string(),
        "meter": telegram.meter.to_string(),
        "gateway": telegram.gateway,
        "carriage": telegram.carriage.id(),
        "received_utc_ms": telegram.received_utc_ms,
        "heard_utc_ms": telegram.heard_utc_ms,
        "rssi_dbm": telegram.rssi_dbm,
        "security_mode": telegram.security.mode,
        "verified": telegram.security.verified.id(),
        "key": key.map(|key| json!({ "id": key.id.0, "version": key.version.0 })),
        "counter": telegram.security.counter,
        "ci": format!("{:02x}", telegram.ci),
        "digest": format!("{:016x}", telegram.digest),
        "decoder": telegram.decoder,
        "payload_octets": telegram.payload.len(),
    })
}

fn json_of_frame(frame: &FrameRef<'_>) -> Value {
    let (name, content) = content_of(frame);
    json!({
        "position": frame.lsn,
        "next": frame.next,
        "kind": frame.kind,
        "name": name,
        "lanes": lanes_of(frame),
        "terminal": frame.terminal,
        "payload_octets": frame.payload.len(),
        "content": content,
    })
}

fn line_of_frame(frame: &FrameRef<'_>) -> String {
    let (name, content) = content_of(frame);
    let terminal = frame
        .terminal
        .map_or_else(|| "-".to_owned(), |t| t.to_string());
    let lanes = match lanes_of(frame).join("+") {
        none if none.is_empty() => "-".to_owned(),
        lanes => lanes,
    };
    let octets = frame.payload.len();
    format!(
        "{:>12} {name} {lanes} {terminal} {octets} octets {content}\n",
        frame.lsn.get()
    )
}
