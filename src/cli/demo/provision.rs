//! What has to be there before the first terminal calls: a folder, keys, the registry.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use simulator::fleet::{FleetPlan, KEY_VERSION};

use crate::admin::Ask;
use crate::app::{Addresses, Direct};
use crate::config::Config;
use crate::keyring::{OsRandom, RandomSource as _, UtilityId};
use crate::model::TerminalId;
use crate::registry::{Command, ROWS_PER_IMPORT, Row};
use crate::wire::hex::Hex;

use super::super::link_ring;
use super::Failure;

/// A folder among the temporary files that nobody else has.
pub(super) fn new_folder() -> Result<PathBuf, Failure> {
    let mut octets = [0; 6];
    OsRandom.fill(&mut octets)?;
    let dir = std::env::temp_dir().join(format!("kenshin-demo-{}", Hex(&octets)));
    std::fs::create_dir(&dir)?;
    Ok(dir)
}

/// Where things lie in the folder of a demonstration. All paths are absolute.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
}

impl Folder {
    /// The folder, which is made if it is not there. One that holds anything is somebody's: its
    /// keys and its configuration would be replaced, and its data mixed with another fleet's.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir)?;
        if std::fs::read_dir(dir)?.next().is_some() {
            let dir = dir.display();
            return Err(format!("{dir} is not empty: name a new folder with --data").into());
        }
        Ok(Self {
            dir: dir.canonicalize()?,
        })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn records(&self) -> PathBuf {
        self.dir.join("records")
    }

    pub(super) fn token(&self) -> PathBuf {
        self.dir.join("token")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("kenshin.toml")
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("keys.toml")
    }

    /// A token of the one consumer, and the fleet's keys, for a server that is started here later.
    /// Only their owner can read the files.
    pub(super) fn write_secrets(&self, plan: &FleetPlan) -> Result<(), Failure> {
        let mut octets = [0; 32];
        OsRandom.fill(&mut octets)?;
        write_private(&self.token(), &format!("{}\n", Hex(&octets)))?;
        let mut keys =
            "# Of a demonstration: they follow from its seed, and protect nothing.\n".to_owned();
        for utility in plan.utilities()? {
            keys += &format!(
                "[[utility]]\nid = \"{}\"\nname = \"{}\"\n[[utility.link_master]]\n\
                 version = {KEY_VERSION}\nstate = \"ACTIVE\"\nkey = \"{}\"\n",
                Hex(&utility.id),
                utility.name,
                Hex(utility.link_master.expose()),
            );
        }
        Ok(write_private(&self.keys(), &keys)?)
    }

    /// The configuration as a text; with addresses that a server had, so that the next one has the
    /// same, and else with free loopback ports.
    pub(super) fn config_text(
        &self,
        plan: &FleetPlan,
        had: Option<&Addresses>,
    ) -> Result<String, Failure> {
        let port = |had: Option<SocketAddr>| {
            had.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string())
        };
        let first = plan.utilities()?.swap_remove(0);
        Ok(format!(
            "data_dir = {data}\n[listen]\nudp = \"{udp}\"\nudp_alarm = \"{alarm}\"\n\
             tcp = \"{tcp}\"\n[api]\nlisten = \"{http}\"\n[disk]\ncome_back_percent = 97\n\
             alarms_only_percent = 99\n[keys]\nlink_file = {keys}\nallow_clear_keys = true\n\
             allow_mode0 = true\n[[sink]]\nname = \"records\"\ntype = \"ndjson\"\ndir = {records}\n\
             from = \"start\"\n[[consumer]]\nname = \"cloud\"\nutility = \"{utility}\"\n\
             token_file = {token}\nfrom = \"start\"\n",
            data = quoted(&self.data())?,
            udp = port(had.and_then(|had| had.reading)),
            alarm = port(had.and_then(|had| had.alarm)),
            tcp = port(had.and_then(|had| had.stream)),
            http = port(had.and_then(|had| had.http)),
            keys = quoted(&self.keys())?,
            records = quoted(&self.records())?,
            utility = Hex(&first.id),
            token = quoted(&self.token())?,
        ))
    }
}

/// A path as a string of TOML.
fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().ok_or("the folder's name is not in UTF-8")?;
    Ok(toml::Value::from(text).to_string())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // One that was there may have been open to others.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

/// Registers the fleet in the data folder of a server that does not run yet.
pub(super) fn register(config: &Config, plan: &FleetPlan) -> Result<(), Failure> {
    let direct = Direct::open(config, link_ring::load(&config.keys)?)?;
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
