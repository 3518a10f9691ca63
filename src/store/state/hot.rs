//! What a session has to know of its terminal before the first octet of its frame is judged.
//!
//! An entry is flat and holds no pointer: a million of them are one copy of some 180 octets each.

use crate::keyring::Registration;
use crate::model::step::Observation;
use crate::model::{Lsn, TerminalId};
use crate::session::otl::hand_over::CommandState;
use crate::session::otl::link::LinkState;
use crate::session::otl::window::ReplayWindow;
use crate::wire::otl::answer::WakeSlot;
use crate::wire::otl::ident::Mode;

use super::directory::UtilityIndex;
use super::sequences::SequenceTrack;

/// The last register that was seen of a meter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MeterTrack {
    /// The register in units of `unit`.
    pub register: u64,
    /// When it was measured, UTC seconds; 0 if none was seen.
    pub at_utc_s: u32,
    /// The code of its unit.
    pub unit: u8,
    /// Slot and generation, as on the wire.
    pub meter: u8,
    /// Whether a meter table has bound the meter.
    // spec: REC-15
    pub bound: bool,
    /// Whether this track is in use at all.
    pub used: bool,
}

impl MeterTrack {
    /// Takes an observation in. The latest measurement stays, in whatever order they come.
    pub fn take(&mut self, seen: &Observation) {
        self.used = true;
        self.meter = seen.meter;
        self.bound |= seen.bound;
        let is_later = (seen.at_utc_s, seen.register) > (self.at_utc_s, self.register);
        if seen.at_utc_s != 0 && is_later {
            self.register = seen.register;
            self.at_utc_s = seen.at_utc_s;
            self.unit = seen.unit;
        }
    }
}

/// What is registered of a terminal and what its keys have proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pinned {
    /// The pinned mode.
    // spec: SEC-1
    pub mode: Mode,
    /// The mode of a pending change.
    // spec: ROT-11
    pub pending_mode: Option<Mode>,
    /// The highest link key version that verified, 0 if none has.
    // spec: ROT-5
    pub promoted: u8,
    /// One lower version that an operator admitted again, 0 if none.
    // spec: ROT-7
    pub readmitted: u8,
    /// Whether the terminal is registered; its state outlives its removal.
    pub registered: bool,
}

/// One terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HotEntry {
    /// Which.
    pub id: TerminalId,
    /// The position of the last frame that was folded in.
    pub applied: Lsn,
    /// Its utility.
    pub utility: UtilityIndex,
    /// Registration and proofs.
    pub pinned: Pinned,
    /// The replay window.
    pub window: ReplayWindow,
    /// Its commands.
    pub commands: CommandState,
    /// The wake slot that the server wants it to have, [`packed_slot`]. In two bits between its
    /// parts, which are of this process only: the COME_BACKs that it got in a row.
    slot: u32,
    /// The last call counter of a CALL_NOW, 0 before the first.
    // spec: SES-13
    pub last_call: u32,
    /// Its version in the log's `commit_if`, counted from the start of the process.
    pub version: u32,
    /// When its last frame was received, UTC seconds; 0 if none was.
    pub last_contact_utc_s: u32,
    /// Its records, flat: a track has no alignment to waste here.
    sequences: [u8; SequenceTrack::OCTETS],
    /// Its first meter; further ones are kept beside the table.
    pub meter: MeterTrack,
}

const SLOT_VERSION_SHIFT: u32 = 24;
const SLOT_SECOND_MASK: u32 = 0x0001_FFFF;
const COME_BACKS_SHIFT: u32 = 17;
const COME_BACKS_MASK: u32 = 3 << COME_BACKS_SHIFT;

/// A wake slot in four octets: version in the upper 8 bits, second of the day in the lower 17; 0 if
/// there is none.
pub(super) fn packed_slot(slot: Option<WakeSlot>) -> u32 {
    slot.map_or(0, |slot| {
        u32::from(slot.version()) << SLOT_VERSION_SHIFT | slot.second_of_day()
    })
}

/// The wake slot of the octets that [`packed_slot`] gave; other bits mean nothing.
pub(super) const fn unpacked_slot(packed: u32) -> Option<WakeSlot> {
    let [version, ..] = packed.to_be_bytes();
    match WakeSlot::new(version, packed & SLOT_SECOND_MASK) {
        Ok(slot) => Some(slot),
        Err(_) => None,
    }
}

