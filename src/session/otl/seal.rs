//! From a plan to the octets of an answer: server nonce, signature, encryption, once a second.

use core::fmt;

use crate::crypto::otl::{AnsweredFrame, AnsweredUplink, SealError};
use crate::keyring::{CommandSigner, SignRefusal, SignRequest};
use crate::wire::error::{EncodeError, OutOfRange};
use crate::wire::otl::answer::{Answer, AnswerItem};
use crate::wire::otl::command::CommandItem;
use crate::wire::otl::header::{AnswerHeader, Mode, Ns, ResyncAnswerHeader, UplinkHeader};
use crate::wire::otl::ident::{FrameCounter, Identity};
use crate::wire::otl::limits::FRAME_MAX;
use crate::wire::otl::record::Mac;
use crate::wire::otl::resync::ResyncAnswer;
use crate::wire::writer::Writer;

use super::answer_gate::{AnswerGate, AnswerKey, Passage};
use super::hand_over::WaitingCommand;
use super::ns_mark::NsMark;
use super::open::{Answered, OpenedResync, session_nonces};
use super::step::AnswerPlan;
use super::window::ReplayWindow;

/// The longest answer with a command to an uplink that is shorter than it, in octets.
// spec: ANS-10
const WITH_COMMAND_MAX: usize = 256;

/// What sealing needs beside the plan.
pub struct Sealer<'a> {
    /// The server's UTC seconds, read once for this answer.
    pub now_utc_s: u32,
    /// Gives 32 bits from a random source fit for keys, or none. Asked for each answer that is
    /// sealed, and for no other.
    // spec: NON-7
    pub random: &'a mut dyn FnMut() -> Option<u32>,
    /// The durable mark of server nonces.
    pub mark: &'a NsMark,
    /// Whoever signs commands.
    pub signer: &'a dyn CommandSigner,
}

impl fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("now_utc_s", &self.now_utc_s)
            .finish_non_exhaustive()
    }
}

impl Sealer<'_> {
    /// The server nonce of an answer of this second.
    // spec: NON-7, FRS-4
    fn nonce(&mut self) -> Result<Ns, Sealed> {
        if !self.mark.covers(self.now_utc_s) {
            return Err(Sealed::NeedsMark);
        }
        let random = (self.random)().ok_or(Sealed::NoRandom)?;
        Ok(Ns::from_parts(self.now_utc_s, random))
    }
}

/// What came of a plan.
#[derive(Debug, Eq, PartialEq)]
pub enum Sealed {
    /// To be sent.
    Frame {
        /// The octets.
        frame: Vec<u8>,
        /// Why the plan's command is not in it.
        left_out: Option<LeftOut>,
    },
    /// Sealed before in this second; the same octets are to be sent again.
    // spec: NON-9
    Repeat(Vec<u8>),
    /// Nothing is to be sent in this second.
    Silent,
    /// The mark of server nonces is to be advanced and made durable first.
    // spec: FRS-4
    NeedsMark,
    /// There is no random number: nothing is sealed, and nothing is to be sent.
    // spec: NON-7
    NoRandom,
}

/// Why a command that was planned did not go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftOut {
    /// The signer refused it.
    Signer(SignRefusal),
    /// The answer would have been longer than is allowed.
    // spec: ANS-10
    TooLong,
}

