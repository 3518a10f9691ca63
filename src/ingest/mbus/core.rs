//! What becomes of a telegram that was opened: given to the log, looked for in it, or answered.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::committer::{Committer, Settled, Waiting};
use super::seams::RefusedTelegram;
use super::searcher::{Found, Turn, Wanted, look_in};
use super::underway::Underway;
use super::{MbusParts, Verdict};
use crate::keyring::UtilityId;
use crate::model::telegram::Carriage;
use crate::model::{Lane, TerminalId};
use crate::net::mbus::contract::{Answer, Gateway};
use crate::session::mbus::Refusal;
use crate::store::log::{Append, ReadError, SubmitRefusal};
use crate::store::state::fold::KIND_TELEGRAM;
use crate::store::state::meters::{Mark, Seen};
use crate::wire::mbus::address::Address;

/// What the intake and the thread of its answers share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) parts: MbusParts,
    pub(super) underway: Underway,
    pub(super) pending: AtomicUsize,
    /// Meters that anybody may have made up, of telegrams that are on their way into the log.
    made_up: AtomicUsize,
}

/// A telegram as it would be appended.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) utility: UtilityId,
    pub(super) meter: TerminalId,
    pub(super) mark: Mark,
    pub(super) lane: Lane,
    pub(super) urgent: bool,
    pub(super) is_proven: bool,
    pub(super) payload: Vec<u8>,
}

impl Core {
    pub(super) fn new(parts: MbusParts) -> Self {
        Self {
            parts,
            underway: Underway::default(),
            pending: AtomicUsize::new(0),
            made_up: AtomicUsize::new(0),
        }
    }

    /// Gives a telegram to the log, or says why that cannot be.
    pub(super) fn give_to_log(&self, fresh: Fresh) -> Result<Waiting, Answer> {
        // Meters with a key are as many as the ring has; of the others anybody can make up some.
        let meters = &self.parts.state.meters;
        let is_made_up = !fresh.is_proven && !meters.knows(fresh.utility, fresh.meter);
        if is_made_up {
            if meters.len() >= self.parts.meters_max {
                let text = "mbus.meters_max meters are known, and this is another".to_owned();
                let id = "too_many_meters";
                return Err(Answer::Refused { id, text });
            }
            // Of those under way some may be of one meter: what becomes of them is waited for.
            let underway = self.made_up.fetch_add(1, Ordering::AcqRel);
            if meters.len().saturating_add(underway) >= self.parts.meters_max {
                self.made_up.fetch_sub(1, Ordering::AcqRel);
                return Err(Answer::Busy);
            }
        }
        let append = Append {
            kind: KIND_TELEGRAM,
            lanes: fresh.lane.into(),
            urgent: fresh.urgent,
            terminal: Some(fresh.meter),
            payload: fresh.payload,
            guard: None,
            ticket: None,
        };
        match self.parts.log.append_later(append) {
            Ok(underway) => {
                self.pending.fetch_add(1, Ordering::AcqRel);
                Ok(Waiting {
                    underway,
                    meter: fresh.meter,
                    mark: fresh.mark,
                    is_made_up,
                })
            }
            Err(error) => {
                self.forget_made_up(is_made_up);
                Err(answer_of(error.why))
            }
        }
    }

    fn forget_made_up(&self, is_made_up: bool) {
        self.made_up
            .fetch_sub(usize::from(is_made_up), Ordering::AcqRel);
    }

    /// Looks for a telegram in a part of the log. Once that says whether it is durable, whoever
    /// brought it is told, or it is appended.
    pub(super) fn search(&self, committer: &Committer, mut wanted: Wanted) -> Turn {
        let newest = self.parts.state.meters.applied(wanted.fresh.meter);
        let tell = |error: &ReadError| self.parts.verdicts.unreadable(error);
        let Some(found) = look_in(&self.parts.log, newest, &mut wanted, tell) else {
            return Turn::GoesOn(wanted);
        };
        let Wanted {
            fresh, otherwise, ..
        } = wanted;
        let (meter, mark) = (fresh.meter, fresh.mark);
        match (found, otherwise) {
            (Found::Durable, _) => self.end_with(meter, &mark, &Answer::Durable { is_copy: true }),
            (Found::Unknown, _) => self.end_with(meter, &mark, &Answer::Busy),
            (Found::Beyond, Seen::Forgotten) => self.end_refused(meter, &mark, Seen::TooOld),
            (Found::Absent, Seen::Forgotten) | (Found::Absent | Found::Beyond, Seen::Unsure) => {
                self.append_what_is_absent(committer, fresh);
            }
            (Found::Absent | Found::Beyond, otherwise) => self.end_refused(meter, &mark, otherwise),
        }
        Turn::Over
    }

