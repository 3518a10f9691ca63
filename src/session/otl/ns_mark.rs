//! Up to which second server nonces were sent: how a rolled-back server finds out.
//!
//! A server nonce begins with the second in which it was sealed, and terminals echo it. A verified
//! echo of a nonce that this server's state says was never sent proves that the state is older than
//! what the server once was. The mark is written ahead of its use, so that a crash cannot leave a
//! nonce above it; a start turns the time in which the server did not run into a gap.

/// How far ahead of the clock the mark is written, in seconds.
pub const MARK_AHEAD_S: u32 = 60;

/// How many gaps are kept. A ticket older than the oldest kept gap proves nothing.
pub const GAPS_MAX: usize = 64;

/// Seconds in which no server nonce was sent: above `after`, below `before`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SilentGap {
    /// The last second that may have been used before the gap.
    pub after: u32,
    /// The first second that may have been used after the gap.
    pub before: u32,
}

/// The durable record of the seconds that server nonces were sent in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NsMark {
    mark: u32,
    gaps: Vec<SilentGap>,
}

impl NsMark {
    /// Takes up the mark at a start of the server. The result is to be made durable before the
    /// first answer is sealed.
    // spec: FRS-4
    #[must_use]
    pub fn started(mut self, now_utc_s: u32) -> Self {
        if self.mark != 0 && now_utc_s > self.mark.saturating_add(1) {
            if self.gaps.len() >= GAPS_MAX {
                self.gaps.remove(0);
            }
            self.gaps.push(SilentGap {
                after: self.mark,
                before: now_utc_s,
            });
        }
        self.mark = self.mark.max(now_utc_s);
        self
    }

    /// A mark as it was kept: its second, and gaps as pairs of after and before.
    #[must_use]
    pub fn from_parts(mark: u32, gaps: &[(u32, u32)]) -> Self {
        let gap = |(after, before): &(u32, u32)| SilentGap {
            after: *after,
            before: *before,
        };
        let newest = gaps.len().saturating_sub(GAPS_MAX);
        Self {
            mark,
            gaps: gaps.iter().skip(newest).map(gap).collect(),
        }
    }

    /// The gaps as [`Self::from_parts`] takes them.
    #[must_use]
    pub fn gaps(&self) -> Vec<(u32, u32)> {
        let pair = |gap: &SilentGap| (gap.after, gap.before);
        self.gaps.iter().map(pair).collect()
    }

    /// The last second that a server nonce may carry without a new durable mark.
    #[must_use]
    pub const fn mark(&self) -> u32 {
        self.mark
    }

    /// Whether an answer may be sealed at `now_utc_s`; if not, [`Self::advanced`] is to be made
    /// durable first.
    // spec: FRS-4
    #[must_use]
    pub const fn covers(&self, now_utc_s: u32) -> bool {
        now_utc_s <= self.mark
    }

    /// The mark moved ahead of `now_utc_s`, to be made durable before it is used.
    // spec: FRS-4
    #[must_use]
    pub fn advanced(mut self, now_utc_s: u32) -> Self {
        self.mark = self.mark.max(now_utc_s.saturating_add(MARK_AHEAD_S));
        self
    }

    /// Whether this state says that no nonce of that second was ever sent. Asked of a verified
    /// ticket, a yes is a sign of rollback.
    // spec: FRS-4, ROL-1
    #[must_use]
    pub fn never_sent(&self, ticket_utc_s: u32) -> bool {
        ticket_utc_s > self.mark
            || self
                .gaps
                .iter()
                .any(|gap| gap.after < ticket_utc_s && ticket_utc_s < gap.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: FRS-4
    #[test]
    fn seconds_under_the_mark_were_sent_and_seconds_above_it_never() {
        let mark = NsMark::default().started(1_000).advanced(1_000);
        assert!(mark.covers(1_060));
        assert!(!mark.covers(1_061));
        assert!(!mark.never_sent(1_060));
        assert!(mark.never_sent(1_061));
    }

    // spec: FRS-4, ROL-1
    #[test]
    fn a_restored_mark_betrays_tickets_of_the_time_that_was_lost() {
        let backup = NsMark::default().started(1_000).advanced(1_000);
        let restored = backup.started(9_000).advanced(9_000);
        assert!(restored.never_sent(5_000));
        assert!(!restored.never_sent(1_050));
        assert!(!restored.never_sent(9_000));
        assert!(!restored.never_sent(9_060));
    }

    // spec: FRS-4
    #[test]
    fn an_ordinary_restart_accuses_no_ticket_that_was_sent() {
        let mut mark = NsMark::default().started(100);
        for start in [100u32, 150, 400, 401, 5_000] {
            mark = mark.started(start);
            for now in start..start + 30 {
                if !mark.covers(now) {
                    mark = mark.advanced(now);
                }
                assert!(!mark.never_sent(now));
            }
        }
        assert!(!mark.never_sent(129) && !mark.never_sent(179) && !mark.never_sent(430));
    }

    #[test]
    fn the_gaps_are_bounded() {
        let mut mark = NsMark::default().started(1);
        for start in 1..500u32 {
            mark = mark.started(start * 1_000);
        }
        assert_eq!(mark.gaps.len(), GAPS_MAX);
    }
}
