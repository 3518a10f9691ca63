//! The threads of the sinks that are pushed, and of the cursors.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{Lane, Zone};

use super::lane::{Delivery, LaneTask};
use super::sinks::{Sink, Sinks};
use super::stop::Stop;

/// Cursors become durable at most so often.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often threads are looked at that are about to end.
const POLL: Duration = Duration::from_millis(10);

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
        let task = LaneTask {
            log: Arc::clone(self.sinks.log()),
            sink: Arc::clone(sink),
            lane,
            zone: self.zone,
            delivery,
            stop: Arc::clone(&self.stop),
        };
        let name = match lane {
            Lane::Alarm => "sink-alarm",
            Lane::Bulk => "sink-bulk",
        };
        let thread = Builder::new().name(name.to_owned());
        self.threads.lock().push(thread.spawn(move || task.run())?);
        Ok(())
    }

    /// Ends all threads after what they are delivering, and makes the cursors durable. Calling it
    /// again does nothing more. To be called before the log is closed.
    pub fn stop(&self) {
        self.stop.tell();
        let threads: Vec<_> = self.threads.lock().drain(..).collect();
        if threads.is_empty() {
            return;
        }
        for thread in threads {
            join(thread);
        }
        save(&self.sinks);
    }

    /// As [`Self::stop`], but leaves threads that have not ended within a time: a sink that hangs
    /// in the system must not keep the log open. What it delivers meanwhile it is given again.
    /// Returns whether all ended.
    pub fn stop_within(&self, at_most: Duration) -> bool {
        self.stop.tell();
        let mut threads = std::mem::take(&mut *self.threads.lock());
        let polls = at_most.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            let is_over = |thread: &mut JoinHandle<()>| thread.is_finished();
            for thread in threads.extract_if(.., is_over) {
                join(thread);
            }
            if threads.is_empty() {
                break;
            }
            std::thread::sleep(POLL);
        }
        save(&self.sinks);
        threads.is_empty()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop();
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("A thread of a sink panicked.");
    }
}

fn save(sinks: &Sinks) {
    if let Err(error) = sinks.save_due() {
        // Without it more is delivered again after a restart, and nothing is lost.
        tracing::warn!(%error, "Cursors of sinks not kept.");
    }
}
