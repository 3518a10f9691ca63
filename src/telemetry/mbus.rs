//! The metrics of M-Bus gateways and their telegrams.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metrics::{Each, Gauge, set_total};
use crate::model::telegram::Carriage;
use crate::net::mbus::counters::MbusTotals;
use crate::session::mbus::Refusal;
use crate::wire::mbus::lines::LineError;

/// What becomes of telegrams beside refusals of [`Refusal`] and [`LineError`].
const OTHERS: [&str; 14] = [
    "durable",
    "duplicate",
    "part",
    "busy",
    "no_meter",
    "clear_without_key",
    "too_many_meters",
    "too_long",
    "link_only",
    "to_meter",
    "cut",
    "datagram_too_long",
    "datagram_empty",
    "other",
];
/// Why a connection made way.
const EVICTED: [&str; 3] = ["unidentified", "same_gateway", "newcomer"];
/// Why nothing was looked at of what somebody showed.
const SENDERS_REFUSED: [&str; 3] = [
    "too_many_failures",
    "too_many_failures_on_port",
    "token_too_long",
];
const CARRIAGES: [Carriage; 2] = [Carriage::Tcp, Carriage::Udp];

type Labels = [(&'static str, &'static str); 2];

/// Telegrams by carriage and verdict.
fn verdicts(r: &mut Registry) -> Vec<(Carriage, &'static str, Counter)> {
    let family = Family::<Labels, Counter>::default();
    let help = "Telegrams of M-Bus gateways by how they came and what became of them";
    r.register("mbus_telegrams", help, family.clone());
    let lines = LineError::ALL.iter().map(|error| error.id());
    let verdicts = OTHERS.into_iter().chain(Refusal::IDS).chain(lines);
    let row = |(carriage, verdict): (Carriage, &'static str)| {
        let labels = [("carriage", carriage.id()), ("verdict", verdict)];
        (carriage, verdict, family.get_or_create_owned(&labels))
    };
    let rows = verdicts.flat_map(|verdict| CARRIAGES.map(|carriage| (carriage, verdict)));
    rows.map(row).collect()
}

/// Those who are no gateway, by carriage.
fn unknown_gateways(r: &mut Registry) -> Each<Carriage, Counter> {
    let strangers = (
        "mbus_unknown_gateways",
        "Times that somebody showed what no M-Bus gateway is known by",
    );
    let rows = CARRIAGES.map(|carriage| (carriage, carriage.id()));
    Each::register(r, strangers, "carriage", rows)
}

/// Those who were refused without a look, by carriage and why.
fn refused_senders(r: &mut Registry) -> Vec<(Carriage, [Counter; 3])> {
    let family = Family::<Labels, Counter>::default();
    let help = "Times that nothing was looked at of what an M-Bus sender showed, by reason";
    r.register("mbus_senders_refused", help, family.clone());
    let row = |carriage: Carriage| {
        let counters = SENDERS_REFUSED.map(|reason| {
            let labels = [("carriage", carriage.id()), ("reason", reason)];
            family.get_or_create_owned(&labels)
        });
        (carriage, counters)
    };
    CARRIAGES.map(row).into()
}

