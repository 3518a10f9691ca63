//! Who was there, and how much of each was told safe: by security mode and by transport, terminals
//! and meters apart.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use simulator::fleet::{FleetPlan, TerminalPlan, Transport};
use simulator::mbus::ModeCount;
use simulator::mbus::telegram::Mode;

use super::Ledgers;

/// Terminals of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count {
    pub(super) terminals: u64,
    pub(super) records_acked: u64,
}

/// All kinds that there can be, those without a terminal or a meter too.
#[derive(Debug)]
pub(super) struct Tally {
    /// By security mode, 0 to 3.
    pub(super) modes: Vec<(&'static str, Count)>,
    pub(super) transports: Vec<(&'static str, Count)>,
    /// Of M-Bus meters, by their security mode.
    pub(super) meters: Vec<(u8, ModeCount)>,
}

const MODES: [&str; 4] = ["0", "1", "2", "3"];
const TRANSPORTS: [&str; 3] = ["udp", "tcp", "tcp_held"];

const fn name_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::TcpHeld => "tcp_held",
    }
}

impl Tally {
    pub(super) fn of(plan: &FleetPlan, ledgers: &Ledgers) -> Self {
        let terminals: Vec<TerminalPlan> = plan.terminals().collect();
        let told = ledgers.fleet.terminals.iter();
        let told: HashMap<[u8; 8], usize> = told
            .map(|one| (one.identity(), one.facts_told_safe()))
            .collect();
        let count = |is_it: &dyn Fn(&TerminalPlan) -> bool| {
            let mut count = Count::default();
            for terminal in terminals.iter().filter(|one| is_it(one)) {
                let told = told.get(&terminal.identity).copied().unwrap_or(0);
                let told = u64::try_from(told).unwrap_or(u64::MAX);
                count.terminals = count.terminals.saturating_add(1);
                count.records_acked = count.records_acked.saturating_add(told);
            }
            count
        };
        let mode = |name: &'static str| (name, count(&|one| one.mode.code().to_string() == name));
        let transport = |name: &'static str| (name, count(&|one| name_of(one.transport) == name));
        Self {
            modes: MODES.map(mode).to_vec(),
            transports: TRANSPORTS.map(transport).to_vec(),
            meters: Mode::ALL
                .map(|mode| (mode.code(), ledgers.mbus.count(mode)))
                .to_vec(),
        }
    }
}

/// The counts as one object.
pub(super) fn json_of(counts: &[(&'static str, Count)]) -> Value {
    let entry = |(name, count): &(&str, Count)| {
        let count = json!({
            "terminals": count.terminals,
            "records_acked": count.records_acked,
        });
        ((*name).to_owned(), count)
    };
    Value::Object(counts.iter().map(entry).collect::<Map<_, _>>())
}
