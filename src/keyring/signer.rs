//! The signer of commands: the seam between the server and whoever holds command keys.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use super::command::CommandKeyring;
use super::error::KeyError;
use super::ledger::{
    Approval, ApproveRefusal, CancelOutcome, CancelRefusal, Ledger, LedgerSnapshot, SignRefusal,
    SignRequest, Transition,
};
use crate::crypto::MacMismatch;
use crate::crypto::otl::{CommandHead, CommandInput, CommandMac, ResultInput};

/// A result or valve state record whose MAC is to be verified.
#[derive(Clone, Copy, Debug)]
pub struct ResultCheck<'a> {
    /// Version of the command key that the record states.
    pub key_version: u8,
    /// What the MAC covers.
    pub input: ResultInput<'a>,
    /// The MAC in the record.
    pub mac: [u8; 16],
}

/// Why a result was not taken as proven.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ResultRefusal {
    /// The command key is not at hand.
    #[error("no command key: {0}")]
    Key(#[from] KeyError),
    /// The MAC does not verify.
    #[error("the MAC of the record does not verify")]
    Mac(#[from] MacMismatch),
}

/// Whoever signs commands and verifies their results. The server asks it and never has its keys.
// spec: KEY-10
pub trait CommandSigner: fmt::Debug + Send + Sync {
    /// The MAC of a command, if its approval allows it now, by the signer's own clock: whoever asks
    /// has no say in what time it is.
    ///
    /// # Errors
    ///
    /// [`SignRefusal`].
    // spec: CMD-18, CMD-19
    fn sign(&self, request: &SignRequest<'_>) -> Result<CommandMac, SignRefusal>;

    /// Verifies the MAC of a result or valve state record.
    ///
    /// # Errors
    ///
    /// [`ResultRefusal`].
    // spec: CMD-14, CMD-15, ROT-8
    fn verify_result(&self, check: &ResultCheck<'_>) -> Result<(), ResultRefusal>;
}

/// A transition could not be made durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signer's journal failed")]
pub struct JournalFailed;

/// Where transitions are made durable, one by one and in order.
pub trait Journal: fmt::Debug + Send {
    /// Makes a transition durable before it returns.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`]; the signer then signs, approves and cancels nothing any more.
    fn record(&mut self, transition: &Transition) -> Result<(), JournalFailed>;
}

/// A journal that keeps nothing: for tests and laboratories, where a restart may forget.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolatileJournal;

impl Journal for VolatileJournal {
    fn record(&mut self, _: &Transition) -> Result<(), JournalFailed> {
        Ok(())
    }
}

/// The signer's own clock: UTC seconds since 1970. This layer reads none by itself.
pub struct SignerClock(Box<dyn Fn() -> u32 + Send + Sync>);

impl SignerClock {
    /// A clock that asks `utc_s`.
    #[must_use]
    pub fn new(utc_s: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self(Box::new(utc_s))
    }
}

impl fmt::Debug for SignerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerClock({} s)", (self.0)())
    }
}

/// A signer in this process, with its own keys, ledger and clock.
#[derive(Debug)]
pub struct LocalSigner<J> {
    keys: CommandKeyring,
    clock: SignerClock,
    state: Mutex<State<J>>,
}

#[derive(Debug)]
struct State<J> {
    ledger: Ledger,
    journal: J,
    has_failed: bool,
}

impl<J: Journal> State<J> {
    /// Makes a transition durable, then folds it in. After a failure nothing is durable any more.
    fn commit(&mut self, transition: &Transition) -> Result<(), JournalFailed> {
        if self.has_failed {
            return Err(JournalFailed);
        }
        self.journal
            .record(transition)
            .inspect_err(|_| self.has_failed = true)?;
        self.ledger.apply(transition);
        Ok(())
    }
}

impl<J: Journal> LocalSigner<J> {
    /// A signer with these keys, the ledger as it was left, where its transitions go, and its
    /// clock.
    #[must_use]
    pub const fn new(keys: CommandKeyring, ledger: Ledger, journal: J, clock: SignerClock) -> Self {
        let state = State {
            ledger,
            journal,
            has_failed: false,
        };
        Self {
            keys,
            clock,
            state: Mutex::new(state),
        }
    }

    /// The keys, to make up key installations with.
    #[must_use]
    pub const fn keys(&self) -> &CommandKeyring {
        &self.keys
    }

    /// A copy of the ledger.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`] if a thread stopped in the middle of a change.
    pub fn snapshot(&self) -> Result<LedgerSnapshot, JournalFailed> {
        Ok(self.state()?.ledger.snapshot())
    }

    /// Takes an approval on. One approval is one sequence, and sequences of a terminal go up.
    ///
    /// # Errors
    ///
    /// [`ApproveRefusal`].
    // spec: CMD-17
    pub fn approve(
        &self,
        identity: [u8; 8],
        sequence: u32,
        approval: Approval,
    ) -> Result<(), ApproveRefusal> {
        let mut state = self.state().map_err(|_| ApproveRefusal::JournalFailed)?;
        let transition = state.ledger.plan_approve(identity, sequence, approval)?;
        state
            .commit(&transition)
            .map_err(|_| ApproveRefusal::JournalFailed)
    }

    /// Cancels an approval. When this returns the cancellation is durable, and nothing is signed
    /// for the sequence any more.
    ///
    /// # Errors
    ///
    /// [`CancelRefusal`]; the cancellation is then not confirmed.
    // spec: CMD-22
    pub fn cancel(&self, identity: [u8; 8], sequence: u32) -> Result<CancelOutcome, CancelRefusal> {
        let mut state = self.state().map_err(|_| CancelRefusal::JournalFailed)?;
        let (outcome, transition) = state.ledger.plan_cancel(identity, sequence)?;
        if let Some(transition) = transition {
            state
                .commit(&transition)
                .map_err(|_| CancelRefusal::JournalFailed)?;
        }
        Ok(outcome)
    }

    /// Notes that a command has ended: proven by a record whose MAC was verified, or decided by a
    /// person.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`].
    // spec: CMD-15
    pub fn end(&self, identity: [u8; 8], sequence: u32) -> Result<(), JournalFailed> {
        self.state()?
            .commit(&Transition::Ended { identity, sequence })
    }

    /// Releases an approval that is held since the ledger was restored from an older copy.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`].
    // spec: ROL-1
    pub fn release(&self, identity: [u8; 8], sequence: u32) -> Result<(), JournalFailed> {
        self.state()?
            .commit(&Transition::Released { identity, sequence })
    }

    /// Notes that a terminal reported this sequence: new approvals lie above it.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`].
    // spec: ROL-2
    pub fn raise_floor(&self, identity: [u8; 8], sequence: u32) -> Result<(), JournalFailed> {
        self.state()?
            .commit(&Transition::FloorRaised { identity, sequence })
    }

    /// Forgets what ended, was cancelled or was never signed, and whose not_after lies before a UTC
    /// second.
    ///
    /// # Errors
    ///
    /// [`JournalFailed`].
    pub fn forget(&self, before_utc_s: u32) -> Result<(), JournalFailed> {
        let mut state = self.state()?;
        let transitions = state.ledger.plan_forget(before_utc_s);
        transitions
            .iter()
            .try_for_each(|transition| state.commit(transition))
    }

    /// As [`CommandSigner::sign`], at a time that the holder of the signer vouches for.
    ///
    /// # Errors
    ///
    /// [`SignRefusal`].
    // spec: CMD-18, CMD-19
    pub fn sign_at(
        &self,
        request: &SignRequest<'_>,
        now_utc_s: u32,
    ) -> Result<CommandMac, SignRefusal> {
        let mut state = self.state().map_err(|_| SignRefusal::JournalFailed)?;
        if state.has_failed {
            return Err(SignRefusal::JournalFailed);
        }
        let transition = state.ledger.plan_sign(request, now_utc_s)?;
        let key = self
            .keys
            .command_key(&request.identity, request.key_version)?;
        let mac = key
            .mac(&CommandInput {
                identity: request.identity,
                head: CommandHead {
                    key_version: request.key_version,
                    sequence: request.sequence,
                    kind: request.kind,
                    meter: request.meter,
                    precondition: request.precondition,
                    not_after_utc_s: request.not_after_utc_s,
                },
                parameters: request.parameters,
                bound_to: request.bound_to,
            })
            .map_err(|_| SignRefusal::NotAsApproved)?;
        if let Some(transition) = transition {
            // Durable before the MAC leaves: a signer that restarts must not sign for a second
            // uplink.
            // spec: CMD-19
            state
                .commit(&transition)
                .map_err(|_| SignRefusal::JournalFailed)?;
        }
        Ok(mac)
    }

    fn state(&self) -> Result<MutexGuard<'_, State<J>>, JournalFailed> {
        self.state.lock().map_err(|_| JournalFailed)
    }
}

impl<J: Journal> CommandSigner for LocalSigner<J> {
    fn sign(&self, request: &SignRequest<'_>) -> Result<CommandMac, SignRefusal> {
        self.sign_at(request, (self.clock.0)())
    }

    fn verify_result(&self, check: &ResultCheck<'_>) -> Result<(), ResultRefusal> {
        let key = self
            .keys
            .result_key(&check.input.identity, check.key_version)?;
        Ok(key.verify(&check.input, &check.mac)?)
    }
}
