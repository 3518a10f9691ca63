//! What goes into a machine and what comes out of it.

use core::fmt;

use crate::crypto::otl::LinkKey;
use crate::keyring::CommandSigner;
use crate::wire::otl::answer::ComeBack;
use crate::wire::otl::ident::{Identity, KeyVersion, Mode};

use super::super::ns_mark::NsMark;
use super::super::open::Opened;
use super::super::records::RecordIndex;
use super::super::refusal::Refusal;
use super::super::seal::{LeftOut, SealFailure};
use super::commands::CommandSource;

/// Where frames come from and answers go to; what it is made of is the caller's affair.
pub trait PathKey: Copy + Eq + fmt::Debug {
    /// Whether it is a connection, of which a terminal has one at a time and which can be closed.
    /// Its key must never stand for another connection.
    fn is_connection(&self) -> bool;
}

/// The name of one order to make something durable, within one machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(pub u64);

/// What a machine is told.
#[derive(Debug)]
pub enum Input<P> {
    /// A verified frame of this terminal.
    Frame {
        /// Its content.
        opened: Opened,
        /// Where it came from.
        path: P,
        /// Its length, in octets.
        octets_len: usize,
    },
    /// An order is durable.
    Committed(Token),
    /// An order will never be durable, or nobody can say whether it is.
    CommitFailed(Token),
    /// A connection ended.
    PathClosed(P),
    /// The terminal is to be called.
    CallNow(Box<CallOrder>),
    /// The server is stopping: what is under way ends, and then the connection.
    Drain,
    /// The mark of server nonces was advanced, or it is to be looked at again.
    Timeout,
}

/// Whom to call, and under which key.
#[derive(Debug)]
pub struct CallOrder {
    /// The terminal.
    pub identity: Identity,
    /// The pinned mode.
    pub mode: Mode,
    /// The promoted version of the link key.
    pub key_version: KeyVersion,
    /// That key, as [`OpeningKeys::opening_key`](super::super::open::OpeningKeys::opening_key)
    /// gives it.
    pub key: LinkKey,
}

/// Whether there is room for new records. The caller decides, from load and disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// There is.
    Serve,
    /// Room is short: frames that bring a reading, and no alarm or result with it, are to come
    /// back later.
    // spec: OVL-1, OVL-4
    ComeBack(ComeBack),
    /// Only the reserve is left: alarms, results and states of valves only; everybody else is to
    /// come back later.
    // spec: OVL-1, OVL-4
    AlarmsOnly(ComeBack),
    /// Nothing is taken and nothing is answered.
    Shed,
}

/// What a machine may look at while it handles an input.
pub struct Context<'a> {
    /// The server's UTC seconds.
    pub now_utc_s: u32,
    /// Milliseconds of a clock that never goes back.
    pub now_ms: u64,
    /// The durable records of this terminal.
    pub index: &'a dyn RecordIndex,
    /// The commands that wait.
    pub commands: &'a dyn CommandSource,
    /// Whoever signs them.
    pub signer: &'a dyn CommandSigner,
    /// The durable mark of server nonces.
    pub mark: &'a NsMark,
    /// Whether guarded commands of the utility are stopped after a sign of rollback.
    // spec: ROL-1
    pub commands_stopped: bool,
    /// Gives 32 bits from a random source fit for keys, or none.
    // spec: NON-7
    pub random: &'a mut dyn FnMut() -> Option<u32>,
    /// Whether there is room.
    pub admission: Admission,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now_utc_s", &self.now_utc_s)
            .field("now_ms", &self.now_ms)
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

/// What a machine wants done, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output<P> {
    /// Make [`Machine::commit_order`](super::Machine::commit_order) durable in one atomic step, if
    /// the terminal's version in the log is `guard_version`, which then goes up by one; and come
    /// back with [`Input::Committed`] or [`Input::CommitFailed`].
    Commit {
        /// Its name.
        token: Token,
        /// The version that the terminal must have.
        guard_version: u32,
        /// Whether it may overtake other terminals' orders and use the reserve of the disk: an
        /// alarm, a result, the state of a valve, or what is no step at all, with nothing of this
        /// terminal before it.
        // spec: OVL-4
        urgent: bool,
    },
    /// Send one frame.
    Transmit {
        /// Where to.
        path: P,
        /// The frame.
        octets: Vec<u8>,
    },
    /// Send CLOSE with this code and end the connection. The machine has forgotten it already.
    Close {
        /// Which.
        path: P,
        /// The code of part 10.
        code: u8,
    },
    /// An answer waits until the mark of server nonces is advanced and durable; then
    /// [`Input::Timeout`].
    // spec: FRS-4
    NeedsMark,
    /// For metrics and logs.
    Event(MachineEvent),
}

