//! The outcome as one JSON object.

use serde_json::{Map, Value, json};
use simulator::custody::Custody;
use simulator::mbus::Carriage;

use super::report::quantiles;
use super::{Outcome, tally};

/// The counts that both protocols have.
fn counts(custody: &Custody) -> Map<String, Value> {
    let counts = [
        ("records_acked", custody.told_safe),
        ("records_delivered", custody.delivered),
        ("lost", custody.lost),
        ("duplicated", custody.duplicated),
        ("redelivered", custody.redelivered),
        ("phantom", custody.phantom),
        ("altered", custody.altered),
        ("misplaced", custody.misplaced),
        ("disordered", custody.disordered),
        ("unreadable", custody.unreadable),
    ];
    let fields = counts.map(|(name, count)| (name.to_owned(), count.into()));
    fields.into_iter().collect()
}

/// The fields of both, in their order.
fn joined(mut fields: Map<String, Value>, more: Value) -> Value {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    Value::Object(fields)
}

/// What there is to say of a run, in one object: the counts of both protocols together first.
pub(super) fn object(outcome: &Outcome) -> Value {
    let (tally, counters) = (&outcome.tally, &outcome.counters.fleet);
    let (p50, p99) = quantiles(&counters.ack_undisturbed);
    let (lossy_p50, lossy_p99) = quantiles(&counters.ack);
    let mut fields = Map::new();
    fields.insert("sessions".to_owned(), counters.sessions().into());
    fields.extend(counts(&outcome.custody.total()));
    let mut problems = outcome.custody.total().problems;
    problems.extend(outcome.counters.mbus.wrong());
    let more = json!({
        "problems": problems,
        "ack_ms": { "p50": p50, "p99": p99 },
        "ack_with_losses_ms": { "p50": lossy_p50, "p99": lossy_p99 },
        "modes": tally::json_of(&tally.modes),
        "transports": tally::json_of(&tally.transports),
        "protocols": {
            "otl": counts(&outcome.custody.otl),
            "mbus": mbus(outcome),
        },
        "alarms_acked": counters.alarms_acked(),
        "terminals_failed": counters.terminals_failed(),
        "retries": counters.retries(),
        "losses_injected": counters.losses_injected(),
        "duplicates_injected": counters.duplicates_injected(),
        "delays_injected": counters.delays_injected(),
        "restarts": counters.restarts(),
        "seconds": outcome.took_s,
        "data": outcome.folder.dir.display().to_string(),
    });
    joined(fields, more)
}

fn mbus(outcome: &Outcome) -> Value {
    let (counters, custody) = (&outcome.counters.mbus, &outcome.custody.mbus);
    let plan = &outcome.plans.mbus;
    let gateways = |carriage: Carriage| {
        let all = plan.gateways().into_iter();
        let all = all.filter(|one| outcome.plans.has_meters() && one.carriage == carriage);
        all.count()
    };
    let (p50, p99) = quantiles(&counters.ack);
    let modes = outcome.tally.meters.iter().map(|(mode, count)| {
        let count = json!({
            "meters": count.meters,
            "telegrams_sent": count.telegrams_sent,
            "records_acked": count.records_acked,
        });
        (mode.to_string(), count)
    });
    let more = json!({
        "gateways": gateways(Carriage::Tcp) + gateways(Carriage::Udp),
        "meters": plan.meters,
        "telegrams_sent": counters.telegrams_sent(),
        "copies": counters.copies(),
        "ack_ms": { "p50": p50, "p99": p99 },
        "modes": modes.collect::<Map<_, _>>(),
        "transports": {
            "tcp": {
                "gateways": gateways(Carriage::Tcp),
                "records_acked": custody.custody.told_safe,
                "lines_sent": counters.lines_sent(),
                "lines_again": counters.lines_again(),
                "lines_left": counters.lines_left(),
            },
            "udp": {
                "gateways": gateways(Carriage::Udp),
                "records_received": custody.by_datagram,
                "datagrams_sent": counters.datagrams_sent(),
            },
        },
        "busy": counters.busy(),
        "wrong_answers": counters.wrong_answers(),
        "gateways_failed": counters.gateways_failed(),
        "connection_errors": counters.connection_errors(),
        "cuts_injected": counters.cuts(),
        "losses_injected": counters.datagrams_lost(),
        "duplicates_injected": counters.doubled(),
        "delays_injected": counters.delayed(),
    });
    joined(counts(&custody.custody), more)
}
