//! What the listeners of M-Bus gateways and the server behind them ask of each other.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::keyring::UtilityId;

/// A gateway as it was found when it showed what it is known by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gateway {
    /// Its name.
    pub name: Arc<str>,
    /// The utility whose meters it hears.
    pub utility: UtilityId,
    /// Which registration of this name it is.
    pub version: u64,
}

/// What a gateway shows.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// A token.
    Token(&'a [u8]),
    /// The SHA-256 digest of the certificate of its connection, in DER.
    Certificate([u8; 32]),
    /// Its address, and nothing else.
    Address(IpAddr),
}

/// How a telegram came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Over a connection.
    Tcp,
    /// In a datagram.
    Udp,
}

/// A telegram as a gateway handed it over.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// How it came.
    pub transport: Transport,
    /// Its octets.
    pub telegram: &'a [u8],
    /// When the gateway heard it, UTC milliseconds, if it says so.
    pub heard_utc_ms: Option<u64>,
    /// The signal at the gateway, dBm, if it says so.
    pub rssi_dbm: Option<i16>,
}

/// What became of a telegram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is durable.
    Durable {
        /// Whether another copy of it made it so.
        is_copy: bool,
    },
    /// It is a fragment that waits in memory for the others; nothing is durable.
    Part,
    /// It gives no record, now or later, unless somebody changes something.
    Refused {
        /// The name of the reason.
        id: &'static str,
        /// What is wrong, in a sentence without line ends.
        text: String,
    },
    /// There is no room for it now.
    Busy,
}

/// Whoever knows gateways and telegrams. Called from many tasks; does not wait for the disk.
pub trait TelegramHandler: Send + Sync + 'static {
    /// The gateway that shows this.
    fn gateway(&self, proof: Proof<'_>) -> Option<Gateway>;

    /// Whether a gateway is still registered as it was when it was found.
    fn is_current(&self, gateway: &Gateway) -> bool;

    /// Takes a telegram. What becomes of it is told through `answer`, at once or when it is
    /// durable; where the sender is dropped, nothing is known of it.
    fn receive(&self, gateway: &Gateway, heard: Heard<'_>, answer: oneshot::Sender<Answer>);

    /// Somebody showed what no gateway is known by.
    fn unknown_gateway(&self, transport: Transport);

    /// A line, or a datagram, gives no telegram.
    fn unread(&self, transport: Transport, id: &'static str);
}
