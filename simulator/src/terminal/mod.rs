//! The terminal as a machine without sockets, clocks and sleeps.

mod answer;
mod batch;
mod boot;
mod intake;
mod schedule;
mod session;

pub(crate) use answer::Stop;
pub use intake::NoticeDetail;
pub use schedule::{Urgent, urgent_pause_ms};

use std::collections::VecDeque;

use crate::clock::Clock;
use crate::codec::answer::Slot;
use crate::codec::record::{MeterRef, Unit};
use crate::codec::{EncodeError, Refusal};
use crate::crypto::CryptoError;
use crate::keys::{KeyRing, Mode, Owner, Pair};
use crate::meter::SimMeter;
use crate::nvm::{CommandMark, NvmError};
use crate::rotation::Trial;
use crate::store::{Store, ToldSafe};

/// How long an uplink may be answered after its first transmission.
const OUTSTANDING_MS: u64 = 120_000;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What is fixed when a terminal is mounted.
#[derive(Debug, Clone)]
pub struct Config {
    /// Utility and identity.
    pub owner: Owner,
    /// Zone of its marks, in quarter hours from UTC.
    pub zone_quarter_hours: i8,
    /// How fast its clock's uncertainty grows.
    pub drift_ppm: u32,
    /// Records that fit the store.
    pub store_capacity: usize,
    /// Whether remote opening was switched on at the site.
    pub valve_open_enabled: bool,
    /// Model number.
    pub model: u16,
    /// Firmware number.
    pub firmware: u32,
    /// Capability bits of the terminal info record.
    pub capabilities: u16,
}

impl Config {
    /// Everyday values for a terminal.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            zone_quarter_hours: 36,
            drift_ppm: 20,
            store_capacity: 1_000,
            valve_open_enabled: false,
            model: 1,
            firmware: 1,
            capabilities: 0b0011,
        }
    }
}

/// A meter in a slot.
#[derive(Debug, Clone)]
pub struct Mounted<M> {
    /// Slot and generation.
    pub meter: MeterRef,
    /// EN 13757-3 device type.
    pub medium: u8,
    /// Unit of its register.
    pub unit: Unit,
    /// Digits of its register.
    pub digits: u8,
    /// Serial number.
    pub serial: Vec<u8>,
    /// The meter.
    pub device: M,
}

impl Mounted<SimMeter> {
    /// A gas meter in slot 0 whose register has eight digits and stands at so many litres.
    #[must_use]
    pub fn gas(serial: &[u8], litres: u64) -> Self {
        Self {
            meter: MeterRef {
                slot: 0,
                generation: 0,
            },
            medium: 3,
            unit: Unit::LITRE,
            digits: 8,
            serial: serial.to_vec(),
            device: SimMeter::new(Unit::LITRE, litres),
        }
    }
}

/// Why the machine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TerminalError {
    /// Non-volatile memory.
    #[error(transparent)]
    Nvm(#[from] NvmError),
    /// A value has no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A key does not fit.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// All frame counters were used.
    #[error("the frame counters are used up")]
    CountersUsedUp,
    /// All record sequences of this store epoch were used.
    #[error("the record sequences are used up")]
    SequencesUsedUp,
    /// An everyday record needs a day, and the clock is unset.
    #[error("the clock is unset")]
    ClockUnset,
    /// Key versions must go on counting.
    #[error("a key version is not above the one held")]
    KeyVersion,
    /// No meter is mounted in the slot.
    #[error("no such meter")]
    NoMeter,
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these octets, then poll again at once.
    Transmit {
        /// One frame.
        frame: Vec<u8>,
        /// It goes to the alarm port.
        alarm: bool,
    },
    /// The radio listens: hand in what comes, poll again at this time.
    WaitUntil(u64),
    /// The radio is released: poll again at this time.
    Sleep {
        /// When the next call is due.
        until_ms: u64,
    },
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It was acted on.
    Accepted,
    /// It is as if it had not come.
    Ignored(Refusal),
}

/// Something that happened, for the harness.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A frame was dropped.
    Refused(Refusal),
    /// An answer was accepted.
    Answered {
        /// The uplink's counter.
        counter: u32,
        /// Whether it acknowledged that uplink.
        ack: bool,
    },
    /// A RESYNC was answered.
    Resynced {
        /// The next counter.
        next: u32,
    },
    /// The counter was behind.
    Floored {
        /// The next counter.
        next: u32,
    },
    /// Another store epoch.
    NewEpoch(u32),
    /// The clock was taken from an answer.
    ClockTaken,
    /// A command was recorded.
    Command {
        /// Its sequence.
        sequence: u32,
        /// Its outcome.
        outcome: u8,
    },
    /// A command was ignored: its MAC or key version, or its sequence is not higher.
    CommandIgnored {
        /// Its sequence.
        sequence: u32,
    },
    /// A newer link key became the only one.
    LinkKey(u8),
    /// A newer mode became the only one.
    ModePinned(Mode),
    /// A record was dropped by a full store.
    Dropped(ToldSafe),
    /// No answer came.
    GaveUp,
    /// The server asked to come back.
    ComeBack {
        /// At this time.
        at_ms: u64,
    },
    /// A call was obeyed.
    Called(u32),
    /// The day's transmissions are used up.
    OverBudget,
}

