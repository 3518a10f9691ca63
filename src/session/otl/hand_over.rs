//! Whether a waiting command may go with an answer, and what is known of the last one that did.
//!
//! A hand-over is decided together with the commit of the uplink, and is durable with it, before
//! the answer that carries the command leaves: a crash in between leaves the command in doubt,
//! never free to be handed over again.

use core::num::NonZeroU32;

use crate::wire::otl::ident::KeyVersion;
use crate::wire::otl::meter::Meter;
use crate::wire::otl::registry::commands::{CommandKind, Outcome, Precondition};
use crate::wire::otl::report::Report;
use crate::wire::otl::stamp::Stamp;

/// How far a terminal's report may lift the command sequence at a time.
// spec: ROL-2
const SEQUENCE_JUMP_MAX: u32 = 65_536;

/// How old a stamp may be, beyond its uncertainty, for its terminal to wait still, in seconds.
// spec: FRS-3
const STAMP_AGE_MAX_S: u32 = 60;

/// A command that was approved and waits for its terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaitingCommand {
    /// The version of the command key.
    pub key_version: KeyVersion,
    /// Its sequence, one for each approval, ascending for a terminal.
    // spec: CMD-17
    pub sequence: NonZeroU32,
    /// What it asks for.
    pub kind: CommandKind,
    /// The meter that it is for.
    pub meter: Meter,
    /// What has to hold at the meter.
    pub precondition: Precondition,
    /// The last UTC second at which it may be accepted.
    pub not_after_utc_s: u32,
    /// Its parameters as on the wire.
    pub parameters: Vec<u8>,
}

impl WaitingCommand {
    /// Whether it moves a valve, a key, a mode or a setting, and so needs the safeguards.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.kind.class().must_be_bound()
    }

    /// What is noted when it is handed over.
    #[must_use]
    pub fn handed_over(&self) -> HandedOver {
        HandedOver {
            sequence: self.sequence,
            guarded: self.is_guarded(),
        }
    }
}

/// What a hand-over leaves behind of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandedOver {
    /// The command's sequence.
    pub sequence: NonZeroU32,
    /// Whether it needs the safeguards.
    pub guarded: bool,
}

/// Where the last guarded command of a terminal stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandOver {
    /// It left with the answer to this frame, and nothing is known of it: *in doubt*.
    // spec: CMD-21
    InDoubt {
        /// The command's sequence.
        sequence: NonZeroU32,
        /// The counter of the uplink that it is bound to.
        counter: u32,
    },
    /// The terminal has reported since: with this outcome, or none if the command can no longer
    /// run. It is resolved only by a result that the signer verified.
    // spec: CMD-15, CMD-20
    Reported {
        /// The command's sequence.
        sequence: NonZeroU32,
        /// What the report said.
        outcome: Option<Outcome>,
    },
}

/// Why a waiting command does not go with this answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotNow {
    /// Mode 0 carries no command.
    // spec: SEC-4
    ClearMode,
    /// The uplink proves too little about now; another one of this session would do.
    // spec: FRS-3
    Unfresh,
    /// The last guarded command is in doubt.
    // spec: CMD-20
    InDoubt,
    /// Its sequence is not above the last one: it was handed over once.
    // spec: CMD-17
    Spent,
    /// It is past its not_after.
    Expired,
    /// Guarded commands of the utility are stopped after a sign of rollback.
    // spec: ROL-1
    Stopped,
}

/// What the rules need to know of the uplink.
#[derive(Clone, Copy, Debug)]
pub struct UplinkFacts {
    /// Whether its mode is 0.
    pub clear_mode: bool,
    /// Whether it came with a ticket.
    pub has_ticket: bool,
    /// Whether no frame with a higher counter has verified.
    pub is_highest: bool,
    /// The terminal's now.
    pub stamp: Stamp,
}

/// The commands of one terminal, as far as they are durable.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CommandState {
    /// The highest sequence that was handed over or that the terminal has named.
    // spec: ROL-2
    pub highest: u32,
    /// The last guarded hand-over.
    pub last: Option<HandOver>,
}

