//! The threads of the sinks that are pushed, and of the cursors.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{Lane, Zone};

use super::lane::{Delivery, LaneTask};
use super::sinks::{Sink, Sinks};
use super::stop::{Phase, Stop};
use crate::threads::run_behind;

/// Cursors become durable at most so often.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How long a lane may take for the batch in hand when the forwarder is dropped.
const DROPPED_WITHIN: Duration = Duration::from_secs(2);

/// Runs the lanes of sinks until it is stopped or dropped.
#[derive(Debug)]
pub struct Forwarder {
    sinks: Arc<Sinks>,
    zone: Zone,
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Forwarder {
    /// Starts the thread that makes cursors durable. `zone` is that of terminals that do not tell
    /// theirs.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(sinks: Arc<Sinks>, zone: Zone) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (saved, until) = (Arc::clone(&sinks), Arc::clone(&stop));
        let saver = Builder::new().name("sink-cursors".to_owned());
        let saver = saver.spawn(move || {
            while !until.wait(SAVE_EVERY) {
                save(&saved);
            }
        })?;
        Ok(Self {
            sinks,
            zone,
            stop,
            threads: Mutex::new(vec![saver]),
        })
    }

    /// Starts a lane of a sink in a thread of its own.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn run(&self, sink: &Arc<Sink>, lane: Lane, delivery: Box<dyn Delivery>) -> io::Result<()> {
        let task = LaneTask::new(&self.sinks, sink, lane, self.zone, delivery);
        let at_work = Stop::lane(&self.stop);
        let stop = Arc::clone(&self.stop);
        let name = match lane {
            Lane::Alarm => "sink-alarm",
            Lane::Bulk => "sink-bulk",
        };
        let thread = Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || {
            // Alarms are delivered like terminals are served: at once.
            if lane == Lane::Bulk {
                run_behind();
            }
            task.run(&stop);
            drop(at_work);
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Lets all lanes go on to the end of the log, at most three quarters of `within`; then ends
    /// them after what they are delivering, and makes the cursors durable. A lane that fails is not
    /// waited for, and one that hangs is left behind. Calling it again does nothing more. To be
    /// called before the log is closed.
    pub fn stop(&self, within: Duration) {
        self.stop.tell(Phase::Drain);
        self.stop.wait_for_lanes(within.saturating_mul(3) / 4);
        self.end(within / 4);
    }

    fn end(&self, within: Duration) {
        self.stop.tell(Phase::Halt);
        let threads: Vec<_> = self.threads.lock().drain(..).collect();
        if threads.is_empty() {
            return;
        }
        let left = self.stop.wait_for_lanes(within);
        if left > 0 {
            tracing::error!(lanes = left, "Sinks hang, and are left behind.");
        }
        for thread in threads {
            if (left == 0 || thread.is_finished()) && thread.join().is_err() {
                tracing::error!("A thread of a sink panicked.");
            }
        }
        save(&self.sinks);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.end(DROPPED_WITHIN);
    }
}

fn save(sinks: &Sinks) {
    if let Err(error) = sinks.save_due() {
        // Without it more is delivered again after a restart, and nothing is lost.
        tracing::warn!(%error, "Cursors of sinks not kept.");
    }
}
