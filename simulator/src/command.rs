//! Commands: judged, recorded, executed once, reported.

use crate::codec::answer::Command;
use crate::codec::record::{CommandResult, MeterRef, Proof, Record, ValveState};
use crate::crypto::{cmac, same};
use crate::keys::{Purpose, command_key};
use crate::meter::{Meter, MeterFault, valve};
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
    /// Refused: the key did not unwrap.
    pub const KEY_UNWRAP: u8 = 10;
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

/// The firmware offer and makers' own kinds: dangerous although this terminal does not know them.
fn dangerous_unknown(kind: u8) -> bool {
    matches!(kind, 0x40 | 0xC0..=0xFE)
}

fn needs_meter(kind: u8) -> bool {
    matches!(kind, 0x01..=0x03 | 0x20 | 0x21 | 0x23 | 0x30)
}

/// How long a bound command may take from the uplink's first transmission.
const BOUND_MS: u64 = 60_000;

type Judged = Result<(), u8>;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Obeys or refuses one command of the answer to the outstanding uplink. Returns the results
    /// that wait to be sent.
    // spec: CMD-1, CMD-6, CMD-7, CMD-8, CMD-13, ROT-8
    pub(crate) fn obey(
        &mut self,
        now_ms: u64,
        ns: [u8; 8],
        command: &Command,
    ) -> Result<u32, TerminalError> {
        let last = self.mark.map_or(0, |m| m.sequence);
        if !self.mac_verifies(ns, command)? {
            self.events.push(Event::CommandIgnored {
                sequence: command.sequence,
            });
            return Ok(0);
        }
        if command.sequence <= last {
            self.events.push(Event::CommandIgnored {
                sequence: command.sequence,
            });
            return Ok(0);
        }
        self.key_was_used(Purpose::Command, command.key_version)?;
        let executed = self.mark.map_or(0, |m| m.executed);
        let mut mark = CommandMark {
            sequence: command.sequence,
            outcome: outcome::BEGUN,
            key_version: command.key_version,
            kind: command.kind,
            slot: command.slot,
            executed,
        };
        mark.outcome = match self.judge(now_ms, ns, command) {
            Err(refused) => refused,
            Ok(()) => {
                mark.executed = command.sequence;
                self.write_mark(mark)?;
                self.act(now_ms, command)?
            }
        };
        self.push_result(now_ms, &mark)?;
        self.write_mark(mark)?;
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

    /// Everything that is checked before a terminal begins to act.
    // spec: CMD-2, CMD-3, CMD-4, CMD-5, CMD-10
    fn judge(&mut self, now_ms: u64, ns: [u8; 8], command: &Command) -> Judged {
        let first = self.outstanding.as_ref().and_then(|o| o.first_ms);
        let in_time = first.is_some_and(|t| now_ms.saturating_sub(t) <= BOUND_MS);
        let known = known(command.kind);
        let must = known.map_or_else(|| dangerous_unknown(command.kind), |(bound, _)| bound);
        if (command.bound && !in_time) || (must && !command.bound) {
            return Err(outcome::UNBOUND);
        }
        let [a, b, c, d, ..] = ns;
        if u32::from_be_bytes([a, b, c, d]) > command.not_after {
            return Err(outcome::EXPIRED);
        }
        let (_, lengths) = known.ok_or(outcome::UNKNOWN_KIND)?;
        if command.kind == kind::VALVE_OPEN && !self.config.valve_open_enabled {
            return Err(outcome::NOT_CAPABLE);
        }
        if needs_meter(command.kind) && self.mounted(command.slot).is_none() {
            return Err(outcome::NOT_CAPABLE);
        }
        if !lengths.contains(&command.parameters.len()) {
            return Err(outcome::BAD_PARAMETERS);
        }
        match command.kind {
            kind::KEY_INSTALL => self.judge_key(&command.parameters)?,
            kind::MODE_CHANGE => {
                self.judge_mode(&command.parameters)?;
            }
            kind::VALVE_PERMIT_REOPEN if !(1..=1_440).contains(&minutes(&command.parameters)) => {
                return Err(outcome::BAD_PARAMETERS);
            }
            _ => {}
        }
        self.precondition(now_ms, command)
    }

    /// Asks the meter itself.
    // spec: CMD-9
    fn precondition(&mut self, now_ms: u64, command: &Command) -> Judged {
        if command.precondition == 0 {
            return Ok(());
        }
        let mounted = self
            .mounted_mut(command.slot)
            .ok_or(outcome::PRECONDITION)?;
        let state = mounted.device.valve(now_ms);
        let met = match command.precondition {
            1 => state == valve::OPEN,
            2 => state == valve::CLOSED_BY_CENTRE,
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

    /// Acts, now.
    // spec: CMD-8, CMD-11, CMD-12
    fn act(&mut self, now_ms: u64, command: &Command) -> Result<u8, TerminalError> {
        let parameters = command.parameters.as_slice();
        let stamp = self.clock.stamp(now_ms);
        match command.kind {
            kind::KEY_INSTALL => return self.install_key(parameters),
            kind::MODE_CHANGE => {
                return match self.judge_mode(parameters) {
                    Ok(mode) => self.change_mode(mode),
                    Err(refused) => Ok(refused),
                };
            }
            kind::RESEND_RECORDS => return self.resend(parameters),
            kind::TEST_CALL => return Ok(outcome::DONE),
            kind::SET_RESIDUAL_LEVELS => return self.set_levels(parameters),
            _ => {}
        }
        let Some(mounted) = self.mounted_mut(command.slot) else {
            return Ok(outcome::NOT_CAPABLE);
        };
        let (meter, device) = (mounted.meter, &mut mounted.device);
        let done = match command.kind {
            kind::VALVE_CLOSE => device.close(now_ms),
            kind::VALVE_PERMIT_REOPEN => device.permit_reopen(now_ms, minutes(parameters)),
            kind::VALVE_OPEN => device.open(now_ms),
            kind::READ_REGISTER => match device.register(now_ms) {
                Some(register) => {
                    let cause = 2;
                    self.push(Record::RegisterReading {
                        stamp,
                        meter,
                        cause,
                        register,
                    })?;
                    Ok(())
                }
                None => Err(MeterFault::Failed),
            },
            kind::READ_VALVE_STATE => {
                self.push_valve_state(now_ms, command.slot, command.sequence, command.key_version)?;
                Ok(())
            }
            kind::SEND_METER_TABLE => {
                self.push_meter_table(meter, stamp)?;
                Ok(())
            }
            _ => Err(MeterFault::NotCapable),
        };
        Ok(match done {
            Ok(()) => outcome::DONE,
            Err(MeterFault::NotCapable) => outcome::NOT_CAPABLE,
            Err(MeterFault::Failed) => outcome::FAILED,
        })
    }

    fn set_levels(&mut self, parameters: &[u8]) -> Result<u8, TerminalError> {
        let [a, b, c, d, e, f, g, h, i] = parameters else {
            return Ok(outcome::BAD_PARAMETERS);
        };
        let level = |x: u8, y: u8, z: u8| u32::from_be_bytes([0, x, y, z]);
        let levels = [level(*a, *b, *c), level(*d, *e, *f), level(*g, *h, *i)];
        self.nvm.write(Write::ResidualLevels(levels))?;
        Ok(outcome::DONE)
    }

    fn resend(&mut self, parameters: &[u8]) -> Result<u8, TerminalError> {
        let [a, b, c, d, e, f, g, h, i, j] = parameters else {
            return Ok(outcome::BAD_PARAMETERS);
        };
        let epoch = u32::from_be_bytes([*a, *b, *c, *d]);
        let first = u32::from_be_bytes([*e, *f, *g, *h]);
        let count = u16::from_be_bytes([*i, *j]);
        let again = self.store.recall(epoch, first, count);
        let found = !again.is_empty();
        for stored in again {
            self.nvm.write(Write::Record(stored.clone()))?;
            self.store.insert(stored);
        }
        Ok(if found {
            outcome::DONE
        } else {
            outcome::FAILED
        })
    }

    /// The result of a command, with its MAC.
    // spec: CMD-13, CMD-14
    fn push_result(&mut self, now_ms: u64, mark: &CommandMark) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let nobody = MeterRef {
            slot: mark.slot,
            generation: 0,
        };
        let (meter, valve) = match self.mounted_mut(mark.slot) {
            Some(m) => (m.meter, m.device.valve(now_ms)),
            None => (nobody, valve::UNKNOWN),
        };
        self.push(Record::CommandResult(CommandResult {
            stamp,
            command: mark.sequence,
            kind: mark.kind,
            meter,
            valve,
            outcome: mark.outcome,
            data: Vec::new(),
            proof: Some(Proof {
                key_version: mark.key_version,
                mac: [0; 16],
            }),
        }))?;
        Ok(())
    }

    // spec: CMD-14, CMD-16
    fn push_valve_state(
        &mut self,
        now_ms: u64,
        slot: u8,
        command: u32,
        key_version: u8,
    ) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let Some(mounted) = self.mounted_mut(slot) else {
            return Ok(());
        };
        let valve = mounted.device.valve(now_ms);
        let (meter, cause) = (mounted.meter, mounted.device.valve_cause());
        let proof = Some(Proof {
            key_version,
            mac: [0; 16],
        });
        let record = ValveState {
            stamp,
            meter,
            valve,
            cause,
            command,
            proof,
        };
        self.push(Record::ValveState(record))?;
        Ok(())
    }

    /// After a restart: a command that was begun and whose end is not known.
    // spec: CMD-16
    pub(crate) fn look_for_begun_command(&mut self, now_ms: u64) -> Result<(), TerminalError> {
        let Some(mark) = self.mark.filter(|m| m.outcome == outcome::BEGUN) else {
            return Ok(());
        };
        let told = self.store.records().any(|r| {
            matches!(r.record.as_ref(), Record::ValveState(v)
                if v.command == mark.sequence && v.proof.is_some())
        });
        if told {
            return Ok(());
        }
        let held = self.keys.command.version(mark.key_version);
        let version = held.map_or(self.keys.command.current.version, |k| k.version);
        self.push_valve_state(now_ms, mark.slot, mark.sequence, version)?;
        self.push_result(
            now_ms,
            &CommandMark {
                key_version: version,
                ..mark
            },
        )
    }
}

fn minutes(parameters: &[u8]) -> u16 {
    match parameters {
        [a, b] => u16::from_be_bytes([*a, *b]),
        _ => 0,
    }
}
