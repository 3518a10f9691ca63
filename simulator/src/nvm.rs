//! Memory that outlives a restart.
//!
//! Protected storage holds keys, pins, the routine size, the boot number and what was switched on
//! at the site; the rest holds counters and records and may be lost.

use std::collections::BTreeMap;

use crate::codec::answer::Slot;
use crate::codec::frame::MIN_PADDED;
use crate::codec::record::MeterRef;
use crate::keys::{KeyRing, Mode, Pair};
use crate::store::Stored;

/// A write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NvmError {
    /// Power went before the write; nothing after it is written either.
    #[error("power was lost before the write")]
    PowerLost,
    /// The terminal was never provisioned.
    #[error("no keys in protected storage")]
    NotProvisioned,
}

/// What survives the loss of counters and records.
// spec: KEY-9
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// Base keys.
    pub keys: KeyRing,
    /// Pinned mode, two between the phases of a change.
    pub mode: Pair<Mode>,
    /// Least length of a frame.
    pub routine: usize,
    /// Number of the last boot.
    pub boot: u16,
}

/// What is known of the frame counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterCell {
    /// Nothing.
    #[default]
    Lost,
    /// The end of a reserved block can be read, and whether it is the last one cannot be proven.
    Unproven(u32),
    /// Every counter below this one may have been used.
    Reserved(u32),
}

/// The last command that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandMark {
    /// Its sequence.
    pub sequence: u32,
    /// Its outcome.
    pub outcome: u8,
    /// The command key version that verified it.
    pub key_version: u8,
    /// Its kind.
    pub kind: u8,
    /// The meter that it named.
    pub meter: MeterRef,
}

/// What may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Working {
    /// The frame counter.
    pub counter: CounterCell,
    /// Ns of the last accepted answer.
    pub ticket: Option<[u8; 8]>,
    /// The last command.
    pub command: Option<CommandMark>,
    /// The last call counter obeyed.
    pub last_call: u32,
    /// The wake slot in force.
    pub slot: Option<Slot>,
    /// Frames and frame counters of the last 24 hours.
    pub spent: Spent,
    /// Residual gas thresholds.
    pub residual_levels: Option<[u32; 3]>,
    /// The epoch that was left on NEW_EPOCH, and the first sequence that is not of it.
    pub left_epoch: Option<(u32, u32)>,
    /// The store epoch; `None` when the record store was lost.
    pub epoch: Option<u32>,
    /// The next record sequence.
    pub next_sequence: u32,
    /// Unacknowledged records by sequence.
    pub records: BTreeMap<u32, Stored>,
}

/// One durable write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Counters below this may be used.
    Counter(u32),
    /// Ns of an accepted answer.
    Ticket([u8; 8]),
    /// A command's sequence and outcome.
    Command(CommandMark),
    /// A call counter that is obeyed.
    Call(u32),
    /// A wake slot.
    Slot(Slot),
    /// Residual gas thresholds.
    ResidualLevels([u32; 3]),
    /// A new store epoch with these records alone.
    Epoch {
        /// The epoch.
        epoch: u32,
        /// The epoch that was left on NEW_EPOCH, and the first sequence that is not of it.
        left: Option<(u32, u32)>,
        /// The next record sequence.
        next_sequence: u32,
        /// Records carried over.
        records: Vec<Stored>,
    },
    /// A record, new or taken up again.
    Record(Stored),
    /// A record is safe or dropped.
    Forget(u32),
    /// Base keys.
    Keys(KeyRing),
    /// Pinned modes.
    Mode(Pair<Mode>),
    /// The routine size.
    Routine(usize),
    /// The boot number.
    Boot(u16),
    /// Frames and frame counters of the last 24 hours.
    Spent(Spent),
}

/// What was used of a day's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Frames that count.
    pub frames: usize,
    /// Frame counters.
    pub counters: usize,
}

/// Non-volatile memory. A write that returned is durable.
pub trait Nvm {
    /// What may be lost.
    fn working(&self) -> &Working;

    /// What is never lost.
    ///
    /// # Errors
    /// The terminal was never provisioned.
    fn protected(&self) -> Result<&Protected, NvmError>;