    /// Appends a telegram that the log has not. Meanwhile its counter may have been used.
    fn append_what_is_absent(&self, committer: &Committer, fresh: Fresh) {
        let (meter, mark, urgent) = (fresh.meter, fresh.mark, fresh.urgent);
        let shard = self.underway.shard(meter);
        let seen = self.parts.state.meters.judge(fresh.utility, meter, &mark);
        let appended = match seen {
            Seen::New | Seen::Forgotten | Seen::Unsure => self.give_to_log(fresh),
            Seen::Copy => Err(Answer::Durable { is_copy: true }),
            Seen::Replay | Seen::TooOld | Seen::Unsigned => {
                drop(shard);
                return self.end_refused(meter, &mark, seen);
            }
        };
        drop(shard);
        match appended {
            Ok(waiting) => committer.wait_for(waiting, urgent),
            Err(answer) => self.end_with(meter, &mark, &answer),
        }
    }

    /// Tells all who wait for a telegram the same.
    pub(super) fn end_with(&self, meter: TerminalId, mark: &Mark, answer: &Answer) {
        let askers = self.underway.shard(meter).end(meter, mark);
        for asker in askers {
            asker.answer(self, answer.clone());
        }
    }

    /// Refuses a telegram to all who wait for it.
    fn end_refused(&self, meter: TerminalId, mark: &Mark, seen: Seen) {
        let of = Address::from_link_order(meter.octets());
        let askers = self.underway.shard(meter).end(meter, mark);
        for asker in askers {
            asker.refuse(self, &RefusedTelegram::of(of, refusal_of(seen)));
        }
    }

    /// Tells all who wait for a frame what became of it.
    pub(super) fn settle(&self, settled: &Settled) {
        let askers = self
            .underway
            .shard(settled.meter)
            .end(settled.meter, &settled.mark);
        self.pending.fetch_sub(1, Ordering::AcqRel);
        self.forget_made_up(settled.is_made_up);
        for (place, asker) in askers.into_iter().enumerate() {
            let answer = if settled.is_durable {
                Answer::Durable { is_copy: place > 0 }
            } else {
                Answer::Busy
            };
            asker.answer(self, answer);
        }
    }
}

/// Whoever waits to hear what became of a telegram.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) carriage: Carriage,
    pub(super) gateway: Gateway,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Asker {
    pub(super) fn answer(self, core: &Core, answer: Answer) {
        core.parts
            .verdicts
            .came_to(self.carriage, Verdict::of(&answer));
        // A connection that ended, and every datagram, asks no more.
        self.answer.send(answer).ok();
    }

    pub(super) fn refuse(self, core: &Core, refused: &RefusedTelegram) {
        core.parts.verdicts.refused(&self.gateway, refused);
        let (id, text) = (refused.why.id(), refused.why.to_string());
        self.answer(core, Answer::Refused { id, text });
    }
}

/// Why a telegram that is not new is refused.
const fn refusal_of(seen: Seen) -> Refusal {
    match seen {
        Seen::TooOld => Refusal::TooOld,
        Seen::Unsigned => Refusal::MacMissing,
        Seen::New | Seen::Copy | Seen::Replay | Seen::Forgotten | Seen::Unsure => Refusal::Replay,
    }
}

/// What a gateway hears where the log takes no frame.
fn answer_of(refusal: SubmitRefusal) -> Answer {
    match refusal {
        SubmitRefusal::QueueFull | SubmitRefusal::ReadOnly(_) | SubmitRefusal::Closed => {
            Answer::Busy
        }
        SubmitRefusal::TooLong | SubmitRefusal::Kind | SubmitRefusal::Slot => Answer::Refused {
            id: "too_long",
            text: refusal.to_string(),
        },
    }
}
