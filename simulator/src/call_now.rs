//! Being called by the server.

use crate::codec::Refusal;
use crate::crypto::{cmac, same};
use crate::keys::{Direction, Identity, traffic_key};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;
use crate::terminal::{Event, Stop, Suite, Terminal};

/// Calls that are obeyed in 24 hours.
pub const DAILY_CALLS: usize = 24;
const DAY_MS: u64 = 86_400_000;

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// A `CALL_NOW`: obeyed by an ordinary uplink, or not answered at all.
    // spec: SES-12, SES-13, SES-14, SES-17, SEC-8, SEC-1
    pub(crate) fn call_now(
        &mut self,
        now_ms: u64,
        suite: Suite,
        identity: Identity,
        counter: u32,
        (header, tag): (&[u8], &[u8]),
    ) -> Result<(), Stop> {
        let owner = self.config.owner;
        if identity != owner.identity {
            return Err(Refusal::UnknownTerminal.into());
        }
        if suite.mode != self.mode.current && Some(suite.mode) != self.mode.newer {
            return Err(Refusal::ModeMismatch.into());
        }
        let base = self.keys.link.version(suite.key_version);
        let base = base.ok_or(Refusal::UnknownKeyVersion)?;
        let key = traffic_key(base, &owner, suite.mode, Direction::CallNow, &[])
            .map_err(|_| Refusal::UnknownKeyVersion)?;
        let whole = cmac(&key, &[header]).map_err(|_| Refusal::TagMismatch)?;
        let cut = whole
            .get(..suite.mode.tag_octets())
            .ok_or(Refusal::TagMismatch)?;
        if !same(cut, tag) {
            return Err(Refusal::TagMismatch.into());
        }
        while self.calls.front().is_some_and(|t| *t + DAY_MS <= now_ms) {
            self.calls.pop_front();
        }
        let own = self.clock.utc_ms(now_ms).map(|ms| ms / 1_000);
        if own.is_some_and(|s| u64::from(counter) > s + 86_400) {
            return Err(Refusal::NotOutstanding.into());
        }
        if counter <= self.last_call || self.calls.len() >= DAILY_CALLS {
            return Err(Refusal::NotOutstanding.into());
        }
        self.nvm.write(Write::Call(counter))?;
        self.last_call = counter;
        self.calls.push_back(now_ms);
        self.events.push(Event::Called(counter));
        self.call_waiting = true;
        if self.session.is_none() {
            self.wake(now_ms);
        }
        Ok(())
    }
}
