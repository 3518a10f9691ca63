//! What gateways are doing, to be read while they do it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fleet::Latency;

/// Wrong answers that are kept word by word; more are only counted.
const KEPT: usize = 5;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Numbers that only grow.
        #[derive(Debug, Default)]
        pub struct MbusCounters {
            $($name: AtomicU64,)+
            wrong: Mutex<Vec<String>>,
            /// From the first line of a telegram to the answer that said OK.
            pub ack: Latency,
        }

        impl MbusCounters {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            })+
        }
    };
}

counters! {
    /// Telegrams that meters sent.
    telegrams_sent,
    /// Lines written to connections, those sent again and those doubled among them.
    lines_sent,
    /// Lines written again, because a connection ended before their answer.
    lines_again,
    /// Telegrams that a gateway was told OK for; one through two gateways counts twice.
    oks,
    /// Answers that said OK for a telegram that was durable before.
    copies,
    /// Answers that asked to come again later.
    busy,
    /// Answers that a good telegram is never given, and those in a wrong order: a defect of the
    /// server or of the gateways here.
    wrong_answers,
    /// Connections that were cut on purpose.
    cuts,
    /// Lines and datagrams that were sent twice on purpose.
    doubled,
    /// Lines and datagrams that were held back on purpose.
    delayed,
    /// Connections that could not be opened, or ended by themselves.
    connection_errors,
    /// Datagrams sent.
    datagrams_sent,
    /// Datagrams lost on purpose.
    datagrams_lost,
    /// Lines that gateways still kept when there was no time left to wait for answers.
    lines_left,
    /// Gateways that stopped on an error: a defect of the harness.
    gateways_failed,
}

/// Counts one more of each.
macro_rules! counts {
    ($($method:ident => $name:ident),+ $(,)?) => {
        impl MbusCounters {
            $(pub(super) fn $method(&self) {
                self.$name.fetch_add(1, Ordering::Relaxed);
            })+
        }
    };
}

counts! {
    made => telegrams_sent,
    wrote => lines_sent,
    wrote_again => lines_again,
    was_told_ok => oks,
    was_copy => copies,
    was_busy => busy,
    cut => cuts,
    doubles => doubled,
    delays => delayed,
    connection_failed => connection_errors,
    sent_datagram => datagrams_sent,
    lost_datagram => datagrams_lost,
    failed => gateways_failed,
}

impl MbusCounters {
    pub(super) fn leaves(&self, lines: usize) {
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.lines_left.fetch_add(lines, Ordering::Relaxed);
    }

    /// The first of the wrong answers, in words.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let kept = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    pub(super) fn answered_wrong(&self, gateway: &str, answer: &str) {
        self.wrong_answers.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(format!("{gateway} was answered: {answer}"));
        }
    }
}
