//! From a gateway's telegram to a frame of the log, and back to its answer.
//!
//! ```text
//! open -> named meter -> room -> new? -> append -> sync -> state -> answer
//! ```
//!
//! Copies of one telegram may come at once, through two gateways. Whether it is new is asked and
//! answered under one lock for a meter, and until its frame is settled it stands among those under
//! way: a copy that comes meanwhile waits for the same sync, and is told the same.

mod committer;
mod core;
mod folded;
mod opener;
mod seams;
mod searcher;
mod turns;
mod underway;
mod verdicts;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::ingest::load::Load;
use crate::model::telegram::{Carriage, TELEGRAM_DECODER_VERSION, lane_of};
use crate::model::{Lane, Telegram};
use crate::net::mbus::contract::{Answer, Gateway, Heard, Proof, TelegramHandler, Transport};
use crate::session::mbus::{Refusal, Security, Verified};
use crate::store::log::CommitLog;
use crate::store::state::State;
use crate::store::state::meters::{Mark, Seen};
use crate::time::Clock;

use committer::{Committer, Settled};
use core::{Asker, Core, Fresh};
use searcher::{Searcher, Wanted};
use underway::Place;

pub use folded::{FoldedFormats, FoldedGateways};
pub use opener::RingOpener;
pub use seams::{
    Formats, GatewayLookup, NoFormats, Opening, OwnedOpened, RefusedTelegram, TelegramOpener,
};
pub use verdicts::{NoVerdicts, Verdict, Verdicts};

/// How long after its receipt a telegram may have been heard, for clocks that are ahead.
const AHEAD_MAX_MS: u64 = 60_000;
/// How long before its receipt a telegram may have been heard: gateways keep telegrams for weeks.
const BEFORE_MAX_MS: u64 = 400 * 86_400_000;

/// What an intake of telegrams works with.
#[derive(Clone)]
pub struct MbusParts {
    /// What the log adds up to.
    pub state: Arc<State>,
    /// The log.
    pub log: Arc<CommitLog>,
    /// Whether there is room.
    pub load: Arc<Load>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Whoever opens telegrams.
    pub opener: Arc<dyn TelegramOpener>,
    /// Whoever knows the gateways.
    pub gateways: Arc<dyn GatewayLookup>,
    /// Whoever keeps formats.
    pub formats: Arc<dyn Formats>,
    /// Whoever counts what becomes of telegrams.
    pub verdicts: Arc<dyn Verdicts>,
    /// Meters that may be known, at most.
    pub meters_max: usize,
}

impl std::fmt::Debug for MbusParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MbusParts").finish_non_exhaustive()
    }
}

/// The intake of telegrams.
#[derive(Debug)]
pub struct MbusIntake {
    core: Arc<Core>,
    /// Ends before the committer, which it appends by.
    searcher: Searcher,
    committer: Arc<Committer>,
}