impl HotEntry {
    /// A terminal that was just registered.
    #[must_use]
    pub fn new(id: TerminalId, utility: UtilityIndex, mode: Mode) -> Self {
        Self {
            id,
            applied: Lsn::ZERO,
            utility,
            pinned: Pinned {
                mode,
                pending_mode: None,
                promoted: 0,
                readmitted: 0,
                registered: true,
            },
            window: ReplayWindow::default(),
            commands: CommandState::default(),
            slot: 0,
            last_call: 0,
            version: 0,
            last_contact_utc_s: 0,
            sequences: [0; SequenceTrack::OCTETS],
            meter: MeterTrack::default(),
        }
    }

    /// The wake slot that the server wants it to have.
    #[must_use]
    pub const fn wake_slot(&self) -> Option<WakeSlot> {
        unpacked_slot(self.slot)
    }

    /// Sets the wake slot.
    pub fn set_wake_slot(&mut self, slot: Option<WakeSlot>) {
        self.slot = self.slot & COME_BACKS_MASK | packed_slot(slot);
    }

    /// COME_BACKs without ACK since its last frame that was taken, as far as this process knows.
    // spec: OVL-3
    #[must_use]
    pub const fn come_backs(&self) -> u8 {
        let [.., come_backs] = ((self.slot & COME_BACKS_MASK) >> COME_BACKS_SHIFT).to_be_bytes();
        come_backs
    }

    /// Notes them; three stand for more.
    pub fn set_come_backs(&mut self, come_backs: u8) {
        let come_backs = u32::from(come_backs.min(3)) << COME_BACKS_SHIFT;
        self.slot = self.slot & !COME_BACKS_MASK | come_backs;
    }

    /// Which of its records may be durable.
    #[must_use]
    pub fn sequences(&self) -> SequenceTrack {
        SequenceTrack::from_octets(&self.sequences)
    }

    /// Takes back which of its records may be durable.
    pub fn set_sequences(&mut self, track: &SequenceTrack) {
        self.sequences = track.octets();
    }

    /// The state of its link, for a session to begin with.
    #[must_use]
    pub const fn link(&self) -> LinkState {
        LinkState {
            window: self.window,
            commands: self.commands,
            slot: self.wake_slot(),
            last_call: self.last_call,
        }
    }

    /// Takes the state of its link back.
    pub fn set_link(&mut self, link: &LinkState) {
        self.window = link.window;
        self.commands = link.commands;
        self.set_wake_slot(link.slot);
        self.last_call = link.last_call;
    }

    /// Its registration as the key ring asks for it.
    #[must_use]
    pub fn registration(
        &self,
        utility: crate::keyring::UtilityId,
        allow_mode0: bool,
    ) -> Registration {
        let mut registration = Registration::new(utility, self.pinned.mode);
        registration.pending_mode = self.pinned.pending_mode;
        registration.allow_mode0 = allow_mode0;
        let promoted = self.pinned.promoted;
        registration.promoted_link_version = (promoted != 0).then_some(promoted);
        if self.pinned.readmitted != 0 {
            registration.readmitted.insert(self.pinned.readmitted);
        }
        registration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_within_the_memory_that_is_designed_for() {
        assert!(size_of::<HotEntry>() <= 184, "{}", size_of::<HotEntry>());
    }

    #[test]
    fn observations_end_in_the_same_track_in_any_order() {
        let seen = |at_utc_s, register| Observation {
            meter: 0,
            unit: 3,
            bound: false,
            at_utc_s,
            register,
        };
        let all = [seen(10, 100), seen(20, 90), seen(20, 95)];
        let mut forth = MeterTrack::default();
        all.iter().for_each(|one| forth.take(one));
        let mut back = MeterTrack::default();
        all.iter().rev().for_each(|one| back.take(one));
        assert_eq!(forth, back);
        assert_eq!((forth.at_utc_s, forth.register), (20, 95));
    }

    #[test]
    fn a_wake_slot_is_kept_in_four_octets() {
        let mut entry = HotEntry::new(TerminalId::default(), UtilityIndex::new(0), Mode::CcmStatic);
        assert_eq!(entry.wake_slot(), None);
        let slot = WakeSlot::new(15, 86_399).ok();
        entry.set_wake_slot(slot);
        assert_eq!(entry.wake_slot(), slot);
    }

    // spec: OVL-3
    #[test]
    fn come_backs_are_kept_beside_the_wake_slot_and_stay_when_a_link_is_taken_back() {
        let mut entry = HotEntry::new(TerminalId::default(), UtilityIndex::new(0), Mode::CcmStatic);
        for slot in [None, WakeSlot::new(15, 86_399).ok()] {
            for come_backs in 0..=3 {
                entry.set_come_backs(come_backs);
                entry.set_link(&LinkState {
                    slot,
                    ..entry.link()
                });
                assert_eq!((entry.wake_slot(), entry.come_backs()), (slot, come_backs));
            }
        }
    }
}
