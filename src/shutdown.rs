//! Stopping: on request, stage by stage, each with a deadline; on a second request, at once.
//!
//! The stages themselves belong to whoever owns what is stopped. A stage that is late is left and
//! the next one begins: what is durable is durable, and a stuck sink must not keep the log open. On
//! a second request the stage under way is left and all after it are passed over; nothing that was
//! acknowledged can be lost by that, since nothing is acknowledged before it is durable.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::telemetry::events;

/// The exit code of a process that was asked twice.
pub const EXIT_AT_ONCE: u8 = 3;

/// Signals that come together are one wish: a supervisor that ends a group signals a process twice.
const ONE_WISH: Duration = Duration::from_millis(200);

/// How a stage ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StageEnd {
    /// By itself, in time.
    Done,
    /// Its deadline passed.
    Late,
    /// A second request came, or had come before.
    Abandoned,
}

/// The wish to stop. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    at_once: CancellationToken,
}

impl Shutdown {
    /// Nobody wants to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled by the first request.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// A token that is cancelled by the second request.
    #[must_use]
    pub fn at_once(&self) -> CancellationToken {
        self.at_once.clone()
    }

    /// Asks to stop; asked again, asks to end at once. `cause` is for the log.
    pub fn request(&self, cause: &'static str) {
        if self.drain.is_cancelled() {
            events::stopping_at_once(cause);
            self.at_once.cancel();
        } else {
            events::stopping(cause);
            self.drain.cancel();
        }
    }

    /// Turns each TERM, INT and HUP of the process into a request, until the second request. HUP is
    /// what a closed terminal window sends; to end without stages for that would help nobody.
    ///
    /// # Errors
    ///
    /// The system refuses to hand signals over.
    pub async fn watch_signals(&self) -> io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let mut hup = signal(SignalKind::hangup())?;
        while !self.at_once.is_cancelled() {
            let cause = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
                _ = hup.recv() => "SIGHUP",
                () = self.at_once.cancelled() => return Ok(()),
            };
            self.request(cause);
            let over = time::sleep(ONE_WISH);
            tokio::pin!(over);
            loop {
                tokio::select! {
                    () = &mut over => break,
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                    _ = hup.recv() => {}
                }
            }
        }
        Ok(())
    }

    /// Runs one stage to its end, its deadline or a second request.
    pub async fn stage(
        &self,
        name: &'static str,
        deadline: Duration,
        work: impl Future<Output = ()>,
    ) -> StageEnd {
        if self.at_once.is_cancelled() {
            return StageEnd::Abandoned;
        }
        events::stage_began(name, deadline);
        let end = tokio::select! {
            biased;
            () = self.at_once.cancelled() => StageEnd::Abandoned,
            ended = time::timeout(deadline, work) => match ended {
                Ok(()) => StageEnd::Done,
                Err(_) => StageEnd::Late,
            },
        };
        match end {
            StageEnd::Done => events::stage_ended(name),
            StageEnd::Late => events::stage_was_late(name),
            StageEnd::Abandoned => {}
        }
        end
    }

    /// The exit code of a process that came to its end: 0, or [`EXIT_AT_ONCE`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.at_once.is_cancelled() {
            EXIT_AT_ONCE
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn the_first_request_drains_and_the_second_ends_at_once() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.token().is_cancelled());
        shutdown.request("test");
        assert!(shutdown.token().is_cancelled());
        assert!(!shutdown.at_once().is_cancelled());
        assert_eq!(shutdown.exit_code(), 0);
        shutdown.request("test");
        assert!(shutdown.at_once().is_cancelled());
        assert_eq!(shutdown.exit_code(), EXIT_AT_ONCE);
    }

    #[tokio::test]
    async fn a_stage_ends_by_itself_or_is_left_at_its_deadline() {
        let shutdown = Shutdown::new();
        shutdown.request("test");
        let done = shutdown.stage("sessions", LONG, future::ready(())).await;
        assert_eq!(done, StageEnd::Done);
        let late = shutdown.stage("sinks", SHORT, future::pending()).await;
        assert_eq!(late, StageEnd::Late);
        assert_eq!(shutdown.exit_code(), 0);
    }

    #[tokio::test]
    async fn a_second_request_leaves_the_stage_and_passes_over_the_next() {
        let shutdown = Shutdown::new();
        shutdown.request("test");
        let other = shutdown.clone();
        let asking = tokio::spawn(async move {
            time::sleep(SHORT).await;
            other.request("test");
        });
        let left = shutdown.stage("sessions", LONG, future::pending()).await;
        assert_eq!(left, StageEnd::Abandoned);
        let passed = shutdown.stage("store", LONG, future::ready(())).await;
        assert_eq!(passed, StageEnd::Abandoned);
        asking.await.unwrap();
    }

    #[tokio::test]
    async fn watching_ends_with_the_second_request() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        let watching = tokio::spawn(async move { other.watch_signals().await });
        shutdown.request("test");
        shutdown.request("test");
        watching.await.unwrap().unwrap();
    }
}