impl MbusIntake {
    /// An intake on what is durable.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn new(parts: MbusParts) -> std::io::Result<Self> {
        let core = Arc::new(Core::new(parts));
        let settle = {
            let core = Arc::clone(&core);
            move |settled: Settled| core.settle(&settled)
        };
        let committer = Arc::new(Committer::start(settle)?);
        let search = {
            let (core, committer) = (Arc::clone(&core), Arc::clone(&committer));
            move |wanted: Wanted| core.search(&committer, wanted)
        };
        let give_up = {
            let core = Arc::clone(&core);
            move |wanted: Wanted| {
                core.end_with(wanted.fresh.meter, &wanted.fresh.mark, &Answer::Busy);
            }
        };
        let searcher = Searcher::start(search, give_up)?;
        Ok(Self {
            core,
            searcher,
            committer,
        })
    }

    /// Telegrams that are on their way into the log.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.core.pending.load(Ordering::Acquire)
    }

    /// Looks for nothing more in the log: whoever waits for that hears that there is no room now.
    pub fn end_searches(&self) {
        self.searcher.end();
    }

    /// Takes a telegram that was opened.
    fn take(&self, gateway: &Gateway, heard: Heard<'_>, opened: OwnedOpened, asker: Asker) {
        let Core { parts, .. } = &*self.core;
        let Some(meter) = opened.meter else {
            let text = "the telegram names no meter".to_owned();
            return asker.answer(
                &self.core,
                Answer::Refused {
                    id: "no_meter",
                    text,
                },
            );
        };
        let lane = lane_of(opened.ci, opened.status);
        let urgent = lane == Lane::Alarm && is_proven(&opened.security);
        if !has_room(&parts.load, urgent) {
            return asker.answer(&self.core, Answer::Busy);
        }
        let received_utc_ms = parts.clock.utc_ms();
        let whose = (gateway.utility, meter);
        let expanded = parts.formats.expand(whose, opened.ci, &opened.payload);
        let mut telegram = Telegram {
            decoder: TELEGRAM_DECODER_VERSION,
            carriage: asker.carriage,
            link: opened.link,
            utility: gateway.utility,
            gateway: &gateway.name,
            received_utc_ms,
            heard_utc_ms: heard
                .heard_utc_ms
                .filter(|heard| is_near(*heard, received_utc_ms)),
            rssi_dbm: heard.rssi_dbm,
            security: opened.security,
            meter,
            sender: opened.sender,
            access_number: opened.access_number,
            status: opened.status,
            ci: opened.ci,
            is_wired: opened.is_wired,
            header: opened.header.get(..255).unwrap_or(&opened.header),
            expanded: expanded.as_deref(),
            digest: 0,
            payload: &opened.payload,
        };
        telegram.digest = telegram.digest_of_content();
        self.append_if_new(&telegram, (lane, urgent), asker);
    }

    /// Appends what is new. Whether it is, the log may have to say.
    fn append_if_new(&self, telegram: &Telegram<'_>, (lane, urgent): (Lane, bool), asker: Asker) {
        let core = &*self.core;
        let Ok(payload) = telegram.encode() else {
            let (id, text) = ("too_long", "the telegram does not fit a frame of the log");
            let text = text.to_owned();
            return asker.answer(core, Answer::Refused { id, text });
        };
        let fresh = Fresh {
            utility: telegram.utility,
            meter: telegram.terminal(),
            mark: Mark::of(telegram),
            lane,
            urgent,
            is_proven: is_proven(&telegram.security),
            payload,
        };
        let (utility, meter, mark) = (fresh.utility, fresh.meter, fresh.mark);
        let mut shard = core.underway.shard(meter);
        let asker = match shard.join(meter, &mark, asker) {
            Ok(()) => return,
            Err((Place::Taken, asker)) => {
                return asker.refuse(core, &RefusedTelegram::of(telegram.meter, Refusal::Replay));
            }
            Err((Place::Crowded, asker)) => return asker.answer(core, Answer::Busy),
            Err((Place::Free, asker)) => asker,
        };
        match core.parts.state.meters.judge(utility, meter, &mark) {
            Seen::New => match core.give_to_log(fresh) {
                Ok(waiting) => {
                    shard.begin(meter, mark, asker);
                    drop(shard);
                    self.committer.wait_for(waiting, urgent);
                }
                Err(answer) => asker.answer(core, answer),
            },
            Seen::Copy => asker.answer(core, Answer::Durable { is_copy: true }),
            otherwise => {
                // Copies that come meanwhile wait for the same search.
                let wanted = Wanted::new(asker.gateway.clone(), fresh, otherwise);
                shard.begin(meter, mark, asker);
                drop(shard);
                if let Err(wanted) = self.searcher.look_for(wanted) {
                    core.end_with(wanted.fresh.meter, &wanted.fresh.mark, &Answer::Busy);
                }
            }
        }
    }
}

/// Whether a time of a gateway can be true.
fn is_near(heard_utc_ms: u64, received_utc_ms: u64) -> bool {
    heard_utc_ms <= received_utc_ms.saturating_add(AHEAD_MAX_MS)
        && heard_utc_ms >= received_utc_ms.saturating_sub(BEFORE_MAX_MS)
}

/// Whether a key vouches for a telegram. What comes in clear anybody can send over the air, so that
/// it has no claim on what is kept for alarms.
fn is_proven(security: &Security) -> bool {
    security.verified > Verified::None
}

fn has_room(load: &Load, urgent: bool) -> bool {
    if urgent {
        !load.takes_nothing()
    } else {
        load.takes_readings()
    }
}

impl TelegramHandler for MbusIntake {
    fn gateway(&self, proof: Proof<'_>) -> Option<Gateway> {
        self.core.parts.gateways.find(proof)
    }

    fn is_current(&self, gateway: &Gateway) -> bool {
        self.core.parts.gateways.is_current(gateway)
    }

    fn receive(&self, gateway: &Gateway, heard: Heard<'_>, answer: oneshot::Sender<Answer>) {
        let carriage = carriage_of(heard.transport);
        let asker = Asker {
            carriage,
            gateway: gateway.clone(),
            answer,
        };
        let parts = &self.core.parts;
        if parts.load.takes_nothing() {
            return asker.answer(&self.core, Answer::Busy);
        }
        let now_ms = parts.clock.monotonic_ms();
        match parts.opener.open(gateway.utility, heard.telegram, now_ms) {
            Ok(Opening::Whole(opened)) => self.take(gateway, heard, *opened, asker),
            Ok(Opening::Part) => asker.answer(&self.core, Answer::Part),
            Ok(Opening::Nothing(id, text)) => {
                let text = text.to_owned();
                asker.answer(&self.core, Answer::Refused { id, text });
            }
            Err(refused) => asker.refuse(&self.core, &refused),
        }
    }

    fn unknown_gateway(&self, transport: Transport) {
        self.core
            .parts
            .verdicts
            .unknown_gateway(carriage_of(transport));
    }

    fn unread(&self, transport: Transport, id: &'static str) {
        let verdict = Verdict::Refused(id);
        self.core
            .parts
            .verdicts
            .came_to(carriage_of(transport), verdict);
    }
}

const fn carriage_of(transport: Transport) -> Carriage {
    match transport {
        Transport::Tcp => Carriage::Tcp,
        Transport::Udp => Carriage::Udp,
    }
}
