//! Looking into the log for repeats, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::model::{Lsn, TerminalId};
use crate::session::otl::records::Question;
use crate::store::log::{CommitLog, Walk};

use super::history::{Answers, PassEnd, pass};
use super::witness::Witness;

/// Segments that are looked at while a frame waits: a binary search of an index each.
const SEGMENTS_AT_ONCE: usize = 4;
/// Frames that are read while a frame waits: a terminal's last days.
const FRAMES_AT_ONCE: usize = 32;
/// Terminals that wait for the thread, and terminals whose answers wait for them, at most; with
/// the records of a frame each.
const WAITING_MAX: usize = 1_024;

/// A terminal whose questions need more of the log than is read while a frame waits.
#[derive(Debug)]
struct Job {
    terminal: TerminalId,
    questions: Vec<Question>,
    newest: Lsn,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    done: VecDeque<(TerminalId, Answers)>,
    /// Whether the thread runs. It ends when nothing waits.
    runs: bool,
}

#[derive(Debug, Default)]
struct Desk {
    jobs: Mutex<Jobs>,
    stops: AtomicBool,
}

/// Looks into the log for repeats.
pub struct Searches {
    log: Arc<CommitLog>,
    witness: Arc<dyn Witness>,
    desk: Arc<Desk>,
}

impl std::fmt::Debug for Searches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searches").finish_non_exhaustive()
    }
}

impl Searches {
    /// Searches in a log.
    #[must_use]
    pub fn new(log: Arc<CommitLog>, witness: Arc<dyn Witness>) -> Self {
        Self {
            log,
            witness,
            desk: Arc::default(),
        }
    }

    /// Answers the questions of a frame, as far as that is cheap; `newest` is the position of its
    /// terminal's last frame. The others stay open, and are looked for on a thread until the
    /// terminal asks again. Takes no lock that a session needs.
    #[must_use]
    pub fn search(&self, terminal: TerminalId, questions: Vec<Question>, newest: Lsn) -> Answers {
        let earlier = self.desk.take(terminal);
        let earlier = earlier.filter(|one| one.newest() <= newest && one.covers(&questions));
        let walk = Walk {
            newest: Some(newest),
            after: earlier.as_ref().map_or(Lsn::ZERO, Answers::newest),
            segments_max: SEGMENTS_AT_ONCE,
            frames_max: FRAMES_AT_ONCE,
            checks_indexes: false,
        };
        let again = questions.clone();
        let (mut answers, end) = pass(&self.log, terminal, questions, walk, || false);
        match (end, earlier) {
            (PassEnd::Done, None) => {}
            (PassEnd::Done, Some(earlier)) => answers.complete_with(&earlier),
            (PassEnd::Cut, _) => {
                answers.leave_open();
                self.look_later(Job {
                    terminal,
                    questions: again,
                    newest,
                });
            }
            (PassEnd::Unreadable(what), _) => {
                answers.leave_open();
                self.witness.unreadable_history(&what);
            }
        }
        answers
    }

    fn look_later(&self, job: Job) {
        let mut jobs = self.desk.jobs.lock();
        jobs.waiting.retain(|one| one.terminal != job.terminal);
        if jobs.waiting.len() < WAITING_MAX {
            jobs.waiting.push_back(job);
        }
        if jobs.runs {
            return;
        }
        let (log, desk) = (Arc::clone(&self.log), Arc::clone(&self.desk));
        let witness = Arc::clone(&self.witness);
        let thread = std::thread::Builder::new().name("log-search".to_owned());
        // Without a thread the terminal asks in vain, and the next one tries again.
        jobs.runs = thread.spawn(move || desk.work(&log, &*witness)).is_ok();
    }
}

impl Drop for Searches {
    fn drop(&mut self) {
        self.desk.stops.store(true, Ordering::Relaxed);
    }
}

impl Desk {
    fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    fn take(&self, terminal: TerminalId) -> Option<Answers> {
        let mut jobs = self.jobs.lock();
        let at = jobs.done.iter().position(|(of, _)| *of == terminal)?;
        jobs.done.remove(at).map(|(_, answers)| answers)
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        let job = jobs.waiting.pop_front().filter(|_| !self.stops());
        jobs.runs = job.is_some();
        job
    }

    /// Works until nothing waits.
    fn work(&self, log: &CommitLog, witness: &dyn Witness) {
        while let Some(job) = self.next() {
            let walk = Walk {
                newest: Some(job.newest),
                ..Walk::default()
            };
            let (answers, end) = pass(log, job.terminal, job.questions, walk, || self.stops());
            match end {
                PassEnd::Done => {
                    let mut jobs = self.jobs.lock();
                    jobs.done.retain(|(of, _)| *of != job.terminal);
                    if jobs.done.len() >= WAITING_MAX {
                        jobs.done.pop_front();
                    }
                    jobs.done.push_back((job.terminal, answers));
                }
                PassEnd::Cut => {}
                PassEnd::Unreadable(what) => witness.unreadable_history(&what),
            }
        }
    }
}