impl CommandState {
    /// Takes in the report of the highest frame; `asks` says that the frame waits for an answer.
    ///
    /// Only a frame that asks ends the wait for the answer that carried a command (SES-1), and so
    /// only it, or one that names the command, says what became of it.
    ///
    /// Returns true if the terminal names a command that was never handed over: a sign that this
    /// state is older than what the server once was.
    // spec: REP-9, CMD-20, ROL-1, ROL-2
    pub fn take_report(&mut self, counter: u32, asks: bool, report: &Report) -> bool {
        let named = report.command.map_or(0, |end| end.sequence.get());
        if let Some(HandOver::InDoubt {
            sequence,
            counter: bound_to,
        }) = self.last
            && counter > bound_to
            && (asks || named >= sequence.get())
        {
            let outcome = report
                .command
                .filter(|end| end.sequence == sequence)
                .map(|end| end.outcome);
            self.last = Some(HandOver::Reported { sequence, outcome });
        }
        let rolled_back = named > self.highest;
        // One terminal must not be able to use up its sequences by one word.
        let limit = self.highest.saturating_add(SEQUENCE_JUMP_MAX);
        self.highest = self.highest.max(named.min(limit));
        rolled_back
    }

    /// Whether a waiting command may go with the answer to an uplink.
    ///
    /// # Errors
    ///
    /// [`NotNow`].
    // spec: SEC-4, FRS-3, CMD-17, CMD-20, ROL-1
    pub fn may_hand_over(
        &self,
        command: &WaitingCommand,
        uplink: &UplinkFacts,
        now_utc_s: u32,
        stopped: bool,
    ) -> Result<(), NotNow> {
        if uplink.clear_mode {
            return Err(NotNow::ClearMode);
        }
        if command.sequence.get() <= self.highest {
            return Err(NotNow::Spent);
        }
        if command.not_after_utc_s < now_utc_s {
            return Err(NotNow::Expired);
        }
        if !command.is_guarded() {
            return Ok(());
        }
        if stopped {
            return Err(NotNow::Stopped);
        }
        if matches!(self.last, Some(HandOver::InDoubt { .. })) {
            return Err(NotNow::InDoubt);
        }
        if uplink.has_ticket && uplink.is_highest && is_of_now(uplink.stamp, now_utc_s) {
            Ok(())
        } else {
            Err(NotNow::Unfresh)
        }
    }

    /// Whether a command that was handed over with the answer to this very uplink may go with the
    /// answer to its repeat.
    // spec: CMD-19, CMD-20, FRS-3
    #[must_use]
    pub fn may_repeat(
        &self,
        command: &WaitingCommand,
        counter: u32,
        uplink: &UplinkFacts,
        now_utc_s: u32,
        stopped: bool,
    ) -> bool {
        let this = HandOver::InDoubt {
            sequence: command.sequence,
            counter,
        };
        self.last == Some(this)
            && !stopped
            && now_utc_s <= command.not_after_utc_s
            && uplink.is_highest
            && is_of_now(uplink.stamp, now_utc_s)
    }

    /// Notes a hand-over, which is to be durable before the answer leaves.
    // spec: CMD-17, CMD-21
    pub fn note(&mut self, command: HandedOver, counter: u32) {
        self.highest = self.highest.max(command.sequence.get());
        if command.guarded {
            self.last = Some(HandOver::InDoubt {
                sequence: command.sequence,
                counter,
            });
        }
    }
}

/// Whether a stamp is at most 60 s and its uncertainty away from now.
// spec: FRS-3
fn is_of_now(stamp: Stamp, now_utc_s: u32) -> bool {
    match stamp {
        Stamp::Set { uncertainty, utc_s } => uncertainty.seconds().is_some_and(|seconds| {
            let tolerance = STAMP_AGE_MAX_S.saturating_add(u32::from(seconds));
            now_utc_s.abs_diff(utc_s) <= tolerance
        }),
        Stamp::Unset { .. } => false,
    }
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
