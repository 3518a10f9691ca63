//! Meters and gateways together, from begin to end.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use super::air;
use super::counters::MbusCounters;
use super::ledger::MbusLedger;
use super::plan::{Carriage, MbusPlan};
use super::shared::{MbusSettings, Shared};
use super::tcp::TcpGateway;
use super::udp::UdpGateway;
use crate::crypto::CryptoError;

/// The number of the first gateway's random stream in the plan.
const GATEWAYS_FROM: u64 = 4 << 32;

/// Why meters and gateways could not be run.
#[derive(Debug, thiserror::Error)]
pub enum MbusError {
    /// The socket of a gateway.
    #[error("cannot open a socket for a gateway: {0}")]
    Socket(#[source] io::Error),
    /// A telegram.
    #[error("cannot make the telegram of a meter: {0}")]
    Telegram(#[source] CryptoError),
    /// A task that ended by itself.
    #[error("the meters stopped on an error of their own")]
    Meters,
}

/// Runs the meters and the gateways of a plan to the end; needs a tokio runtime with network and
/// time. A plan without meters ends at once.
///
/// # Errors
/// A socket cannot be opened, or keys do not fit.
pub async fn run(
    plan: MbusPlan,
    settings: MbusSettings,
    counters: Arc<MbusCounters>,
) -> Result<MbusLedger, MbusError> {
    let shared = Arc::new(Shared::new(settings, counters));
    let (mut connections, mut datagrams) = (JoinSet::new(), JoinSet::new());
    let mut to = Vec::new();
    for (gateway, number) in plan.gateways().into_iter().zip(GATEWAYS_FROM..) {
        let (sender, heard) = unbounded_channel();
        to.push((gateway.clone(), sender));
        let (random, shared) = (plan.stream(number), Arc::clone(&shared));
        match gateway.carriage {
            Carriage::Tcp => {
                connections.spawn(TcpGateway::new(gateway, random, heard, shared).run());
            }
            Carriage::Udp => {
                let opened = UdpGateway::open(gateway, random, heard, shared).await;
                datagrams.spawn(opened.map_err(MbusError::Socket)?.run());
            }
        }
    }
    // A task of its own, so that what gateways do delays no meter.
    let air = tokio::spawn(air::play(plan, Arc::clone(&shared), to));
    let played = air.await.map_err(|_| MbusError::Meters)?;
    let mut ledger = played.map_err(MbusError::Telegram)?;
    while let Some(ended) = connections.join_next().await {
        match ended {
            Ok(told) => {
                for (telegram, at) in told {
                    ledger.told_safe(telegram, at);
                }
            }
            Err(_) => shared.counters.failed(),
        }
    }
    while let Some(ended) = datagrams.join_next().await {
        if ended.is_err() {
            shared.counters.failed();
        }
    }
    Ok(ledger)
}
