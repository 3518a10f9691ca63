//! The one task that answers all connections, and looks at their deadlines.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::super::shared::{Shared, Stage};
use super::super::wake::TaskWaker;

/// Time between two ticks, and so how late a deadline may be seen.
const TICK: Duration = Duration::from_millis(100);

/// Works until the listeners are stopped.
pub(crate) async fn complete(owner: u16, waker: Arc<TaskWaker>, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut out = Vec::new();
    loop {
        let is_tick = tokio::select! {
            () = waker.notify.notified() => false,
            _ = ticks.tick() => true,
        };
        let stage = shared.stage();
        let now_ms = shared.clock.monotonic_ms();
        shared.handler.complete(owner, &mut out);
        if is_tick {
            shared.handler.tick(owner, &mut out);
            shared.outbound.connections().wake_overdue(now_ms);
        }
        shared.outbound.send_all(&mut out, now_ms);
        shared.end_round(owner);
        if stage == Stage::Stopped {
            return;
        }
    }
}
