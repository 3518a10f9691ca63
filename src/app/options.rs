//! What a configuration says, in the terms of the components.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::net::admission::AdmissionLimits;
use crate::net::mbus::MbusNetOptions;
use crate::net::{ListenerOptions, StreamLimits};
use crate::store::log::LogOptions;
use crate::store::state::table::SLOTS;

use super::keeper::KeeperOptions;
use super::retention::RetentionOptions;

const MIB: u64 = 1 << 20;

/// The loops on the reading port of a configuration, on this machine.
pub(super) fn workers_of(config: &Config) -> u16 {
    let cores = std::thread::available_parallelism();
    config
        .listen
        .udp_workers_on(cores.map_or(1, NonZeroUsize::get))
}

/// What the housekeeping of a configuration goes by.
pub(super) fn keeper_options(config: &Config) -> KeeperOptions {
    KeeperOptions {
        come_back_percent: config.disk.come_back_percent,
        alarms_only_percent: config.disk.alarms_only_percent,
        quota_octets: quota_octets(config),
        snapshot_every_octets: u64::from(config.store.snapshot_every_mib) * MIB,
        reserve_octets: reserve_octets(config),
        queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
        queue_octets: usize::try_from(u64::from(config.store.queue_mib) * MIB)
            .unwrap_or(usize::MAX),
        snapshots_kept: usize::try_from(config.store.snapshots_kept).unwrap_or(1),
    }
}

/// How much of the log a configuration keeps.
pub(super) fn retention_options(config: &Config) -> RetentionOptions {
    RetentionOptions {
        octets: config
            .store
            .retention_gib
            .map(|gib| u64::from(gib).saturating_mul(MIB * 1_024)),
        days: config.store.retention_days,
    }
}

/// Octets of the disk that a configuration sets aside for alarms.
pub(super) fn reserve_octets(config: &Config) -> u64 {
    u64::from(config.disk.reserve_mib).saturating_mul(MIB)
}

fn quota_octets(config: &Config) -> Option<u64> {
    config.disk.quota_mib.map(|mib| u64::from(mib) * MIB)
}

/// How the log of a configuration is opened.
pub(super) fn log_options(config: &Config) -> LogOptions {
    let size = |mib: u32| u64::from(mib).saturating_mul(MIB);
    let reserve = reserve_octets(config);
    LogOptions {
        segment_bytes: size(config.store.segment_mib),
        queue_frames: usize::try_from(config.store.queue_frames).unwrap_or(usize::MAX),
        queue_bytes: usize::try_from(size(config.store.queue_mib)).unwrap_or(usize::MAX),
        floor_bytes: reserve,
        urgent_floor_bytes: reserve / 4,
        quota_bytes: quota_octets(config),
        guard_slots: SLOTS,
        ..LogOptions::default()
    }
}

/// Where a configuration listens, with so many loops and connections.
pub(super) fn listener_options(config: &Config, workers: u16, connections: u64) -> ListenerOptions {
    let milliseconds = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    ListenerOptions {
        reading: config.listen.udp,
        alarm: config.listen.udp_alarm,
        stream: config.listen.tcp,
        reading_workers: workers,
        connections_max: connections,
        unverified_max: u64::from(config.tcp.max_unverified),
        accept_backlog: config.tcp.accept_backlog,
        stream_limits: StreamLimits {
            first_verified_ms: milliseconds(config.tcp.first_frame_timeout_s),
            whole_frame_ms: milliseconds(config.tcp.first_frame_timeout_s),
            silence_ms: milliseconds(config.tcp.idle_timeout_s),
            ..StreamLimits::default()
        },
        admission: admission_limits(config),
    }
}

fn admission_limits(config: &Config) -> AdmissionLimits {
    AdmissionLimits {
        failure_burst: config.admission.burst,
        failures_per_s: config.admission.failed_per_address_per_s,
        // Those who are known to fail wait first.
        failures_per_s_total: (config.admission.failed_per_port_per_s / 2).max(1),
        failures_per_s_port: config.admission.failed_per_port_per_s,
        addresses_max: usize::try_from(config.admission.addresses_max).unwrap_or(usize::MAX),
        ..AdmissionLimits::default()
    }
}

/// Where a configuration listens for M-Bus gateways, with what makes TLS.
pub(super) fn mbus_net_options(
    config: &Config,
    tls: Option<(SocketAddr, TlsAcceptor)>,
) -> MbusNetOptions {
    let milliseconds = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
    MbusNetOptions {
        udp: config.mbus.udp,
        tcp: config.mbus.tcp,
        tls,
        connections_max: usize::try_from(config.mbus.max_connections).unwrap_or(usize::MAX),
        line_ms: milliseconds(config.mbus.line_timeout_s),
        silence_ms: milliseconds(config.mbus.idle_timeout_s),
        admission: admission_limits(config),
    }
}