/// What happened, for metrics and logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MachineEvent {
    /// A verified frame's content is refused whole.
    Refused(Refusal),
    /// A new frame is durable, and its answer says that nothing more waits: the terminal's call is
    /// over.
    // spec: ANS-3
    Ended,
    /// The alarm bit and the content disagree.
    // spec: FRM-6
    AlarmBitWrong,
    /// The frame's length is not on the ladder.
    // spec: FRM-12
    OffLadder,
    /// A frame that was seen before; it is answered from what is durable, if it asks.
    Repeat {
        /// Its counter.
        counter: u32,
    },
    /// A frame that is under way already.
    Joined {
        /// Its counter; 0 for a RESYNC.
        counter: u32,
    },
    /// A counter below the window; answered with the floor.
    Behind {
        /// The counter.
        counter: u32,
    },
    /// A counter with another tag: a copy of the terminal, or its memory was set back.
    // spec: REP-3
    Clone {
        /// The counter.
        counter: u32,
    },
    /// A terminal asked what its counter is.
    Resync,
    /// The terminal knows more than this server's state.
    // spec: ROL-1
    RollbackSuspected,
    /// Records contradict what is kept.
    // spec: REC-9
    Conflicts {
        /// How many.
        records: usize,
    },
    /// The terminal was asked to come back.
    CameBack {
        /// After this time.
        seconds: u32,
    },
    /// A frame was dropped for want of room.
    Shed {
        /// Its counter; 0 for a RESYNC.
        counter: u32,
    },
    /// A new frame was dropped because nobody can say now whether a record of it is kept already;
    /// its terminal sends it again.
    Unsure {
        /// Its counter.
        counter: u32,
    },
    /// A command left with an answer.
    HandedOver {
        /// Its sequence.
        sequence: u32,
    },
    /// A command was handed over and did not go with the answer: it is in doubt until the
    /// terminal's next report.
    LeftOut {
        /// Its sequence.
        sequence: u32,
        /// Why.
        why: LeftOut,
    },
    /// The terminal is at another connection than before.
    // spec: TCP-6
    Moved,
    /// Nothing is said in this second, because another answer may have been sealed in it.
    // spec: NON-8
    Silent {
        /// The counter; 0 for a RESYNC.
        counter: u32,
    },
    /// Nothing is said, because there is no random number to say it under.
    // spec: NON-7
    NoRandom {
        /// The counter; 0 for a RESYNC.
        counter: u32,
    },
    /// A CALL_NOW left.
    Called {
        /// Its call counter.
        call_counter: u32,
    },
    /// The terminal cannot be called: no path to it is known, its mode has no such frame, or it is
    /// being called already.
    NotCallable,
    /// An order did not become durable; nothing was said, and nothing is taken until
    /// [`Machine::resume`](super::Machine::resume).
    CommitFailed,
    /// An answer could not be made: a bug of this server.
    SealFailed(SealFailure),
    /// An answer waited too long for the mark, and was given up.
    GaveUp,
}

macro_rules! ids {
    ($($pattern:pat => $id:literal,)+) => {
        impl MachineEvent {
            /// All that [`Self::id`] gives.
            pub const IDS: &'static [&'static str] = &[$($id,)+];

            /// Its name in metrics.
            #[must_use]
            pub const fn id(&self) -> &'static str {
                match self { $($pattern => $id,)+ }
            }
        }
    };
}

ids! {
    Self::Refused(_) => "refused",
    Self::Ended => "ended",
    Self::AlarmBitWrong => "alarm_bit_wrong",
    Self::OffLadder => "off_ladder",
    Self::Repeat { .. } => "repeat",
    Self::Joined { .. } => "joined",
    Self::Behind { .. } => "behind",
    Self::Clone { .. } => "clone",
    Self::Resync => "resync",
    Self::RollbackSuspected => "rollback_suspected",
    Self::Conflicts { .. } => "conflicts",
    Self::CameBack { .. } => "come_back",
    Self::Shed { .. } => "shed",
    Self::Unsure { .. } => "unsure",
    Self::HandedOver { .. } => "handed_over",
    Self::LeftOut { .. } => "left_out",
    Self::Moved => "moved",
    Self::Silent { .. } => "silent",
    Self::NoRandom { .. } => "no_random",
    Self::Called { .. } => "called",
    Self::NotCallable => "not_callable",
    Self::CommitFailed => "commit_failed",
    Self::SealFailed(_) => "seal_failed",
    Self::GaveUp => "gave_up",
}
