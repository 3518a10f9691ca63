//! What has to be there before the first terminal calls: a folder, keys, the registry.

use std::path::{Path, PathBuf};

use simulator::fleet::{FleetPlan, KEY_VERSION};

use crate::admin::Ask;
use crate::app::Direct;
use crate::config::Config;
use crate::crypto::key::{KeyOctets, Link, Master};
use crate::keyring::{KeyState, LinkKeyring, OsRandom, RandomSource as _, UtilityId};
use crate::model::TerminalId;
use crate::registry::{Command, ROWS_PER_IMPORT, Row};
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
    let direct = Direct::open(config, keys(plan)?)?;
    for utility in plan.utilities()? {
        direct.answer(Ask::Registry(Command::UtilityPut {
            utility: UtilityId::new(utility.id),
            name: Some(utility.name),
            allow_mode0: Some(true),
        }))?;
    }
    let rows: Vec<Row> = plan
        .terminals()
        .map(|terminal| Row {
            line: 0,
            terminal: TerminalId::new(terminal.identity),
            utility: UtilityId::new(terminal.utility),
            mode: terminal.mode.code(),
            customer: None,
        })
        .collect();
    for rows in rows.chunks(ROWS_PER_IMPORT) {
        direct.answer(Ask::Registry(Command::TerminalImport {
            rows: rows.to_vec(),
            dry_run: false,
            move_utility: false,
        }))?;
    }
    Ok(direct.close()?)
}