/// A plan that cannot be sealed: a bug of this server, not of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealFailure {
    /// The answer does not fit a frame.
    #[error("the answer cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// Flags or items contradict each other.
    #[error("the answer cannot be made: {0}")]
    Plan(#[from] OutOfRange),
    /// The key does not fit the mode.
    #[error("the answer cannot be sealed: {0}")]
    Seal(#[from] SealError),
}

/// Seals the answer to an uplink.
///
/// # Errors
///
/// [`SealFailure`].
// spec: NON-7, NON-8, NON-9, FRS-4, SEC-4
pub fn seal_answer(
    plan: &AnswerPlan,
    header: &UplinkHeader,
    answered: &Answered,
    uplink_len: usize,
    gate: &mut AnswerGate,
    with: &mut Sealer<'_>,
) -> Result<Sealed, SealFailure> {
    match gate.ask(plan.key(), with.now_utc_s) {
        Passage::Repeat(frame) => return Ok(Sealed::Repeat(frame.to_vec())),
        Passage::Silent => return Ok(Sealed::Silent),
        Passage::Seal => {}
    }
    if plan.mode == Mode::Clear {
        let frame = clear_answer(plan)?;
        gate.sealed(plan.key(), with.now_utc_s, &frame);
        return Ok(Sealed::Frame {
            frame,
            left_out: None,
        });
    }
    let ns = match with.nonce() {
        Ok(ns) => ns,
        Err(sealed) => return Ok(sealed),
    };
    let Some(answer_header) = AnswerHeader::sealed(plan.mode, plan.counter, ns) else {
        return Err(EncodeError::ModeForbids.into());
    };
    let (items, left_out) = items_with_command(plan, header, answered, uplink_len, ns, with);
    let answer = Answer::new(plan.flags, plan.map, items)?;
    let octets = answer_header.encode();
    let mut frame = octets.as_slice().to_vec();
    answer.encode(plan.mode, &mut Writer::new(&mut frame, FRAME_MAX))?;
    let head = octets.as_slice().len();
    let bound = AnsweredFrame {
        header: answered.header.as_slice(),
        tag: answered.tag.as_slice(),
    };
    if let (Some(key), Some(buffer)) = (&answered.key, frame.get_mut(head..)) {
        let cipher = key.answer_cipher(session_nonces(header));
        let tag = cipher.seal(octets.as_slice(), bound, buffer)?;
        frame.extend_from_slice(tag.as_octets());
    } else {
        return Err(SealError::Shape.into());
    }
    gate.sealed(plan.key(), with.now_utc_s, &frame);
    Ok(Sealed::Frame { frame, left_out })
}

/// Seals the answer to a RESYNC: the floor and nothing else. No state of the terminal changes.
///
/// # Errors
///
/// [`SealFailure`].
// spec: RSY-1, RSY-2, REP-6, NON-8, FRS-4
pub fn seal_resync_answer(
    resync: &OpenedResync,
    window: &ReplayWindow,
    gate: &mut AnswerGate,
    with: &mut Sealer<'_>,
) -> Result<Sealed, SealFailure> {
    let key = AnswerKey::Resync(resync.header.nr().0);
    match gate.ask(key, with.now_utc_s) {
        Passage::Repeat(frame) => return Ok(Sealed::Repeat(frame.to_vec())),
        Passage::Silent => return Ok(Sealed::Silent),
        Passage::Seal => {}
    }
    let ns = match with.nonce() {
        Ok(ns) => ns,
        Err(sealed) => return Ok(sealed),
    };
    let floor = FrameCounter::new(window.floor(with.now_utc_s)).unwrap_or(FrameCounter::LAST);
    let answer = ResyncAnswer::new(floor, Vec::new())?;
    let Some(header) = ResyncAnswerHeader::new(resync.header.mode(), ns) else {
        return Err(EncodeError::ModeForbids.into());
    };
    let octets = header.encode();
    let mut frame = octets.as_slice().to_vec();
    answer.encode(&mut Writer::new(&mut frame, FRAME_MAX))?;
    let answered = &resync.answered;
    let bound = AnsweredFrame {
        header: answered.header.as_slice(),
        tag: answered.tag.as_slice(),
    };
    let head = octets.as_slice().len();
    if let (Some(link_key), Some(buffer)) = (&answered.key, frame.get_mut(head..)) {
        let cipher = link_key.resync_answer_cipher(resync.header.nr().0);
        let tag = cipher.seal(octets.as_slice(), bound, buffer)?;
        frame.extend_from_slice(tag.as_octets());
    } else {
        return Err(SealError::Shape.into());
    }
    gate.sealed(key, with.now_utc_s, &frame);
    Ok(Sealed::Frame {
        frame,
        left_out: None,
    })
}

/// The plan's items, with its command if the signer signs it and the answer stays short enough.
// spec: ANS-10, CMD-2, CMD-18
fn items_with_command(
    plan: &AnswerPlan,
    header: &UplinkHeader,
    answered: &Answered,
    uplink_len: usize,
    ns: Ns,
    with: &Sealer<'_>,
) -> (Vec<AnswerItem>, Option<LeftOut>) {
    let mut items = plan.items.clone();
    let Some(command) = &plan.command else {
        return (items, None);
    };
    match sign(command, header.identity(), answered, ns, with) {
        Ok(item) => items.push(AnswerItem::Command(item)),
        Err(refusal) => return (items, Some(LeftOut::Signer(refusal))),
    }
    let fixed = plan
        .mode
        .answer_header_len()
        .saturating_add(plan.mode.tag_len());
    let mut measured = Vec::new();
    let limit = WITH_COMMAND_MAX.max(uplink_len).saturating_sub(fixed);
    let fits = Answer::new(plan.flags, plan.map, items.clone()).is_ok_and(|answer| {
        answer
            .encode(plan.mode, &mut Writer::new(&mut measured, limit))
            .is_ok()
    });
    if fits {
        (items, None)
    } else {
        items.pop();
        (items, Some(LeftOut::TooLong))
    }
}

/// Asks the signer for a command; a guarded one is bound to the uplink and to this answer's nonce.
// spec: CMD-1, CMD-2, CMD-3, CMD-18
fn sign(
    command: &WaitingCommand,
    identity: Identity,
    answered: &Answered,
    ns: Ns,
    with: &Sealer<'_>,
) -> Result<CommandItem, SignRefusal> {
    let bound_to = command.is_guarded().then(|| AnsweredUplink {
        server_nonce: ns.octets(),
        header: answered.header.as_slice(),
        tag: answered.tag.as_slice(),
    });
    let request = SignRequest {
        identity: identity.octets(),
        key_version: command.key_version.get(),
        sequence: command.sequence.get(),
        kind: command.kind.code(),
        meter: command.meter.octet(),
        precondition: command.precondition.code(),
        not_after_utc_s: command.not_after_utc_s,
        parameters: &command.parameters,
        bound_to,
    };
    let mac = with.signer.sign(&request)?;
    Ok(CommandItem {
        key_version: command.key_version,
        sequence: command.sequence,
        kind: command.kind,
        meter: command.meter,
        bound: bound_to.is_some(),
        precondition: command.precondition,
        not_after_utc_s: command.not_after_utc_s,
        parameters: command.parameters.clone(),
        mac: Mac(mac.0),
    })
}

/// An answer in mode 0: ACK and nothing that matters.
// spec: SEC-4, ANS-13
fn clear_answer(plan: &AnswerPlan) -> Result<Vec<u8>, SealFailure> {
    let answer = Answer::new(plan.flags, plan.map, Vec::new())?;
    let mut frame = AnswerHeader::clear(plan.counter)
        .encode()
        .as_slice()
        .to_vec();
    answer.encode(Mode::Clear, &mut Writer::new(&mut frame, FRAME_MAX))?;
    Ok(frame)
}
