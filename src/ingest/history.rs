//! Which records of a terminal are durable, and with what content.

use crate::model::SessionStep;
use crate::model::step::StepEntry;
use crate::model::{RecordFlags, TerminalId};
use crate::session::otl::records::{Known, RecordIndex, RecordKey, content};
use crate::store::state::hot::{SequenceKnown, SequenceTrack};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::uplink::Salvage;

/// Steps of a terminal that are looked at for one record at most: years of daily calls.
const STEPS_MAX: usize = 1_024;

/// Where the durable steps of a terminal are, newest first.
pub trait StepHistory {
    /// Shows the payloads of the terminal's steps until `show` returns false.
    fn show(&self, terminal: TerminalId, show: &mut dyn FnMut(&[u8]) -> bool);
}

/// The durable records of one terminal.
#[derive(Debug)]
pub struct DurableRecords<'a, H> {
    /// Which terminal.
    pub terminal: TerminalId,
    /// What is known without the log.
    pub track: SequenceTrack,
    /// The log.
    pub history: &'a H,
}

impl<H: StepHistory> RecordIndex for DurableRecords<'_, H> {
    // spec: REC-6, REC-8
    fn compare(&self, key: RecordKey, content: &[u8]) -> Known {
        match self.track.known(key.epoch, key.sequence.get()) {
            SequenceKnown::No => Known::No,
            SequenceKnown::AskLog => self.search(key, content),
        }
    }
}

impl<H: StepHistory> DurableRecords<'_, H> {
    fn search(&self, key: RecordKey, wanted: &[u8]) -> Known {
        let mut found = Known::No;
        let mut steps_left = STEPS_MAX;
        self.history.show(self.terminal, &mut |payload| {
            steps_left = steps_left.saturating_sub(1);
            if let Some(kept) = kept_content(payload, key) {
                let is_same = kept == wanted;
                found = if is_same { Known::Same } else { Known::Other };
            }
            found == Known::No && steps_left > 0
        });
        found
    }
}

/// The content of a record of a step, if it was kept by it.
fn kept_content(payload: &[u8], key: RecordKey) -> Option<Vec<u8>> {
    let step = SessionStep::decode(payload).ok()?;
    let is_it = |entry: &StepEntry| {
        entry.sequence == key.sequence.get()
            && entry.flags.is_new()
            && !entry.flags.has(RecordFlags::UNDECODABLE)
    };
    if step.epoch != Some(key.epoch) || !step.entries.iter().any(is_it) {
        return None;
    }
    let mode = Mode::from_number(step.mode)?;
    let salvage = Salvage::decode(step.plaintext, step.header.len(), mode).ok()?;
    let decoded = salvage.body.records.iter().zip(&step.entries);
    let mut kept = decoded.filter(|(_, entry)| is_it(entry));
    kept.next().map(|(record, _)| content(record))
}
