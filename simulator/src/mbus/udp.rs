//! A gateway on datagrams: nobody answers it, so that it forgets what it has sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::air::Heard;
use super::counters::MbusCounters;
use super::plan::GatewayPlan;
use super::shared::Shared;
use crate::fleet::{Fate, local_address};
use crate::random::Seeded;

pub(super) struct UdpGateway {
    plan: GatewayPlan,
    shared: Arc<Shared>,
    random: Seeded,
    heard: UnboundedReceiver<Heard>,
    socket: Arc<UdpSocket>,
    /// Datagrams that are held back, while others overtake them.
    late: JoinSet<()>,
}

impl UdpGateway {
    /// A gateway with a socket of its own.
    pub(super) async fn open(
        plan: GatewayPlan,
        random: Seeded,
        heard: UnboundedReceiver<Heard>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let server = shared.settings.udp;
        let socket = UdpSocket::bind(local_address(server)).await?;
        socket.connect(server).await?;
        Ok(Self {
            plan,
            shared,
            random,
            heard,
            socket: Arc::new(socket),
            late: JoinSet::new(),
        })
    }

    /// Sends all that is heard.
    pub(super) async fn run(mut self) {
        while let Some(heard) = self.heard.recv().await {
            let datagram = format!("TOKEN {}\n{}", self.plan.token, heard.line);
            let counters = &self.shared.counters;
            match self.shared.fate(&mut self.random) {
                Fate::Deliver => send(&self.socket, &datagram, counters).await,
                Fate::Lose => counters.lost_datagram(),
                Fate::Late(ms) => {
                    counters.delays();
                    let (socket, shared) = (Arc::clone(&self.socket), Arc::clone(&self.shared));
                    self.late.spawn(async move {
                        sleep(Duration::from_millis(ms)).await;
                        send(&socket, &datagram, &shared.counters).await;
                    });
                }
                Fate::Twice => {
                    counters.doubles();
                    send(&self.socket, &datagram, counters).await;
                    send(&self.socket, &datagram, counters).await;
                }
            }
            // Those that have left.
            while self.late.try_join_next().is_some() {}
        }
        while self.late.join_next().await.is_some() {}
    }
}

async fn send(socket: &UdpSocket, datagram: &str, counters: &MbusCounters) {
    // One that the system does not take is lost, as any may be.
    match socket.send(datagram.as_bytes()).await {
        Ok(_) => counters.sent_datagram(),
        Err(_) => counters.connection_failed(),
    }
}
