//! M-Bus meters that send over the air, gateways that hear them, and what came of it.
//!
//! Written from the facts of EN 13757 and OMS, and sharing no line with the server. A meter makes
//! telegrams of security mode 0, 5, 7 or 10 with its register, the time, and a stored value or a
//! flow. Gateways hear them: two that overlap hand them over by lines of a connection and keep each
//! until it was answered OK; one sends datagrams, which nobody answers. On their way connections
//! break in the middle of a line and behind it, lines and datagrams come twice or late, datagrams
//! are lost.
//!
//! What comes out is an [`MbusLedger`]; an [`MbusChecker`] compares it with outward records. A
//! telegram is safe when a gateway was told OK, and then it must be in the sink under one id,
//! through whomever it came. One that only went by datagrams may be there or not, but never twice
//! and never altered.

pub mod address;
mod air;
mod answer;
mod checker;
mod cipher;
mod counters;
pub mod date;
mod kept;
mod ledger;
mod line;
mod link;
pub mod meter;
pub mod plan;
pub mod reading;
mod record;
mod run;
mod said;
mod shared;
mod tcp;
pub mod telegram;
mod udp;

pub use checker::{MbusChecker, MbusCustody};
pub use counters::MbusCounters;
pub use ledger::{MbusLedger, ModeCount};
pub use line::Told;
pub use plan::{Carriage, GatewayPlan, MbusPlan, MeterPlan};
pub use run::{MbusError, run};
pub use shared::MbusSettings;
