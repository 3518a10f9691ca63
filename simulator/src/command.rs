//! Commands: judged, recorded, executed once.

mod act;

use crate::codec::answer::Command;
use crate::crypto::{cmac, same};
use crate::keys::{Purpose, command_key};
use crate::meter::{Meter, valve};
use crate::nvm::{CommandMark, Nvm, Write};
use crate::random::Random;
use crate::terminal::{Event, Terminal, TerminalError};

/// Outcomes of the registry.
pub mod outcome {
    /// Done.
    pub const DONE: u8 = 1;
    /// Refused: the precondition is not met.
    pub const PRECONDITION: u8 = 2;
    /// Refused: past its `not_after`.
    pub const EXPIRED: u8 = 3;
    /// Refused: not bound to the outstanding uplink.
    pub const UNBOUND: u8 = 4;
    /// Refused: unknown kind.
    pub const UNKNOWN_KIND: u8 = 5;
    /// Refused: not capable.
    pub const NOT_CAPABLE: u8 = 6;
    /// Refused: bad parameters.
    pub const BAD_PARAMETERS: u8 = 7;
    /// Tried and failed.
    pub const FAILED: u8 = 8;
    /// Begun, end not known.
    pub const BEGUN: u8 = 9;
    /// Refused: the key did not unwrap, or its key-encryption key is not known.
    pub const KEY_UNWRAP: u8 = 10;
    /// Refused: another meter is mounted in that slot.
    pub const OTHER_METER: u8 = 11;
}

/// Kinds of the registry.
pub mod kind {
    /// Close the valve.
    pub const VALVE_CLOSE: u8 = 0x01;
    /// Permit reopening.
    pub const VALVE_PERMIT_REOPEN: u8 = 0x02;
    /// Open the valve.
    pub const VALVE_OPEN: u8 = 0x03;
    /// Install a key.
    pub const KEY_INSTALL: u8 = 0x10;
    /// Change the mode.
    pub const MODE_CHANGE: u8 = 0x11;
    /// Read the register.
    pub const READ_REGISTER: u8 = 0x20;
    /// Read the valve state.
    pub const READ_VALVE_STATE: u8 = 0x21;
    /// Send records again.
    pub const RESEND_RECORDS: u8 = 0x22;
    /// Send the meter table.
    pub const SEND_METER_TABLE: u8 = 0x23;
    /// Make a test call.
    pub const TEST_CALL: u8 = 0x24;
    /// Set the residual gas thresholds.
    pub const SET_RESIDUAL_LEVELS: u8 = 0x30;
}

/// Whether a kind must be bound, and how many octets of parameters it has; `None` is unknown.
fn known(kind: u8) -> Option<(bool, &'static [usize])> {
    match kind {
        kind::VALVE_CLOSE | kind::MODE_CHANGE => Some((true, &[1])),
        kind::VALVE_PERMIT_REOPEN => Some((true, &[2])),
        kind::VALVE_OPEN => Some((true, &[0])),
        kind::KEY_INSTALL => Some((true, &[27, 43])),
        kind::READ_REGISTER | kind::READ_VALVE_STATE | kind::SEND_METER_TABLE | kind::TEST_CALL => {
            Some((false, &[0]))
        }
        kind::RESEND_RECORDS => Some((false, &[10])),
        kind::SET_RESIDUAL_LEVELS => Some((true, &[9])),
        _ => None,
    }
}

/// Whether a result of this kind is sent like an alarm.
#[must_use]
pub fn is_dangerous(kind: u8) -> bool {
    matches!(kind, 0x01..=0x03 | 0x10 | 0x11 | 0x40 | 0xC0..=0xFE)
}

fn has_meter(kind: u8) -> bool {
    matches!(kind, 0x01..=0x03 | 0x20 | 0x21 | 0x30)
}

fn moves_valve(kind: u8) -> bool {
    matches!(kind, 0x01..=0x03)
}

/// `not_after` of a command without a limit, for harmless kinds.
const NO_LIMIT: u32 = u32::MAX;
/// How long a bound command may take from the uplink's first transmission.
const BOUND_MS: u64 = 60_000;