/// The key version and mode that a session uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Link key version.
    pub key_version: u8,
    /// Mode.
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Uplink { counter: u32 },
    Resync,
}

/// The one uplink or RESYNC that an answer may fit.
#[derive(Debug)]
pub(crate) struct Outstanding {
    asked: Asked,
    frame: Vec<u8>,
    header: usize,
    suite: Suite,
    nonces: [u8; 16],
    alarm: bool,
    urgent: bool,
    pub(crate) first_ms: Option<u64>,
    transmissions: u32,
}

#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    alarm: bool,
    urgent: bool,
    new_alarm: bool,
    asks: bool,
}

#[derive(Debug)]
struct Sent {
    counter: u32,
    keys: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asleep,
    Sending,
    Waiting { deadline: u64 },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    nt: [u8; 8],
    pub(crate) suite: Suite,
    stalls: u32,
    more: u32,
    transmissions: u32,
}

#[derive(Debug)]
struct Counter {
    next: u32,
    below: u32,
    resync: Option<u8>,
}

/// A terminal with its memory, randomness and meters.
#[derive(Debug)]
pub struct Terminal<N, R, M> {
    pub(crate) config: Config,
    pub(crate) nvm: N,
    random: R,
    pub(crate) meters: Vec<Mounted<M>>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) keys: KeyRing,
    pub(crate) mode: Pair<Mode>,
    routine: usize,
    day_octets: (u16, usize),
    counter: Counter,
    ticket: [u8; 8],
    pub(crate) mark: Option<CommandMark>,
    slot: Option<Slot>,
    pub(crate) last_call: u32,
    pub(crate) trial: Trial,
    pub(crate) command_key_proven: bool,
    refused_item: Option<u8>,
    phase: Phase,
    pub(crate) session: Option<Session>,
    pub(crate) outstanding: Option<Outstanding>,
    outbox: VecDeque<Outgoing>,
    sent: VecDeque<Sent>,
    pub(crate) calls: VecDeque<u64>,
    pub(crate) call_waiting: bool,
    schedule: schedule::Schedule,
    last_sends: u32,
    sends_total: u32,
    told_safe: Vec<ToldSafe>,
    pub(crate) events: Vec<Event>,
}

impl<N, R, M> Terminal<N, R, M> {
    /// What the server has told safe, in order: for a checker to compare.
    #[must_use]
    pub fn told_safe(&self) -> &[ToldSafe] {
        &self.told_safe
    }

    /// Takes what happened since the last time.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Records that are not told safe.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The base keys.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The pinned mode, two between the phases of a change.
    #[must_use]
    pub fn mode(&self) -> &Pair<Mode> {
        &self.mode
    }

    /// The next frame counter.
    #[must_use]
    pub fn next_counter(&self) -> u32 {
        self.counter.next
    }

    /// Ns of the last accepted answer, or zero.
    #[must_use]
    pub fn ticket(&self) -> [u8; 8] {
        self.ticket
    }

    /// The last recorded command.
    #[must_use]
    pub fn command_mark(&self) -> Option<&CommandMark> {
        self.mark.as_ref()
    }

    /// The wake slot in force.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Least length of a frame.
    #[must_use]
    pub fn routine_size(&self) -> usize {
        self.routine
    }

    /// The meters.
    #[must_use]
    pub fn meters(&self) -> &[Mounted<M>] {
        &self.meters
    }

    /// The meters, to let things happen to them.
    pub fn meters_mut(&mut self) -> &mut [Mounted<M>] {
        &mut self.meters
    }

    /// Non-volatile memory.
    #[must_use]
    pub fn nvm(&self) -> &N {
        &self.nvm
    }

    /// Non-volatile memory, to cut its power.
    pub fn nvm_mut(&mut self) -> &mut N {
        &mut self.nvm
    }

    /// Power off: what is left is memory, the source of randomness and the meters.
    #[must_use]
    pub fn power_off(self) -> (N, R, Vec<Mounted<M>>) {
        (self.nvm, self.random, self.meters)
    }

    pub(crate) fn mounted(&self, slot: u8) -> Option<&Mounted<M>> {
        self.meters
            .iter()
            .filter(|m| m.meter.slot == slot)
            .max_by_key(|m| m.meter.generation)
    }

    pub(crate) fn mounted_mut(&mut self, slot: u8) -> Option<&mut Mounted<M>> {
        self.meters
            .iter_mut()
            .filter(|m| m.meter.slot == slot)
            .max_by_key(|m| m.meter.generation)
    }
}
