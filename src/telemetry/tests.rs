//! Tests of metrics.

use super::*;
use crate::config::Config;
use crate::model::{Lane, Lsn, TerminalId};
use crate::net::counters::NetTotals;
use crate::net::mbus::counters::{MbusTotals, RefusedTotals};
use crate::session::otl::refusal::{Reason, Refusal};

fn rendered(metrics: &Metrics) -> String {
    metrics.render(&Levels::default()).unwrap()
}

fn has_line(metrics: &Metrics, line: &str) -> bool {
    rendered(metrics).lines().any(|found| found == line)
}

#[test]
fn names_kinds_and_help_of_metrics_stay_as_they_are() {
    let text = rendered(&Metrics::new(["cloud"]));
    let described: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn every_series_is_there_from_the_start() {
    let metrics = Metrics::new(["cloud"]);
    for reason in Reason::ALL {
        let line = format!("kenshin_refusals_total{{reason=\"{}\"}} 0", reason.id());
        assert!(has_line(&metrics, &line), "{line}");
    }
    for lane in ["alarm", "bulk"] {
        let labels = format!("{{sink=\"cloud\",lane=\"{lane}\"}} 0");
        let delivered = format!("kenshin_sink_delivered_records_total{labels}");
        assert!(has_line(&metrics, &delivered), "{delivered}");
        assert!(has_line(
            &metrics,
            &format!("kenshin_sink_lag_bytes{labels}")
        ));
    }
}

#[test]
fn the_series_of_a_full_configuration_stay_within_their_budget() {
    let most = Config::SINKS_MAX + Config::CONSUMERS_MAX;
    let names: Vec<String> = (0..most).map(|number| format!("sink-{number}")).collect();
    let text = rendered(&Metrics::new(names.iter().map(String::as_str)));
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series <= 2_000, "{series}");
}

#[test]
fn what_happens_is_counted_under_its_label() {
    let metrics = Metrics::new(["cloud"]);
    metrics.records(Lane::Alarm, 3);
    metrics.committed(5, 900);
    let terminal = TerminalId::new([1; 8]);
    events::clone_suspected(&metrics, terminal);
    events::frame_refused(&metrics, &Refusal::at(Reason::TagMismatch, 0));
    for line in [
        "kenshin_records_total{lane=\"alarm\"} 3",
        "kenshin_log_written_bytes_total 900",
        "kenshin_commit_frames_bucket{le=\"4.0\"} 0",
        "kenshin_commit_frames_bucket{le=\"8.0\"} 1",
        "kenshin_commit_frames_sum 5.0",
        "kenshin_commits_total 1",
        "kenshin_clones_suspected_total 1",
        "kenshin_refusals_total{reason=\"counter_clone\"} 1",
        "kenshin_refusals_total{reason=\"tag_mismatch\"} 1",
    ] {
        assert!(has_line(&metrics, line), "{line}");
    }
    assert!(!rendered(&metrics).contains(&terminal.to_string()));
}

#[test]
fn latency_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
    let metrics = Metrics::new([]);
    metrics.acknowledged_after(&[99, 100, 101]);
    metrics.acknowledged_after(&[20_000_000]);
    for line in [
        "kenshin_ack_latency_seconds_bucket{le=\"0.0001\"} 2",
        "kenshin_ack_latency_seconds_bucket{le=\"0.0002\"} 3",
        "kenshin_ack_latency_seconds_bucket{le=\"+Inf\"} 4",
        "kenshin_ack_latency_seconds_count 4",
        "kenshin_ack_latency_seconds_sum 20.0003",
    ] {
        assert!(has_line(&metrics, line), "{line}\n{}", rendered(&metrics));
    }
}

#[test]
fn levels_are_those_of_the_moment_of_asking() {
    let metrics = Metrics::new(["cloud"]);
    let levels = Levels {
        durable_end: Lsn::new(4_096),
        disk: DiskLevel::AlarmsOnly,
        net: NetTotals {
            reading_datagrams_in: 7,
            alarm_datagrams_in: 2,
            malformed: 3,
            timeouts_idle: 4,
            ..NetTotals::default()
        },
        followers: vec![
            FollowerLevels {
                name: "cloud".to_owned(),
                delivered_records: [5, 7],
                lag_bytes: [0, 800],
            },
            // As of a configuration of before.
            FollowerLevels {
                name: "unknown".to_owned(),
                lag_bytes: [3_000, 900],
                ..FollowerLevels::default()
            },
        ],
        ..Levels::default()
    };
    let text = metrics.render(&levels).unwrap();
    for line in [
        "kenshin_frames_received_total{transport=\"udp\"} 7",
        "kenshin_frames_received_total{transport=\"udp_alarm\"} 2",
        "kenshin_frame_verdicts_total{verdict=\"malformed\"} 3",
        "kenshin_refusals_total{reason=\"idle\"} 4",
        "kenshin_sink_delivered_records_total{sink=\"cloud\",lane=\"bulk\"} 7",
        "kenshin_sink_lag_bytes{sink=\"cloud\",lane=\"bulk\"} 800",
        "kenshin_sinks_lag_max_bytes 3000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    assert!(!text.contains("=\"unknown\""));
    assert!(text.contains("\nkenshin_log_durable_position 4096\n"));
    assert!(text.contains("\nkenshin_disk_level 2\n"));
    assert!(has_line(&metrics, "kenshin_disk_level 0"));
}

#[test]
fn whoever_is_refused_or_makes_way_among_gateways_is_told_by_the_reason() {
    let refused = |from: u64| RefusedTotals {
        too_many_failures: from,
        too_many_failures_on_port: from + 1,
        token_too_long: from + 2,
    };
    let levels = Levels {
        mbus: MbusTotals {
            evicted_unknown: 1,
            evicted_same_gateway: 2,
            evicted_for_newcomer: 3,
            refused_tcp: refused(4),
            refused_udp: refused(7),
            ..MbusTotals::default()
        },
        ..Levels::default()
    };
    let text = Metrics::new(["cloud"]).render(&levels).unwrap();
    let reasons = ["unidentified", "same_gateway", "newcomer"];
    for (reason, count) in reasons.into_iter().zip(1..) {
        let series = "kenshin_mbus_connections_evicted_total";
        let line = format!("{series}{{reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    let reasons = [
        "too_many_failures",
        "too_many_failures_on_port",
        "token_too_long",
    ];
    let rows = ["tcp", "udp"].map(|carriage| reasons.map(|reason| (carriage, reason)));
    for ((carriage, reason), count) in rows.into_iter().flatten().zip(4..) {
        let labels = format!("{{carriage=\"{carriage}\",reason=\"{reason}\"}}");
        let line = format!("kenshin_mbus_senders_refused_total{labels} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}
