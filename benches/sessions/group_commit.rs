//! The bare group-commit loop: threads queue frames, one writer writes and syncs what is there.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, histogram};

/// Octets of a frame of the log.
const LOGGED: usize = 204;
const PRODUCERS: usize = 2;

#[derive(Default)]
struct Queue {
    octets: Vec<u8>,
    scheduled: Vec<Instant>,
    closed: usize,
}

/// Frames at `rate` a second into a new file under `dir`; the latency is that from the scheduled
/// time to the end of the sync that covers the frame.
pub(crate) fn run(dir: &Path, rate: f64, duration: Duration) -> Outcome {
    let path = dir.join("bare-group-commit.log");
    let mut file = File::create(&path).unwrap();
    let queue = (Mutex::new(Queue::default()), Condvar::new());
    let start = Instant::now();
    let each = (rate * duration.as_secs_f64()) as u64 / PRODUCERS as u64;
    let mut latency_us = histogram();
    std::thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| produce(&queue, start, each, rate / PRODUCERS as f64));
        }
        loop {
            let batch = {
                let waits = |q: &mut Queue| q.octets.is_empty() && q.closed < PRODUCERS;
                let guard = queue.0.lock().unwrap();
                let mut guard = queue.1.wait_while(guard, waits).unwrap();
                if guard.octets.is_empty() {
                    break;
                }
                let closed = guard.closed;
                std::mem::replace(
                    &mut *guard,
                    Queue {
                        closed,
                        ..Queue::default()
                    },
                )
            };
            file.write_all(&batch.octets).unwrap();
            file.sync_data().unwrap();
            let now = Instant::now();
            for scheduled in batch.scheduled {
                let us = now.saturating_duration_since(scheduled).as_micros() as u64;
                latency_us.saturating_record(us);
            }
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(&path).unwrap();
    Outcome {
        sent: each * PRODUCERS as u64,
        answered: latency_us.len(),
        seconds,
        latency_us,
    }
}

fn produce(queue: &(Mutex<Queue>, Condvar), start: Instant, count: u64, rate: f64) {
    let frame = [0x5A; LOGGED];
    let mut next = 0;
    while next < count {
        let due = ((start.elapsed().as_secs_f64() * rate) as u64).min(count);
        if next == due {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let mut guard = queue.0.lock().unwrap();
        for index in next..due {
            guard.octets.extend_from_slice(&frame);
            guard
                .scheduled
                .push(start + Duration::from_secs_f64(index as f64 / rate));
        }
        drop(guard);
        queue.1.notify_one();
        next = due;
    }
    queue.0.lock().unwrap().closed += 1;
    queue.1.notify_one();
}
