//! Things that happen: a line each, and a count where there is one.
//!
//! What anybody can cause without authenticating is not told above `debug`, but for each 1,024th
//! frame that fails under one key of a registered terminal, and for the first refusal an hour of an
//! M-Bus meter that its key file contradicts, for a number of meters, and for the first search an
//! hour that meets damage in a file of the log: a flood of frames must not become a flood of lines.
//! No event holds a key, a token or the content of a record.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use super::levels::DiskLevel;
use super::metrics::Metrics;
use crate::model::{Lsn, TerminalId};
use crate::session::mbus::Refusal as Refused;
use crate::session::otl::refusal::{Reason, Refusal};
use crate::wire::mbus::address::Address;

/// A listener is open.
pub fn listening(what: &'static str, address: SocketAddr) {
    tracing::info!(what, %address, "Listening.");
}

/// A frame was refused.
pub fn frame_refused(metrics: &Metrics, refusal: &Refusal) {
    metrics.refused(refusal.reason);
    let Refusal {
        reason,
        offset,
        verified,
    } = refusal;
    tracing::debug!(reason = reason.id(), offset, verified, "Refused a frame.");
}

/// A telegram of a gateway was refused, of the meter that it names.
pub fn telegram_refused(gateway: &str, meter: Option<Address>, refusal: &Refused, is_news: bool) {
    let meter = meter.map_or_else(|| "unknown".to_owned(), |meter| meter.to_string());
    let reason = refusal.id();
    if is_news {
        tracing::warn!(
            gateway,
            meter,
            reason,
            "A registered meter and its entry in the key file do not agree: {refusal}. Compare its \
             key and policy. Its further refusals of this hour are told at debug."
        );
    } else {
        tracing::debug!(gateway, meter, reason, "Refused a telegram: {refusal}.");
    }
}

/// A part of the log cannot be read in which a telegram was looked for.
pub fn search_met_damage(error: &dyn Display, is_news: bool) {
    if is_news {
        tracing::warn!(
            %error,
            "A telegram was looked for in what cannot be read of the log. Until the file is \
             restored from a copy, gateways hear BUSY for those that it may hold; `kenshin log \
             verify` lists all damage. What else is met in this file within an hour is told at \
             debug."
        );
    } else {
        tracing::debug!(%error, "A telegram was looked for in what cannot be read of the log.");
    }
}

/// A counter came with two tags: a copy of the terminal, or its memory was set back.
pub fn clone_suspected(metrics: &Metrics, terminal: TerminalId) {
    metrics.refused(Reason::CounterClone);
    tracing::warn!(%terminal, "A copy of this terminal may be in use.");
}

/// A terminal knows more than the state of the server.
pub fn rollback_suspected(metrics: &Metrics, terminal: TerminalId) {
    metrics.refused(Reason::RollbackSuspected);
    tracing::error!(%terminal, "This server may run on an older copy of its data.");
}

/// A record's number is known with other content.
pub fn record_conflict(metrics: &Metrics, terminal: TerminalId, sequence: u64) {
    metrics.refused(Reason::RecordConflict);
    tracing::warn!(%terminal, sequence, "Kept a record apart: its number has other content.");
}

/// A verified record cannot be decoded.
pub fn record_quarantined(metrics: &Metrics, terminal: TerminalId, sequence: u64) {
    metrics.refused(Reason::RecordUndecodable);
    tracing::warn!(%terminal, sequence, "Kept a record apart: it cannot be decoded.");
}

/// The log takes nothing any more.
pub fn log_stopped(error: &dyn Display) {
    tracing::error!(%error, "The log has stopped; nothing is acknowledged until a restart.");
}

/// The end of the log was no whole batch and was cut: a power cut, or damage of the last batch.
pub fn torn_end_cut(from: Lsn, to: Lsn) {
    let (from, to) = (from.get(), to.get());
    tracing::warn!(
        from,
        to,
        "Cut the end of the log, which was no whole batch. After a power cut that is as it should \
         be; otherwise the last records are damaged: compare with a copy."
    );
}

/// The disk is fuller or emptier than before.
pub fn disk_level_changed(from: DiskLevel, to: DiskLevel) {
    let (before, level) = (from.id(), to.id());
    if from < to {
        let what = match to {
            DiskLevel::Plenty | DiskLevel::ComeBack => {
                "readings are told to come back (gateways hear BUSY) until the disk is less full \
                 than disk.come_back_percent"
            }
            DiskLevel::AlarmsOnly => {
                "only alarms and results are taken until the disk is less full than \
                 disk.alarms_only_percent"
            }
            DiskLevel::Full => "nothing is taken",
        };
        tracing::warn!(before, level, "The disk is fuller: {what}.");
    } else {
        tracing::info!(before, level, "The disk is emptier.");
    }
}

/// The server was asked to stop.
pub fn stopping(cause: &'static str) {
    tracing::info!(cause, "Stopping; a second signal ends at once.");
}

/// The server was asked a second time to stop.
pub fn stopping_at_once(cause: &'static str) {
    tracing::warn!(cause, "Ending at once.");
}

/// A stage of stopping began.
pub fn stage_began(stage: &'static str, deadline: Duration) {
    let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(stage, deadline_ms, "A stage of stopping began.");
}

/// A stage of stopping is over.
pub fn stage_ended(stage: &'static str) {
    tracing::info!(stage, "A stage of stopping is over.");
}

/// A stage of stopping did not end in its time.
pub fn stage_was_late(stage: &'static str) {
    tracing::warn!(stage, "A stage of stopping took too long and was left.");
}