type Judged = Result<(), u8>;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Obeys or refuses one command of the answer to the outstanding uplink. Returns the results
    /// that wait to be sent.
    // spec: CMD-1, CMD-6, CMD-7, CMD-8, CMD-13, CMD-23, ROT-8, SES-3
    pub(crate) fn obey(
        &mut self,
        now_ms: u64,
        ns: [u8; 8],
        command: &Command,
    ) -> Result<u32, TerminalError> {
        let last = self.mark.map_or(0, |m| m.sequence);
        if !self.mac_verifies(ns, command)? || command.sequence <= last {
            let sequence = command.sequence;
            self.events.push(Event::CommandIgnored { sequence });
            return Ok(0);
        }
        self.key_was_used(Purpose::Command, command.key_version)?;
        let mut mark = CommandMark {
            sequence: command.sequence,
            outcome: outcome::BEGUN,
            key_version: command.key_version,
            kind: command.kind,
            meter: command.meter,
        };
        let mut data = Vec::new();
        mark.outcome = match self.judge(now_ms, ns, command) {
            Err(refused) => refused,
            Ok(()) => {
                self.write_mark(mark)?;
                match self.precondition(now_ms, command) {
                    Err(refused) => refused,
                    Ok(()) => self.act(now_ms, command, &mut data)?,
                }
            }
        };
        self.push_result(now_ms, &mark, data)?;
        self.write_mark(mark)?;
        if is_dangerous(mark.kind) {
            self.send_at_once(now_ms);
        }
        self.events.push(Event::Command {
            sequence: mark.sequence,
            outcome: mark.outcome,
        });
        Ok(1)
    }

    // spec: CMD-6, CMD-7
    fn write_mark(&mut self, mark: CommandMark) -> Result<(), TerminalError> {
        self.nvm.write(Write::Command(mark))?;
        self.mark = Some(mark);
        Ok(())
    }

    // spec: CMD-1
    fn mac_verifies(&self, ns: [u8; 8], command: &Command) -> Result<bool, TerminalError> {
        let owner = self.config.owner;
        let Some(base) = self.keys.command.version(command.key_version) else {
            return Ok(false);
        };
        let bound_to = self.outstanding.as_ref().and_then(|o| o.binding());
        let (Some((header, tag)), Ok(length)) = (bound_to, u16::try_from(command.parameters.len()))
        else {
            return Ok(false);
        };
        let key = command_key(base, &owner, 2)?;
        let length = length.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![
            b"OTL1 cmd",
            &owner.identity.0,
            &command.head,
            &length,
            &command.parameters,
        ];
        if command.bound {
            parts.extend([ns.as_slice(), header, tag]);
        }
        Ok(same(&cmac(&key, &parts)?, &command.mac))
    }

    /// Everything that is checked before the sequence is recorded as begun.
    // spec: CMD-2, CMD-3, CMD-4, CMD-5, CMD-10, CMD-23, CMD-26
    fn judge(&mut self, now_ms: u64, ns: [u8; 8], command: &Command) -> Judged {
        let (must, lengths) = known(command.kind).ok_or(outcome::UNKNOWN_KIND)?;
        let first = self.outstanding.as_ref().and_then(|o| o.first_ms);
        let in_time = first.is_some_and(|t| now_ms.saturating_sub(t) <= BOUND_MS);
        if (command.bound && !in_time) || (must && !command.bound) {
            return Err(outcome::UNBOUND);
        }
        let [a, b, c, d, ..] = ns;
        let unlimited = must && command.not_after == NO_LIMIT;
        if unlimited || u32::from_be_bytes([a, b, c, d]) > command.not_after {
            return Err(outcome::EXPIRED);
        }
        let mounted = self.mounted(command.meter.slot).map(|m| m.meter);
        if has_meter(command.kind) && mounted != Some(command.meter) {
            return Err(outcome::OTHER_METER);
        }
        if command.kind == kind::VALVE_OPEN && !self.config.valve_open_enabled {
            return Err(outcome::NOT_CAPABLE);
        }
        if !lengths.contains(&command.parameters.len()) {
            return Err(outcome::BAD_PARAMETERS);
        }
        let closed_only = matches!(command.precondition, 2 | 3);
        let fits = match command.kind {
            kind::KEY_INSTALL => return self.judge_key(&command.parameters),
            kind::MODE_CHANGE => return self.judge_mode(&command.parameters).map(|_| ()),
            kind::VALVE_CLOSE => matches!(command.parameters.as_slice(), [1..=5]),
            kind::VALVE_OPEN => closed_only,
            kind::VALVE_PERMIT_REOPEN => {
                closed_only && (1..=1_440).contains(&minutes(&command.parameters))
            }
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(outcome::BAD_PARAMETERS)
        }
    }

    /// Asks the meter itself, right before the act.
    // spec: CMD-9, ROT-13
    fn precondition(&mut self, now_ms: u64, command: &Command) -> Judged {
        if self.rotation_in_the_way(command) {
            return Err(outcome::PRECONDITION);
        }
        if command.precondition == 0 {
            return Ok(());
        }
        let mounted = self
            .mounted_mut(command.meter.slot)
            .ok_or(outcome::PRECONDITION)?;
        let state = mounted.device.valve(now_ms);
        let met = match command.precondition {
            1 => state == valve::OPEN,
            2 => matches!(state, valve::CLOSED_BY_CENTRE | valve::REOPEN_PERMITTED),
            3 => matches!(state, 2..=5 | valve::EMERGENCY),
            4 => mounted
                .device
                .seconds_without_flow(now_ms)
                .is_some_and(|s| s >= 60),
            _ => false,
        };
        if met {
            Ok(())
        } else {
            Err(outcome::PRECONDITION)
        }
    }
}

fn minutes(parameters: &[u8]) -> u16 {
    match parameters {
        [a, b] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    }
}
