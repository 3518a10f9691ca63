//! The acts themselves, and what is reported of them.

use super::{Terminal, TerminalError, has_meter, kind, minutes, moves_valve, outcome};
use crate::codec::answer::Command;
use crate::codec::record::{CommandResult, MeterRef, Proof, Record, ValveState};
use crate::meter::{Meter, MeterFault, valve};
use crate::nvm::{CommandMark, Nvm, Write};
use crate::random::Random;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// Acts, now.
    // spec: CMD-8, CMD-11, CMD-12
    pub(super) fn act(
        &mut self,
        now_ms: u64,
        command: &Command,
        data: &mut Vec<u8>,
    ) -> Result<u8, TerminalError> {
        let parameters = command.parameters.as_slice();
        match command.kind {
            kind::KEY_INSTALL => return self.install_key(parameters),
            kind::MODE_CHANGE => {
                return match self.judge_mode(parameters) {
                    Ok(mode) => self.change_mode(mode),
                    Err(refused) => Ok(refused),
                };
            }
            kind::RESEND_RECORDS => return self.resend(parameters, data),
            kind::SEND_METER_TABLE => {
                self.introduce(now_ms)?;
                return Ok(outcome::DONE);
            }
            kind::TEST_CALL => return Ok(outcome::DONE),
            kind::SET_RESIDUAL_LEVELS => return self.set_levels(parameters),
            _ => {}
        }
        let stamp = self.clock.stamp(now_ms);
        let slot = command.meter.slot;
        let Some(mounted) = self.mounted_mut(slot) else {
            return Ok(outcome::OTHER_METER);
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
                self.push_valve_state(now_ms, slot, command.sequence, command.key_version)?;
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

    fn resend(&mut self, parameters: &[u8], data: &mut Vec<u8>) -> Result<u8, TerminalError> {
        let [a, b, c, d, e, f, g, h, i, j] = parameters else {
            return Ok(outcome::BAD_PARAMETERS);
        };
        let epoch = u32::from_be_bytes([*a, *b, *c, *d]);
        let first = u32::from_be_bytes([*e, *f, *g, *h]);
        let count = u16::from_be_bytes([*i, *j]);
        if epoch != self.store.epoch() {
            return Ok(outcome::BAD_PARAMETERS);
        }
        let (held, again) = self.store.recall(first, count);
        for stored in again {
            self.nvm.write(Write::Record(stored.clone()))?;
            self.store.insert(stored);
        }
        data.extend_from_slice(&held.to_be_bytes());
        Ok(if held == 0 {
            outcome::FAILED
        } else {
            outcome::DONE
        })
    }

    /// The result of a command, with its MAC.
    // spec: CMD-13, CMD-14, CMD-25
    pub(super) fn push_result(
        &mut self,
        now_ms: u64,
        mark: &CommandMark,
        data: Vec<u8>,
    ) -> Result<(), TerminalError> {
        let stamp = self.clock.stamp(now_ms);
        let slot = if has_meter(mark.kind) {
            mark.meter.slot
        } else {
            0
        };
        let mounted = self.mounted_mut(slot).filter(|_| has_meter(mark.kind));
        let (meter, valve) = match mounted {
            Some(m) => (m.meter, m.device.valve(now_ms)),
            None => (
                MeterRef {
                    slot,
                    generation: 0,
                },
                valve::UNKNOWN,
            ),
        };
        self.push(Record::CommandResult(CommandResult {
            stamp,
            command: mark.sequence,
            kind: mark.kind,
            meter,
            valve,
            outcome: mark.outcome,
            data,
            proof: Some(Proof {
                key_version: mark.key_version,
                mac: [0; 16],
            }),
        }))?;
        Ok(())
    }

    // spec: CMD-14, CMD-16, CMD-25
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
            matches!(r.record.as_ref(), Record::CommandResult(c)
                if c.command == mark.sequence && c.outcome == outcome::BEGUN)
        });
        if told {
            return Ok(());
        }
        let held = self.keys.command.version(mark.key_version);
        let version = held.map_or(self.keys.command.current.version, |k| k.version);
        if moves_valve(mark.kind) {
            self.push_valve_state(now_ms, mark.meter.slot, mark.sequence, version)?;
        }
        self.push_result(
            now_ms,
            &CommandMark {
                key_version: version,
                ..mark
            },
            Vec::new(),
        )
    }
}
