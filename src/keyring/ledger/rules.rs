//! The rules of the ledger: what may be approved, cancelled and signed.

use super::refusals::{ApproveRefusal, CancelRefusal, SignRefusal};
use super::types::{Approval, CancelOutcome, SignRequest, Transition, UplinkRef, counter};
use super::{Entry, Ledger, Status, Terminal};
use crate::crypto::otl::{AeadMode, AnsweredUplink};
use crate::wire::otl::registry::commands::{CommandClass, CommandKind};

/// The largest difference between the seconds of Ns and the signer's clock, in seconds.
// spec: CMD-18
const CLOCK_DIFFERENCE_MAX_S: u32 = 30;
/// not_after of a command without a limit.
const NO_LIMIT: u32 = u32::MAX;
/// The longest parameters that are signed for a maker's own kind, in octets: the command has to fit
/// an answer of 256 octets.
const OWN_PARAMETERS_MAX_OCTETS: usize = 200;

impl Ledger {
    /// Decides whether a command may be approved under a sequence.
    ///
    /// # Errors
    ///
    /// [`ApproveRefusal`].
    // spec: CMD-17
    pub fn plan_approve(
        &self,
        identity: [u8; 8],
        sequence: u32,
        approval: Approval,
    ) -> Result<Transition, ApproveRefusal> {
        let floor = self
            .terminals
            .get(&identity)
            .map_or(0, |terminal| terminal.floor);
        if sequence <= floor {
            return Err(ApproveRefusal::SequenceUsed);
        }
        check_parameters(approval.kind, &approval.parameters)?;
        check_precondition(approval.kind, approval.precondition)?;
        let class = CommandKind::from_code(approval.kind).class();
        if approval.not_after_utc_s == NO_LIMIT && class != CommandClass::Harmless {
            return Err(ApproveRefusal::NoTimeLimit);
        }
        Ok(Transition::Approved {
            identity,
            sequence,
            approval,
        })
    }

    /// Decides what a cancellation means. The transition is to be durable before it is confirmed; a
    /// cancellation that is there already needs none.
    ///
    /// # Errors
    ///
    /// [`CancelRefusal`].
    // spec: CMD-22
    pub fn plan_cancel(
        &self,
        identity: [u8; 8],
        sequence: u32,
    ) -> Result<(CancelOutcome, Option<Transition>), CancelRefusal> {
        let entry = self
            .entry(&identity, sequence)
            .ok_or(CancelRefusal::UnknownApproval)?;
        let transition = Some(Transition::Cancelled { identity, sequence });
        match &entry.status {
            // An older copy does not know what was signed since.
            Status::Approved if entry.held => Ok((CancelOutcome::MayHaveBeenSigned, transition)),
            // What is harmless is signed without a trace.
            Status::Approved if entry.is_harmless() => {
                Ok((CancelOutcome::MayHaveBeenSigned, transition))
            }
            Status::Approved => Ok((CancelOutcome::NeverSigned, transition)),
            Status::Signed(_) => Ok((CancelOutcome::MayHaveBeenSigned, transition)),
            Status::Cancelled { was_signed: false } if entry.is_harmless() => {
                Ok((CancelOutcome::MayHaveBeenSigned, None))
            }
            Status::Cancelled { was_signed: false } => Ok((CancelOutcome::NeverSigned, None)),
            Status::Cancelled { was_signed: true } => Ok((CancelOutcome::MayHaveBeenSigned, None)),
            Status::Ended => Err(CancelRefusal::Ended),
        }
    }

    /// Decides whether a request may be signed at `now_utc_s` by the signer's clock, and which
    /// transition is to be durable before the MAC is given out.
    ///
    /// # Errors
    ///
    /// [`SignRefusal`].
    // spec: CMD-18, CMD-19
    pub fn plan_sign(
        &self,
        request: &SignRequest<'_>,
        now_utc_s: u32,
    ) -> Result<Option<Transition>, SignRefusal> {
        let terminal = self
            .terminals
            .get(&request.identity)
            .ok_or(SignRefusal::UnknownApproval)?;
        let entry = terminal
            .entries
            .get(&request.sequence)
            .ok_or(SignRefusal::UnknownApproval)?;
        match entry.status {
            Status::Cancelled { .. } => return Err(SignRefusal::Cancelled),
            Status::Ended => return Err(SignRefusal::Ended),
            Status::Approved | Status::Signed(_) if entry.held => return Err(SignRefusal::Held),
            Status::Approved | Status::Signed(_) => {}
        }
        if !request.matches(&entry.approval) {
            return Err(SignRefusal::NotAsApproved);
        }
        if now_utc_s > request.not_after_utc_s {
            return Err(SignRefusal::Expired);
        }
        let class = CommandKind::from_code(request.kind).class();
        let Some(uplink) = &request.bound_to else {
            // spec: CMD-2, CMD-3
            let is_free = class == CommandClass::Harmless;
            return if is_free {
                Ok(None)
            } else {
                Err(SignRefusal::Unbound)
            };
        };
        check_binding(request.identity, uplink)?;
        if ns_seconds(uplink).abs_diff(now_utc_s) > CLOCK_DIFFERENCE_MAX_S {
            return Err(SignRefusal::ClockDifference);
        }
        if class == CommandClass::Harmless {
            return Ok(None);
        }
        if ticket_is_zero(uplink) {
            return Err(SignRefusal::NoTicket);
        }
        terminal.check_uplink(request.sequence, entry, class, uplink)?;
        Ok(Some(Transition::Signed {
            identity: request.identity,
            sequence: request.sequence,
            uplink: UplinkRef::of(uplink),
        }))
    }

