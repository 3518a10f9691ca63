//! Stopping in stages: take nothing new, answer what was begun, end.

use std::time::Duration;

use super::Listeners;
use super::contract::Waker;
use super::shared::Stage;

/// How often a stop looks whether it is done.
const LOOK: Duration = Duration::from_millis(2);

/// How a drain ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Whether all that was begun was answered and every connection ended in time.
    pub is_complete: bool,
    /// Connections that were cut.
    pub connections_cut: u64,
}

impl Listeners {
    /// Reads no more frames and accepts no more connections. What was begun goes on.
    pub fn stop_accepting(&self) {
        self.shared.enter(Stage::Draining);
        self.accepting.cancel();
        self.wake_all();
    }

    /// Waits until what was begun is answered, then ends all connections with a CLOSE, and then
    /// all loops: at the latest after `deadline`. Calls [`Self::stop_accepting`] first.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        self.stop_accepting();
        let in_time = tokio::time::timeout(deadline, self.finish()).await;
        let connections_cut = self.shared.counters.connections_open.get();
        self.stop();
        for thread in self.threads.drain(..) {
            while !thread.is_finished() {
                tokio::time::sleep(LOOK).await;
            }
        }
        Drained {
            is_complete: in_time.is_ok(),
            connections_cut,
        }
    }

    async fn finish(&self) {
        // A loop that was reading when the stop came may still begin something.
        self.let_rounds_pass().await;
        while self.shared.handler.pending() > 0 {
            tokio::time::sleep(LOOK).await;
        }
        // What the last completion handed out is on its way after one more round.
        self.let_rounds_pass().await;
        let now_ms = self.shared.clock.monotonic_ms();
        self.shared.outbound.connections().close_all(now_ms);
        while self.shared.counters.connections_open.get() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until each loop has begun and ended a round after this call.
    async fn let_rounds_pass(&self) {
        let before = self.shared.rounds();
        loop {
            let now = self.shared.rounds();
            let have_passed = before.iter().zip(&now);
            // The first may have begun before the call.
            let mut have_passed = have_passed.map(|(before, now)| now.saturating_sub(*before) >= 2);
            if have_passed.all(|has| has) {
                return;
            }
            self.wake_all();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn stop(&self) {
        self.shared.enter(Stage::Stopped);
        self.accepting.cancel();
        self.wake_all();
    }

    fn wake_all(&self) {
        for waker in &self.poll_wakers {
            waker.wake();
        }
        self.stream_waker.wake();
        self.shared.outbound.connections().wake_all();
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop();
    }
}