/// The metrics of gateways.
#[derive(Debug)]
pub(super) struct MbusMetrics {
    /// By carriage, each by the name of the verdict.
    verdicts: Vec<(Carriage, &'static str, Counter)>,
    unknown_gateways: Each<Carriage, Counter>,
    /// Those who were refused without a look, by carriage and why.
    refused_senders: Vec<(Carriage, [Counter; 3])>,
    connections: Gauge,
    accepted: Counter,
    refused: Counter,
    evicted: Each<&'static str, Counter>,
    timeouts: Counter,
    tls_failures: Counter,
    accept_failures: Counter,
    lines: Counter,
    datagrams: Counter,
    meters: Gauge,
}

impl MbusMetrics {
    pub(super) fn register(r: &mut Registry) -> Self {
        let (verdicts, unknown_gateways) = (verdicts(r), unknown_gateways(r));
        let refused_senders = refused_senders(r);
        let (connections, meters) = (Gauge::default(), Gauge::default());
        let help = "Connections of M-Bus gateways";
        r.register("mbus_connections", help, connections.clone());
        r.register("mbus_meters", "M-Bus meters that are known", meters.clone());
        let evicted = (
            "mbus_connections_evicted",
            "Connections that made way for newer ones: before their gateway was known, for \
             another of the same gateway, or one of several for a newcomer",
        );
        let reasons = EVICTED.map(|reason| (reason, reason));
        let evicted = Each::register(r, evicted, "reason", reasons);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            r.register(name, help, counter.clone());
            counter
        };
        Self {
            verdicts,
            unknown_gateways,
            refused_senders,
            connections,
            accepted: counter(
                "mbus_connections_accepted",
                "Connections of gateways that were accepted",
            ),
            refused: counter(
                "mbus_connections_refused",
                "Connections of gateways closed at once, because as many as configured were open",
            ),
            evicted,
            timeouts: counter(
                "mbus_timeouts",
                "Connections of gateways that took too long",
            ),
            tls_failures: counter(
                "mbus_tls_failures",
                "Connections on which no TLS came about",
            ),
            accept_failures: counter(
                "mbus_accept_failures",
                "Calls of accept for gateways that failed",
            ),
            lines: counter("mbus_lines", "Lines of gateways"),
            datagrams: counter("mbus_datagrams", "Datagrams of gateways"),
            meters,
        }
    }

    /// A telegram came to this.
    pub(super) fn came_to(&self, carriage: Carriage, verdict: &str) {
        let find = |name: &str| {
            let mut rows = self.verdicts.iter();
            rows.find(|(of, known, _)| *of == carriage && *known == name)
        };
        if let Some((_, _, counter)) = find(verdict).or_else(|| find("other")) {
            counter.inc();
        }
    }

    /// Somebody is no gateway.
    pub(super) fn unknown_gateway(&self, carriage: Carriage) {
        self.unknown_gateways.add(carriage, 1);
    }

    pub(super) fn set(&self, totals: &MbusTotals, meters: u64) {
        self.meters.set(meters);
        self.connections.set(totals.connections_open);
        let evicted = [
            totals.evicted_unknown,
            totals.evicted_same_gateway,
            totals.evicted_for_newcomer,
        ];
        for (carriage, counters) in &self.refused_senders {
            let refused = match carriage {
                Carriage::Tcp => &totals.refused_tcp,
                Carriage::Udp => &totals.refused_udp,
            };
            let all = [
                refused.too_many_failures,
                refused.too_many_failures_on_port,
                refused.token_too_long,
            ];
            for (counter, total) in counters.iter().zip(all) {
                set_total(counter, total);
            }
        }
        for (reason, total) in EVICTED.into_iter().zip(evicted) {
            self.evicted.set(reason, total);
        }
        for (counter, total) in [
            (&self.accepted, totals.connections_accepted),
            (&self.refused, totals.connections_refused),
            (&self.timeouts, totals.timeouts),
            (&self.tls_failures, totals.tls_failures),
            (&self.accept_failures, totals.accept_failures),
            (&self.lines, totals.lines_in),
            (&self.datagrams, totals.datagrams_in),
        ] {
            set_total(counter, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The page for makers of gateways.
    const PAGE: &str = include_str!("../../protocol-spec/gateways.md");

    /// What the first column of the tables of reasons names.
    fn reasons_of_page() -> BTreeSet<&'static str> {
        let (_, tables) = PAGE.split_once("## Reasons").unwrap();
        let (tables, _) = tables.split_once("## Datagrams").unwrap();
        let rows = tables.lines().filter(|line| line.starts_with("| `"));
        let names = rows.map(|row| row.split('|').nth(1).unwrap());
        let names = names.flat_map(|names| names.split(','));
        names.map(|name| name.trim().trim_matches('`')).collect()
    }

    #[test]
    fn the_page_of_gateways_names_every_reason_that_they_are_told_and_no_other() {
        let not_told = [
            "durable",
            "duplicate",
            "part",
            "busy",
            "datagram_too_long",
            "datagram_empty",
            "other",
        ];
        let others = OTHERS.into_iter().filter(|id| !not_told.contains(id));
        let ending = ["unknown_gateway", "too_many_connections", "timeout"];
        let told = others
            .chain(Refusal::IDS)
            .chain(LineError::ALL.iter().map(|error| error.id()))
            .chain(SENDERS_REFUSED)
            .chain(ending);
        assert_eq!(reasons_of_page(), told.collect());
    }
}