    fn entry(&self, identity: &[u8; 8], sequence: u32) -> Option<&Entry> {
        self.terminals.get(identity)?.entries.get(&sequence)
    }
}

impl Terminal {
    /// Whether a bound command may be signed for this uplink, in view of what else was signed.
    fn check_uplink(
        &self,
        sequence: u32,
        entry: &Entry,
        class: CommandClass,
        uplink: &AnsweredUplink<'_>,
    ) -> Result<(), SignRefusal> {
        if let Status::Signed(signed) = &entry.status {
            if signed.is(uplink) {
                return Ok(());
            }
            // spec: CMD-19
            if class == CommandClass::Dangerous {
                return Err(SignRefusal::OtherUplink);
            }
        }
        let others = self.entries.iter().filter(|(other, _)| **other != sequence);
        for (other, entry) in others {
            let was_signed = match &entry.status {
                Status::Signed(signed) => Some(signed),
                Status::Ended | Status::Approved | Status::Cancelled { .. } => None,
            };
            let is_past = was_signed.is_some() || entry.status == Status::Ended;
            if is_past && *other > sequence {
                return Err(SignRefusal::Superseded);
            }
            // A verified uplink with a higher counter reports on what was handed over before.
            // spec: CMD-20, CMD-24
            let other_class = CommandKind::from_code(entry.approval.kind).class();
            let both_dangerous =
                class == CommandClass::Dangerous && other_class == CommandClass::Dangerous;
            if both_dangerous
                && was_signed.is_some_and(|signed| signed.counter() >= counter(uplink.header))
            {
                return Err(SignRefusal::EarlierNotReported);
            }
        }
        Ok(())
    }
}

fn check_parameters(kind: u8, parameters: &[u8]) -> Result<(), ApproveRefusal> {
    let fits = match CommandKind::from_code(kind).parameter_lens() {
        Some(lengths) => lengths.contains(&parameters.len()),
        None if (0xC0..=0xFE).contains(&kind) => parameters.len() <= OWN_PARAMETERS_MAX_OCTETS,
        None => return Err(ApproveRefusal::UnknownKind),
    };
    let in_range = match (CommandKind::from_code(kind), parameters) {
        (CommandKind::VALVE_CLOSE, [reason]) => (1..=5).contains(reason),
        (CommandKind::VALVE_PERMIT_REOPEN, [high, low]) => {
            (1..=1_440).contains(&u16::from_be_bytes([*high, *low]))
        }
        // spec: ROT-12
        (CommandKind::MODE_CHANGE, [mode]) => AeadMode::from_code(*mode).is_some(),
        _ => true,
    };
    if fits && in_range {
        Ok(())
    } else {
        Err(ApproveRefusal::BadParameters)
    }
}

// spec: CMD-26
fn check_precondition(kind: u8, precondition: u8) -> Result<(), ApproveRefusal> {
    let fits = match CommandKind::from_code(kind) {
        CommandKind::VALVE_OPEN | CommandKind::VALVE_PERMIT_REOPEN => matches!(precondition, 2 | 3),
        _ => precondition <= 0x7F,
    };
    if fits {
        Ok(())
    } else {
        Err(ApproveRefusal::BadPrecondition)
    }
}

/// Whether the binding is an UPLINK of this terminal in one of the modes 1 to 3.
// spec: SEC-4
fn check_binding(identity: [u8; 8], uplink: &AnsweredUplink<'_>) -> Result<(), SignRefusal> {
    let [first, flags, _key_version, rest @ ..] = uplink.header else {
        return Err(SignRefusal::BadBinding);
    };
    let mode = AeadMode::from_code(flags >> 5);
    let has_shape = mode.is_some_and(|mode| {
        uplink.header.len() == mode.uplink_header_octets() && uplink.tag.len() == mode.tag_octets()
    });
    if *first == 0x11 && has_shape && rest.first_chunk() == Some(&identity) {
        Ok(())
    } else {
        Err(SignRefusal::BadBinding)
    }
}

fn ns_seconds(uplink: &AnsweredUplink<'_>) -> u32 {
    let [s0, s1, s2, s3, ..] = uplink.server_nonce;
    u32::from_be_bytes([s0, s1, s2, s3])
}

// spec: FRS-3
fn ticket_is_zero(uplink: &AnsweredUplink<'_>) -> bool {
    let ticket = uplink
        .header
        .get(15..)
        .and_then(|rest| rest.first_chunk::<8>());
    ticket.is_none_or(|ticket| *ticket == [0; 8])
}