    /// Makes one change durable.
    ///
    /// # Errors
    /// The change did not happen.
    fn write(&mut self, change: Write) -> Result<(), NvmError>;
}

/// What a simulated memory is to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    /// Counters, records and all else but protected storage.
    All,
    /// The frame counter and the ticket.
    Counters,
    /// The frame counter becomes doubtful.
    CounterProof,
    /// The record store.
    Records,
}

/// Memory in memory: it can be copied, set back, wiped and cut off.
#[derive(Debug, Clone)]
pub struct MemoryNvm {
    working: Working,
    protected: Protected,
    log: Option<Vec<Write>>,
    left: Option<usize>,
}

impl MemoryNvm {
    /// A terminal fresh from its maker: keys, a pinned mode, counters from 1 on.
    #[must_use]
    pub fn provisioned(keys: KeyRing, mode: Mode) -> Self {
        Self {
            working: Working {
                counter: CounterCell::Reserved(1),
                ..Working::default()
            },
            protected: Protected {
                keys,
                mode: Pair::of(mode),
                routine: MIN_PADDED,
                boot: 0,
            },
            log: None,
            left: None,
        }
    }

    /// Keeps a list of all writes from now on.
    pub fn keep_log(&mut self) {
        self.log.get_or_insert_default();
    }

    /// The writes since [`Self::keep_log`].
    #[must_use]
    pub fn log(&self) -> &[Write] {
        self.log.as_deref().unwrap_or_default()
    }

    /// Cuts the power before the write after the next `writes`.
    pub fn cut_after(&mut self, writes: usize) {
        self.left = Some(writes);
    }

    /// Power is back.
    pub fn power_on(&mut self) {
        self.left = None;
    }

    /// Loses a part.
    pub fn wipe(&mut self, what: Wipe) {
        let w = &mut self.working;
        match what {
            Wipe::All => *w = Working::default(),
            Wipe::Counters => {
                w.counter = CounterCell::Lost;
                w.ticket = None;
            }
            Wipe::CounterProof => {
                w.counter = match w.counter {
                    CounterCell::Reserved(below) | CounterCell::Unproven(below) => {
                        CounterCell::Unproven(below)
                    }
                    CounterCell::Lost => CounterCell::Lost,
                };
            }
            Wipe::Records => {
                w.epoch = None;
                w.left_epoch = None;
                w.next_sequence = 0;
                w.records.clear();
            }
        }
    }
}

impl Nvm for MemoryNvm {
    fn working(&self) -> &Working {
        &self.working
    }

    fn protected(&self) -> Result<&Protected, NvmError> {
        Ok(&self.protected)
    }

    fn write(&mut self, change: Write) -> Result<(), NvmError> {
        if let Some(left) = self.left.as_mut() {
            *left = left.checked_sub(1).ok_or(NvmError::PowerLost)?;
        }
        if let Some(log) = self.log.as_mut() {
            log.push(change.clone());
        }
        let w = &mut self.working;
        let p = &mut self.protected;
        match change {
            Write::Counter(below) => w.counter = CounterCell::Reserved(below),
            Write::Ticket(ns) => w.ticket = Some(ns),
            Write::Command(mark) => w.command = Some(mark),
            Write::Call(counter) => w.last_call = counter,
            Write::Slot(slot) => w.slot = Some(slot),
            Write::ResidualLevels(levels) => w.residual_levels = Some(levels),
            Write::Epoch {
                epoch,
                left,
                next_sequence,
                records,
            } => {
                w.left_epoch = left;
                w.epoch = Some(epoch);
                w.next_sequence = next_sequence;
                w.records = records.into_iter().map(|r| (r.sequence, r)).collect();
            }
            Write::Record(stored) => {
                w.next_sequence = w.next_sequence.max(stored.sequence.saturating_add(1));
                w.records.insert(stored.sequence, stored);
            }
            Write::Forget(sequence) => {
                w.records.remove(&sequence);
            }
            Write::Keys(keys) => p.keys = keys,
            Write::Mode(mode) => p.mode = mode,
            Write::Routine(octets) => p.routine = octets,
            Write::Boot(boot) => p.boot = boot,
            Write::Spent(spent) => w.spent = spent,
        }
        Ok(())
    }
}
