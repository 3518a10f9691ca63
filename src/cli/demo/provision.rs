//! What has to be there before the first terminal calls: a folder, keys, the registry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use simulator::fleet::{FleetPlan, KEY_VERSION};

use crate::app::boot::{self, boot};
use crate::config::Config;
use crate::crypto::key::{KeyOctets, Link, Master};
use crate::keyring::{KeyState, LinkKeyring, OsRandom, RandomSource as _, UtilityId};
use crate::model::event::{TERMINALS_PER_EVENT, TerminalEntry, UtilityEntry};
use crate::model::{Event, TerminalId};
use crate::store::fs::RealFs;
use crate::store::log::LogOptions;
use crate::wire::hex::Hex;

use super::Failure;

/// A folder among the temporary files that nobody else has.
pub(super) fn new_folder() -> Result<PathBuf, Failure> {
    let mut octets = [0; 6];
    OsRandom.fill(&mut octets)?;
    let dir = std::env::temp_dir().join(format!("kenshin-demo-{}", Hex(&octets)));
    std::fs::create_dir(&dir)?;
    Ok(dir)
}

/// The configuration of the embedded server: free loopback ports, one sink of files.
pub(super) fn config(data_dir: &Path, records_dir: &Path) -> Result<Config, Failure> {
    let text = "\
[listen]
udp = \"127.0.0.1:0\"
udp_alarm = \"127.0.0.1:0\"
tcp = \"127.0.0.1:0\"
[api]
listen = \"127.0.0.1:0\"
[disk]
come_back_percent = 97
alarms_only_percent = 99
[keys]
allow_mode0 = true
[[sink]]
name = \"records\"
type = \"ndjson\"
dir = \"records\"
from = \"start\"
";
    let mut config = Config::parse(text, [])?;
    config.data_dir = data_dir.join("data");
    for sink in &mut config.sinks {
        records_dir.clone_into(&mut sink.dir);
    }
    Ok(config)
}

/// The link keys of the fleet's utilities.
pub(super) fn keys(plan: &FleetPlan) -> Result<LinkKeyring, Failure> {
    let mut keys = LinkKeyring::new();
    for utility in plan.utilities()? {
        let id = UtilityId::new(utility.id);
        keys.add_utility(id, &utility.name);
        let octets = KeyOctets::from_slice(utility.link_master.expose())?;
        let master = Master::<Link>::new(octets);
        keys.add_master(id, KEY_VERSION, KeyState::Active, true, master)?;
    }
    Ok(keys)
}

/// Registers the fleet in the data folder of a server that does not run yet.
pub(super) fn register(config: &Config, plan: &FleetPlan) -> Result<(), Failure> {
    let fs = Arc::new(RealFs);
    let _lock = boot::lock(&*fs, &config.data_dir)?;
    let keys = LinkKeyring::new();
    let booted = boot(fs, &config.data_dir, LogOptions::default(), 1, keys)?;
    let hex = |octets: &[u8]| Hex(octets).to_string();
    for utility in plan.utilities()? {
        booted.append(&Event::UtilityPut(UtilityEntry {
            id: hex(&utility.id),
            name: utility.name,
            allow_mode0: true,
        }))?;
        let of_it = plan.terminals().filter(|one| one.utility == utility.id);
        let entries: Vec<TerminalEntry> = of_it
            .map(|terminal| TerminalEntry {
                id: TerminalId::new(terminal.identity),
                mode: terminal.mode.code(),
                customer: None,
            })
            .collect();
        for terminals in entries.chunks(TERMINALS_PER_EVENT) {
            booted.append(&Event::TerminalsPut {
                utility: hex(&utility.id),
                terminals: terminals.to_vec(),
            })?;
        }
    }
    let closed = booted.log.close();
    closed.map_err(|poison| format!("the log stopped: {}", poison.reason))?;
    Ok(())
}
