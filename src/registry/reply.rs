//! What became of a command, complete enough for people and for machines.

use serde::{Deserialize, Serialize};

use crate::keyring::{KeyState, UtilityId};
use crate::model::{Cidr, Fingerprint, Lsn, TerminalId};
use crate::wire::otl::meter::{Meter, Unit};

/// What a command did to one thing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is another than before.
    Changed,
    /// It was so already: nothing was appended to the log.
    Unchanged,
    /// It is registered no longer.
    Removed,
}

/// What became of a command. What it says of a change is durable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Reply {
    /// A utility was put or released.
    UtilityPut {
        /// What that did.
        change: Change,
        /// How it is now.
        utility: UtilityView,
    },
    /// A utility.
    Utility {
        /// How it is.
        utility: UtilityView,
    },
    /// All utilities, in the order in which they were added.
    Utilities {
        /// How each is.
        utilities: Vec<UtilityView>,
    },
    /// A terminal was added, set or removed.
    TerminalPut {
        /// What that did.
        change: Change,
        /// How it is now.
        terminal: Box<TerminalView>,
    },
    /// A terminal.
    Terminal {
        /// How it is.
        terminal: Box<TerminalView>,
    },
    /// A page of terminals.
    Terminals {
        /// In the order of their identities.
        terminals: Vec<TerminalLine>,
        /// The terminal after which the next page begins; none if this was the last.
        next: Option<TerminalId>,
    },
    /// A gateway was put or removed.
    GatewayPut {
        /// What that did.
        change: Change,
        /// How it is now, or was.
        gateway: GatewayView,
    },
    /// A gateway.
    Gateway {
        /// How it is.
        gateway: GatewayView,
    },
    /// A page of gateways.
    Gateways {
        /// In the order of their names.
        gateways: Vec<GatewayView>,
        /// The gateway after which the next page begins; none if this was the last.
        next: Option<String>,
    },
    /// Rows were imported, or would be.
    Imported {
        /// Whether nothing was done.
        dry_run: bool,
        /// What was done, or would be.
        #[serde(flatten)]
        counts: ImportCounts,
    },
    /// A version of a link master has a state.
    KeyState {
        /// What the command did.
        change: Change,
        /// How the version is now.
        key: KeyView,
    },
    /// A lower key version is admitted again.
    KeyReadmitted {
        /// What the command did.
        change: Change,
        /// Which terminal.
        terminal: TerminalId,
        /// The version.
        version: u8,
    },
    /// Versions of link masters.
    Keys {
        /// By utility and version.
        keys: Vec<KeyView>,
    },
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImportCounts {
    /// Terminals that were not registered.
    pub added: u64,
    /// Terminals that were registered otherwise.
    pub changed: u64,
    /// Terminals that were registered so already.
    pub unchanged: u64,
}

impl ImportCounts {
    /// Counts another row.
    pub const fn count(&mut self, change: Change) {
        match change {
            Change::Added => self.added = self.added.saturating_add(1),
            Change::Changed | Change::Removed => self.changed = self.changed.saturating_add(1),
            Change::Unchanged => self.unchanged = self.unchanged.saturating_add(1),
        }
    }

    /// Adds another import.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            added: self.added.saturating_add(other.added),
            changed: self.changed.saturating_add(other.changed),
            unchanged: self.unchanged.saturating_add(other.unchanged),
        }
    }
}

/// A utility.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UtilityView {
    /// Which.
    pub utility: UtilityId,
    /// Its name, for people.
    pub name: String,
    /// Whether its terminals may be in mode 0, as far as the utility goes.
    // spec: SEC-3
    pub allow_mode0: bool,
    /// Whether its guarded commands are stopped after a sign of rollback.
    // spec: ROL-1
    pub commands_stopped: bool,
    /// Its registered terminals.
    pub terminals: u64,
}

/// A gateway, without what is made of its token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GatewayView {
    /// Its name.
    pub gateway: String,
    /// The utility whose meters it hears.
    pub utility: UtilityId,
    /// Whether it has a token.
    pub token: bool,
    /// The digest of its certificate.
    pub certificate_sha256: Option<Fingerprint>,
    /// The addresses from which it sends.
    pub addresses: Vec<Cidr>,
    /// The version of its entry, higher with each change: a position of the log.
    pub version: Lsn,
}

