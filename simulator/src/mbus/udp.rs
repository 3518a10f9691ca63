//! A gateway on datagrams: nobody answers it, so that it forgets what it has sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::air::Heard;
use super::plan::GatewayPlan;
use super::shared::Shared;
use crate::fleet::{Fate, local_address};
use crate::random::Seeded;

pub(super) struct UdpGateway {
    plan: GatewayPlan,
    shared: Arc<Shared>,
    random: Seeded,
    heard: UnboundedReceiver<Heard>,
    socket: UdpSocket,
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
            socket,
        })
    }

    /// Sends all that is heard.
    pub(super) async fn run(mut self) {
        while let Some(heard) = self.heard.recv().await {
            let datagram = format!("TOKEN {}\n{}", self.plan.token, heard.line);
            let counters = &self.shared.counters;
            match self.shared.fate(&mut self.random) {
                Fate::Deliver => self.send(&datagram).await,
                Fate::Lose => counters.lost_datagram(),
                Fate::Late(ms) => {
                    counters.delays();
                    sleep(Duration::from_millis(ms)).await;
                    self.send(&datagram).await;
                }
                Fate::Twice => {
                    counters.doubles();
                    self.send(&datagram).await;
                    self.send(&datagram).await;
                }
            }
        }
    }

    async fn send(&self, datagram: &str) {
        // One that the system does not take is lost, as any may be.
        match self.socket.send(datagram.as_bytes()).await {
            Ok(_) => self.shared.counters.sent_datagram(),
            Err(_) => self.shared.counters.connection_failed(),
        }
    }
}
