//! The step of the log that an order of a machine becomes.

use crate::keyring::UtilityId;
use crate::model::step::{DECODER_VERSION, Observation, StepEntry, StepTooLong, command_octets};
use crate::model::{Lanes, RecordFlags, SessionStep, StepFlags};
use crate::session::otl::machine::StepOrder;
use crate::session::otl::records::RecordVerdict;
use crate::session::otl::step::Commit;
use crate::store::state::fold::kept_number;

use super::dating::FrameTime;
use super::plausibility::{self, KnownMeters};

/// What the server knows of a frame beside its content.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The utility of its terminal.
    pub utility: UtilityId,
    /// When it came, UTC seconds.
    pub utc_s: u32,
    /// Whether it came over TCP.
    pub over_tcp: bool,
}

/// A step, encoded.
#[derive(Debug)]
pub struct EncodedStep {
    /// The payload of its log frame.
    pub payload: Vec<u8>,
    /// The lanes that it has new facts for.
    pub lanes: Lanes,
}

/// Encodes an order; `meters` is what state has of the meters that its records name.
///
/// # Errors
///
/// [`StepTooLong`], which no frame of 1,200 octets reaches.
pub fn encode(
    order: &StepOrder,
    received: &Received,
    mut meters: KnownMeters,
) -> Result<EncodedStep, StepTooLong> {
    let commit = &order.commit;
    let mut observations = Vec::new();
    let entries = entries(commit, received.utc_s, &mut meters, &mut observations);
    let command = commit.command.as_ref().map(command_octets);
    let header = order.header.encode();
    let step = SessionStep {
        utility: received.utility,
        mode: commit.mode.number(),
        kept: kept_number(commit.kept(false)),
        flags: flags(commit, received.over_tcp),
        received_utc_s: received.utc_s,
        counter: commit.counter.get(),
        digest: commit.digest,
        promoted_version: commit.promotion.version.map(|version| version.get()),
        promoted_mode: commit.promotion.mode.map(|mode| mode.number()),
        decoder: DECODER_VERSION,
        epoch: commit.report.map(|report| report.epoch),
        entries,
        command: command.as_deref().unwrap_or_default(),
        observations,
        header: header.as_slice(),
        plaintext: &order.plaintext,
    };
    let lanes = Lanes::NONE;
    let lanes = if step.has_new_alarm() {
        lanes.with(Lanes::ALARM)
    } else {
        lanes
    };
    let lanes = if step.has_new_bulk() {
        lanes.with(Lanes::BULK)
    } else {
        lanes
    };
    Ok(EncodedStep {
        payload: step.encode()?,
        lanes,
    })
}

fn flags(commit: &Commit, over_tcp: bool) -> StepFlags {
    StepFlags::default()
        .with_if(StepFlags::TAKES_REPORT, commit.takes_report)
        .with_if(StepFlags::WANTS_ANSWER, commit.wants_answer)
        .with_if(StepFlags::FRESHNESS_UNPROVEN, commit.freshness_unproven)
        .with_if(StepFlags::ROLLBACK_SUSPECTED, commit.rollback_suspected)
        .with_if(StepFlags::UNREADABLE, commit.unreadable.is_some())
        .with_if(StepFlags::OVER_TCP, over_tcp)
        .with_if(StepFlags::NEW_EPOCH, commit.proves_new_epoch)
}

fn entries(
    commit: &Commit,
    received_utc_s: u32,
    meters: &mut KnownMeters,
    observations: &mut Vec<Observation>,
) -> Vec<StepEntry> {
    let room = commit.judged.len().saturating_add(commit.damaged.len());
    let mut entries = Vec::with_capacity(room);
    let frame = commit.report.map(|report| FrameTime {
        report: report.stamp,
        received_utc_s,
    });
    let mut new = commit.records.iter();
    for judged in &commit.judged {
        let flags = match judged.verdict {
            RecordVerdict::New => match (new.next(), &frame) {
                (Some(record), Some(frame)) => {
                    plausibility::judge(record, frame, meters, observations)
                }
                _ => RecordFlags::default(),
            },
            RecordVerdict::Repeat => RecordFlags::REPEAT,
            RecordVerdict::Conflict => RecordFlags::CONFLICT,
        };
        entries.push(StepEntry {
            sequence: judged.sequence.get(),
            number: judged.number,
            flags,
        });
    }
    let damaged = commit.damaged.iter().map(|one| StepEntry {
        sequence: one.item.sequence.map_or(0, |sequence| sequence.get()),
        number: one.item.number,
        flags: RecordFlags::UNDECODABLE.with_if(RecordFlags::REPEAT, one.is_repeat),
    });
    entries.extend(damaged);
    entries
}
