//! What the listeners counted, as metrics. It is counted there and only taken over when somebody
//! asks, so that it costs a frame nothing.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::metrics::{Each, Gauge, set_total};
use crate::net::counters::NetTotals;

type Labelled = Each<&'static str, Counter>;

/// The metrics of the listeners.
#[derive(Debug)]
pub(super) struct NetMetrics {
    frames: Labelled,
    verdicts: Labelled,
    timeouts: Labelled,
    length_drops: Counter,
    admission_drops: Counter,
    datagrams_sent: Counter,
    receive_batches: Counter,
    receive_failures: Counter,
    send_failures: Counter,
    connections_accepted: Counter,
    connections_refused: Counter,
    connections_evicted: Counter,
    ended_unverified: Counter,
    budget_drops: Counter,
    accept_failures: Counter,
    connections: Gauge,
}

fn labelled<const N: usize>(
    registry: &mut Registry,
    name: (&str, &str),
    label: &'static str,
    values: [&'static str; N],
) -> Labelled {
    Each::register(registry, name, label, values.map(|value| (value, value)))
}

impl NetMetrics {
    pub(super) fn register(r: &mut Registry) -> Self {
        let frames = ("frames_received", "Frames and datagrams that came in");
        let verdicts = ("frame_verdicts", "Frames by what became of them");
        let timeouts = ("connection_timeouts", "Connections that took too long");
        let transports = ["udp", "udp_alarm", "tcp"];
        let outcomes = ["verified", "failed_authentication", "malformed", "shed"];
        let causes = ["unverified", "partial", "idle", "unread"];
        let frames = labelled(r, frames, "transport", transports);
        let verdicts = labelled(r, verdicts, "verdict", outcomes);
        let timeouts = labelled(r, timeouts, "cause", causes);
        let connections = Gauge::default();
        r.register(
            "tcp_connections",
            "Connections of terminals",
            connections.clone(),
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            r.register(name, help, counter.clone());
            counter
        };
        Self {
            frames,
            verdicts,
            timeouts,
            length_drops: counter("length_drops", "Lengths that no frame has, dropped unread"),
            admission_drops: counter(
                "admission_drops",
                "Frames dropped unread for failures of their address",
            ),
            datagrams_sent: counter("datagrams_sent", "Datagrams that the kernel took"),
            receive_batches: counter("receive_batches", "Calls that read datagrams"),
            receive_failures: counter("receive_failures", "Reads of a UDP socket that failed"),
            send_failures: counter("send_failures", "Answers that could not be sent"),
            connections_accepted: counter("connections_accepted", "Connections accepted"),
            connections_refused: counter(
                "connections_refused",
                "Connections closed at once, because as many as configured were open",
            ),
            connections_evicted: counter(
                "connections_evicted",
                "Connections cut before a frame verified on them, to make room for newer ones",
            ),
            ended_unverified: counter(
                "connections_ended_unverified",
                "Connections that ended before a frame verified on them",
            ),
            budget_drops: counter(
                "budget_drops",
                "Frames dropped before any cryptography, because too much fails on their port",
            ),
            accept_failures: counter("accept_failures", "Calls of accept that failed"),
            connections,
        }
    }

    pub(super) fn set(&self, net: &NetTotals) {
        for (transport, total) in [
            ("udp", net.reading_datagrams_in),
            ("udp_alarm", net.alarm_datagrams_in),
            ("tcp", net.stream_frames_in),
        ] {
            self.frames.set(transport, total);
        }
        for (verdict, total) in [
            ("verified", net.verified),
            ("failed_authentication", net.failed_authentication),
            ("malformed", net.malformed),
            ("shed", net.shed),
        ] {
            self.verdicts.set(verdict, total);
        }
        for (cause, total) in [
            ("unverified", net.timeouts_unverified),
            ("partial", net.timeouts_partial),
            ("idle", net.timeouts_idle),
            ("unread", net.timeouts_unread),
        ] {
            self.timeouts.set(cause, total);
        }
        for (counter, total) in [
            (&self.length_drops, net.length_refused),
            (&self.admission_drops, net.admission_refused),
            (&self.datagrams_sent, net.datagrams_out),
            (&self.receive_batches, net.batches_in),
            (&self.receive_failures, net.receive_failures),
            (&self.send_failures, net.send_failures),
            (&self.connections_accepted, net.connections_accepted),
            (&self.connections_refused, net.connections_refused),
            (&self.connections_evicted, net.connections_evicted),
            (&self.ended_unverified, net.ended_unverified),
            (&self.budget_drops, net.budget_refused),
            (&self.accept_failures, net.accept_failures),
        ] {
            set_total(counter, total);
        }
        self.connections.set(net.connections_open);
    }
}
