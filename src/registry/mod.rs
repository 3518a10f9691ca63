//! The registry: what operators say of utilities, terminals, gateways and the states of keys.
//!
//! [`Command`] is what is asked and [`Reply`] what became of it; both have a form in JSON, so that
//! they pass through a socket as they are. [`Registry`] checks a command against state, appends
//! events to the log, and answers when they are durable and folded. [`csv`] reads tables of
//! terminals, and opens no file.

mod apply;
mod command;
pub mod csv;
mod gateways;
mod ident;
mod keys;
mod refusal;
mod reply;
mod terminals;
#[cfg(test)]
mod tests;
mod utilities;

pub use apply::{Policy, Registry};
pub use command::{Command, GatewayChange, LIST_MAX, ROWS_PER_IMPORT, Row};
pub use ident::{
    Named, NoTerminal, NoTerminalOrMeter, maker_and_serial, parse_terminal, parse_terminal_or_meter,
};
pub use refusal::{ROWS_NAMED_MAX, Refusal, RowProblem, RowRefusal};
pub use reply::{
    Change, GatewayView, ImportCounts, KeyView, MeterView, Reply, TerminalLine, TerminalView,
    UtilityView,
};