/// A terminal, in a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TerminalLine {
    /// Which.
    pub terminal: TerminalId,
    /// Its utility.
    pub utility: UtilityId,
    /// Its pinned mode.
    pub mode: u8,
    /// The highest link key version that verified; none if none has.
    pub key_version: Option<u8>,
    /// When its last frame was received, UTC seconds; none if none was.
    pub last_contact_utc_s: Option<u32>,
}

/// A terminal, with all that is known of it without its records.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TerminalView {
    /// Which.
    pub terminal: TerminalId,
    /// Its maker.
    // spec: ID-1
    pub maker: u16,
    /// Its serial number.
    pub serial: u64,
    /// Whether it is registered.
    pub registered: bool,
    /// Its utility.
    pub utility: UtilityId,
    /// The utility's name.
    pub utility_name: String,
    /// Its opaque customer number.
    pub customer: Option<String>,
    /// Its pinned mode.
    // spec: SEC-1
    pub mode: u8,
    /// The mode of a pending change.
    // spec: ROT-11
    pub pending_mode: Option<u8>,
    /// The highest link key version that verified; none if none has.
    // spec: ROT-5
    pub key_version: Option<u8>,
    /// The lower version that is admitted again.
    // spec: ROT-7
    pub readmitted_version: Option<u8>,
    /// When its last frame was received, UTC seconds; none if none was.
    pub last_contact_utc_s: Option<u32>,
    /// The highest frame counter that was accepted, 0 before the first.
    pub frame_counter: u32,
    /// The counter of the last call to it, 0 before the first.
    // spec: SES-13
    pub call_counter: u32,
    /// The highest command sequence that it knows or was given.
    pub command_sequence: u32,
    /// The store epoch of its highest frame, 8 hexadecimal digits; none before the first.
    pub epoch: Option<String>,
    /// The highest record sequence of that epoch that is durable.
    pub record_sequence: u32,
    /// The second of the day at which it is to call, and the version of that slot.
    pub wake_slot: Option<(u32, u8)>,
    /// Its meters, by slot and generation.
    pub meters: Vec<MeterView>,
}

/// A meter of a terminal. Memory knows its latest register, as of the last frame; all the rest is
/// only folded behind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MeterView {
    /// Its slot, 0 to 15.
    pub slot: u8,
    /// The generation of its slot, 0 to 15.
    pub generation: u8,
    /// Whether a meter table or an exchange has bound it.
    pub bound: bool,
    /// The latest register, an integer in units of ten to `exponent` of `quantity`; none if none
    /// was seen.
    pub register: Option<u64>,
    /// The quantity; none for a class that is not assigned.
    pub quantity: Option<String>,
    /// The power of ten.
    pub exponent: Option<i8>,
    /// When it was measured, UTC seconds.
    pub measured_at_utc_s: Option<u32>,
    /// Its serial, if a meter table told it.
    pub serial: Option<String>,
    /// The device type of EN 13757-3.
    pub medium: Option<u8>,
    /// The state of its valve.
    pub valve: Option<String>,
    /// When that was told, UTC seconds.
    pub valve_at_utc_s: Option<u32>,
}

impl MeterView {
    /// A meter by its octet on the wire, with its latest register in units of a code, and when that
    /// was measured, 0 if none was seen.
    #[must_use]
    pub fn new(meter: u8, bound: bool, (register, unit): (u64, u8), at_utc_s: u32) -> Self {
        let meter = Meter::from_octet(meter);
        let is_seen = at_utc_s != 0;
        let unit = Unit::from_code(unit).filter(|_| is_seen);
        Self {
            slot: meter.slot(),
            generation: meter.generation(),
            bound,
            register: is_seen.then_some(register),
            quantity: unit.map(|unit| unit.quantity_id().to_owned()),
            exponent: unit.map(Unit::exponent),
            measured_at_utc_s: is_seen.then_some(at_utc_s),
            serial: None,
            medium: None,
            valve: None,
            valve_at_utc_s: None,
        }
    }
}

/// A version of a utility's link master.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyView {
    /// Whose.
    pub utility: UtilityId,
    /// The version, 1 to 255.
    pub version: u8,
    /// Its state.
    // spec: KEY-8
    pub state: KeyState,
    /// Its length in bits, 128 or 256.
    pub bits: u32,
    /// Whether it is also kept off the machine; if not, it is not used.
    // spec: ROT-6
    pub escrowed: bool,
    /// Registered terminals whose highest verified version it is.
    pub terminals: u64,
}
