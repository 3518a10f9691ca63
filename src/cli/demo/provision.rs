//! What has to be there before the first terminal calls: a folder, keys, the registry.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use simulator::fleet::KEY_VERSION;
use simulator::mbus::telegram::Mode;

use crate::admin::Ask;
use crate::app::{Addresses, Direct};
use crate::config::Config;
use crate::keyring::{OsRandom, RandomSource as _, UtilityId};
use crate::model::{Fingerprint, TerminalId};
use crate::registry::{Command, GatewayChange, ROWS_PER_IMPORT, Row};
use crate::wire::hex::Hex;

use super::super::link_ring;
use super::{Failure, Plans};

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

    fn meters(&self) -> PathBuf {
        self.dir.join("meters.csv")
    }

    /// The token of a gateway.
    fn token_of(&self, gateway: &str) -> PathBuf {
        self.dir.join(format!("{gateway}.token"))
    }

    /// Tokens of the one consumer and of the gateways, and the keys of terminals and meters, for a
    /// server that is started here later. Only their owner can read the files.
    pub(super) fn write_secrets(&self, plans: &Plans) -> Result<(), Failure> {
        let mut octets = [0; 32];
        OsRandom.fill(&mut octets)?;
        write_private(&self.token(), &format!("{}\n", Hex(&octets)))?;
        let mut keys =
            "# Of a demonstration: they follow from its seed, and protect nothing.\n".to_owned();
        for utility in plans.fleet.utilities()? {
            keys += &format!(
                "[[utility]]\nid = \"{}\"\nname = \"{}\"\n[[utility.link_master]]\n\
                 version = {KEY_VERSION}\nstate = \"ACTIVE\"\nkey = \"{}\"\n",
                Hex(&utility.id),
                utility.name,
                Hex(utility.link_master.expose()),
            );
        }
        write_private(&self.keys(), &keys)?;
        if plans.has_meters() {
            self.write_secrets_of_meters(plans)?;
        }
        Ok(())
    }

    fn write_secrets_of_meters(&self, plans: &Plans) -> Result<(), Failure> {
        let utility = Hex(&plans.mbus.utility);
        let mut table = "meter,utility,key\n".to_owned();
        // One that has a key must encrypt.
        for meter in plans.mbus.meters().filter(|one| one.mode != Mode::Clear) {
            let (name, key) = (meter.address.name(), plans.mbus.key(&meter)?);
            table += &format!("{name},{utility},{}\n", Hex(key.expose()));
        }
        write_private(&self.meters(), &table)?;
        for gateway in plans.mbus.gateways() {
            let token = format!("{}\n", gateway.token);
            write_private(&self.token_of(gateway.name), &token)?;
        }
        Ok(())
    }

    /// The configuration as a text; with addresses that a server had, so that the next one has the
    /// same, and else with free loopback ports.
    pub(super) fn config_text(
        &self,
        plans: &Plans,
        had: Option<&Addresses>,
    ) -> Result<String, Failure> {
        let port = |had: Option<SocketAddr>| {
            had.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string())
        };
        let mbus_file = match plans.has_meters() {
            true => format!("mbus_file = {}\n", quoted(&self.meters())?),
            false => String::new(),
        };
        let mbus = match plans.has_meters() {
            true => format!(
                "[mbus]\nallow_clear_meters = true\ntcp = \"{}\"\nudp = \"{}\"\n",
                port(had.and_then(|had| had.mbus.tcp)),
                port(had.and_then(|had| had.mbus.udp)),
            ),
            false => String::new(),
        };
        let first = plans.fleet.utilities()?.swap_remove(0);
        Ok(format!(
            "data_dir = {data}\n[listen]\nudp = \"{udp}\"\nudp_alarm = \"{alarm}\"\n\
             tcp = \"{tcp}\"\n[api]\nlisten = \"{http}\"\n[disk]\ncome_back_percent = 97\n\
             alarms_only_percent = 99\n{mbus}[keys]\nlink_file = {keys}\n{mbus_file}\
             allow_clear_keys = true\nallow_mode0 = true\n[[sink]]\nname = \"records\"\n\
             type = \"ndjson\"\ndir = {records}\nfrom = \"start\"\n\
             [[consumer]]\nname = \"cloud\"\nutility = \"{utility}\"\n\
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

/// Registers fleet and gateways in the data folder of a server that does not run yet.
pub(super) fn register(config: &Config, plans: &Plans) -> Result<(), Failure> {
    let direct = Direct::open(config, link_ring::load(&config.keys)?)?;
    for utility in plans.fleet.utilities()? {
        direct.answer(Ask::Registry(Command::UtilityPut {
            utility: UtilityId::new(utility.id),
            name: Some(utility.name),
            allow_mode0: Some(true),
        }))?;
    }
    let rows: Vec<Row> = plans
        .fleet
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
    if plans.has_meters() {
        for gateway in plans.mbus.gateways() {
            direct.answer(Ask::Registry(Command::GatewayPut(GatewayChange {
                gateway: gateway.name.to_owned(),
                utility: Some(UtilityId::new(plans.mbus.utility)),
                token_sha256: Some(Fingerprint::of_token(gateway.token.as_bytes())),
                ..GatewayChange::default()
            })))?;
        }
    }
    Ok(direct.close()?)
}
