//! From an order to the octets of an answer.

use super::super::seal::{LeftOut, SealFailure, Sealed, Sealer, seal_answer, seal_resync_answer};
use super::io::{Context, MachineEvent, Output, PathKey, Token};
use super::order::{CommitOrder, Destinations, Reply, Work};
use super::{MARK_WAIT_MS, Machine};

/// What came of an answer.
enum Outcome {
    Done,
    /// It goes on waiting.
    Waits,
}

impl<P: PathKey> Machine<P> {
    /// Gives out an order, and replies when it is durable.
    pub(super) fn order(
        &mut self,
        order: CommitOrder,
        may_overtake: bool,
        reply: Reply,
        to: Destinations<P>,
    ) {
        let token = Token(self.next_token);
        // The log keeps the order of one terminal's steps only within a queue.
        let urgent = may_overtake && self.works.iter().all(|work| work.order.is_none());
        self.next_token = self.next_token.wrapping_add(1);
        self.outputs.push_back(Output::Commit {
            token,
            guard_version: self.version,
            urgent,
        });
        self.version = self.version.wrapping_add(1);
        self.works.push(Work {
            token,
            order: Some(order),
            reply,
            to,
            give_up_ms: u64::MAX,
        });
    }

    /// Replies as soon as the mark allows.
    pub(super) fn wait_for_seal(&mut self, reply: Reply, to: Destinations<P>) {
        let token = Token(self.next_token);
        self.next_token = self.next_token.wrapping_add(1);
        self.works.push(Work {
            token,
            order: None,
            reply,
            to,
            give_up_ms: u64::MAX,
        });
    }

    /// An order is durable: what it says happens now, and its reply goes on to be sealed.
    pub(super) fn committed(&mut self, token: Token) {
        let Some(at) = self.works.iter().position(|work| work.token == token) else {
            return;
        };
        let Work {
            order, reply, to, ..
        } = self.works.remove(at);
        let reply = match (order, reply) {
            (Some(CommitOrder::Step(step)), Reply::OfStep(asked)) => {
                match self.link.committed(step.commit) {
                    Some(plan) => {
                        if plan.flags.is_final {
                            self.event(MachineEvent::Ended);
                        }
                        Reply::Planned(asked, Box::new(plan))
                    }
                    None => Reply::Nothing,
                }
            }
            (Some(CommitOrder::Call { call_counter }), reply) => {
                self.link.called(call_counter);
                reply
            }
            (_, reply) => reply,
        };
        if !matches!(reply, Reply::Nothing) {
            self.wait_for_seal(reply, to);
        }
    }

    /// Nothing of the order may be believed, and nothing that was decided after it.
    // spec: GEN-4
    pub(super) fn commit_failed(&mut self, token: Token) {
        let Some(at) = self.works.iter().position(|work| work.token == token) else {
            return;
        };
        let work = self.works.remove(at);
        if let Some(CommitOrder::Step(step)) = &work.order {
            self.link.failed(&step.commit);
        }
        self.failed = true;
        self.event(MachineEvent::CommitFailed);
    }

    /// Seals every reply that waits for nothing but the mark.
    // spec: FRS-4
    pub(super) fn seal_waiting(&mut self, ctx: &mut Context<'_>) {
        let mut asks = false;
        let mut at = 0usize;
        while let Some(work) = self.works.get(at) {
            if work.order.is_some() {
                at = at.saturating_add(1);
                continue;
            }
            let mut work = self.works.remove(at);
            match self.say(ctx, &work) {
                Outcome::Done => {}
                Outcome::Waits if ctx.now_ms >= work.give_up_ms => {
                    self.event(MachineEvent::GaveUp);
                }
                Outcome::Waits => {
                    let limit = ctx.now_ms.saturating_add(MARK_WAIT_MS);
                    work.give_up_ms = work.give_up_ms.min(limit);
                    self.works.insert(at, work);
                    at = at.saturating_add(1);
                    asks = true;
                }
            }
        }
        if asks {
            self.outputs.push_back(Output::NeedsMark);
        }
    }

    fn say(&mut self, ctx: &mut Context<'_>, work: &Work<P>) -> Outcome {
        if work.to.iter().next().is_none() {
            return Outcome::Done;
        }
        let mut with = Sealer {
            now_utc_s: ctx.now_utc_s,
            random: &mut *ctx.random,
            mark: ctx.mark,
            signer: ctx.signer,
        };
        let (counter, sequence, sealed) = match &work.reply {
            Reply::Planned(asked, plan) => {
                let (header, len) = (&asked.header, asked.len);
                let sealed = seal_answer(
                    plan,
                    header,
                    &asked.answered,
                    len,
                    &mut self.gate,
                    &mut with,
                );
                let command = plan.command.as_ref().map(|command| command.sequence.get());
                (plan.counter.get(), command, sealed)
            }
            Reply::Resync(resync) => {
                let window = self.link.state().window;
                let sealed = seal_resync_answer(resync, &window, &mut self.gate, &mut with);
                (0, None, sealed)
            }
            Reply::Call {
                frame,
                call_counter,
            } => {
                self.event(MachineEvent::Called {
                    call_counter: *call_counter,
                });
                self.transmit(work.to, frame.clone());
                return Outcome::Done;
            }
            Reply::OfStep(_) | Reply::Nothing => return Outcome::Done,
        };
        self.send(ctx, work.to, counter, sequence, sealed)
    }

    fn send(
        &mut self,
        ctx: &Context<'_>,
        to: Destinations<P>,
        counter: u32,
        sequence: Option<u32>,
        sealed: Result<Sealed, SealFailure>,
    ) -> Outcome {
        match sealed {
            Ok(Sealed::Frame { frame, left_out }) => {
                self.sealed_ms = ctx.now_ms;
                if let Some(sequence) = sequence {
                    self.event(command_event(sequence, left_out));
                }
                self.transmit(to, frame);
            }
            Ok(Sealed::Repeat(frame)) => self.transmit(to, frame),
            Ok(Sealed::Silent) => self.event(MachineEvent::Silent { counter }),
            Ok(Sealed::NoRandom) => self.event(MachineEvent::NoRandom { counter }),
            Ok(Sealed::NeedsMark) => return Outcome::Waits,
            Err(failure) => self.event(MachineEvent::SealFailed(failure)),
        }
        Outcome::Done
    }

    // spec: UDP-3
    fn transmit(&mut self, to: Destinations<P>, octets: Vec<u8>) {
        for path in to.iter() {
            let octets = octets.clone();
            self.outputs.push_back(Output::Transmit { path, octets });
        }
    }
}

const fn command_event(sequence: u32, left_out: Option<LeftOut>) -> MachineEvent {
    match left_out {
        None => MachineEvent::HandedOver { sequence },
        Some(why) => MachineEvent::LeftOut { sequence, why },
    }
}
