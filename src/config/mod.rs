//! The configuration: one tree, its defaults, its bounds, and every mistake of a file at once.
//!
//! A [`Config`] can only hold what is valid, so nobody behind it checks again. It is made of a TOML
//! text and of environment variables, which win: `KENSHIN_` and the path of the setting, with two
//! underscores between its parts (`KENSHIN_LISTEN__UDP`, `KENSHIN_DATA_DIR`). The lists `[[sink]]`
//! and `[[consumer]]` come from the file only. A name that is not known is an error in both: a
//! misspelt limit that is silently the default is found on the worst day.
//!
//! No secret stands in the configuration. A setting whose name ends in `_file` names a file that
//! holds one; [`Config::secret_files`] lists them, and whoever opens them refuses a file that
//! others can read. This module opens nothing: texts and variables are passed in.
//!
//! [`TEMPLATE`] is a file with every setting, its default and the reason of that default. Reloading
//! is not offered: the settings that change in a running server (terminals, keys) live in the log.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

mod build;
mod error;
mod limits;
mod reader;
mod sections;
#[cfg(test)]
mod tests;
mod values;

pub use error::{ConfigErrors, ConfigProblem, Place};
pub use limits::{Bound, CONNECTION_OCTETS, LIVE_SESSION_OCTETS, OPERATORS_MAX};
pub use sections::{
    Admin, Admission, Api, Consumer, Disk, FollowFrom, Keys, Listen, Log, LogFormat, LogLevel,
    Mbus, Sessions, Shutdown, Sink, SinkKind, Store, Tcp,
};

/// A configuration file with every setting at its default, commented.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The start of the names of variables that override settings.
pub const VARIABLE_PREFIX: &str = "KENSHIN_";

/// A variable of this prefix that is no setting: a master key, which no configuration holds.
const MASTER_KEY_VARIABLE: &str = "KENSHIN_MASTER_KEY";

/// Everything that an operator sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The folder of the log, the state and their lock.
    pub data_dir: PathBuf,
    /// Where terminals call.
    pub listen: Listen,
    /// Bounds on connections.
    pub tcp: Tcp,
    /// Bounds on senders that fail to authenticate.
    pub admission: Admission,
    /// Where gateways hand M-Bus telegrams over.
    pub mbus: Mbus,
    /// Bounds on sessions.
    pub sessions: Sessions,
    /// The custody log and what is folded out of it.
    pub store: Store,
    /// What happens as the disk fills.
    pub disk: Disk,
    /// Where keys come from.
    pub keys: Keys,
    /// Where records are delivered to, at most [`Self::SINKS_MAX`].
    pub sinks: Vec<Sink>,
    /// The HTTP interface.
    pub api: Api,
    /// Who may pull records over HTTP, at most [`Self::CONSUMERS_MAX`].
    pub consumers: Vec<Consumer>,
    /// What is told, and how.
    pub log: Log,
    /// The socket of operators' commands.
    pub admin: Admin,
    /// The stages of stopping.
    pub shutdown: Shutdown,
}

impl Config {
    /// The most sinks. Each has metrics of its own.
    pub const SINKS_MAX: usize = 16;

    /// The most consumers. Each has metrics of its own.
    pub const CONSUMERS_MAX: usize = 64;

    /// Reads a configuration out of a text and the variables of the environment. Variables without
    /// [`VARIABLE_PREFIX`] are not looked at.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`], all of them.
    pub fn parse(
        text: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigErrors> {
        build::build(text, overrides(variables))
    }

    /// Where the socket of operators' commands is: as set, or else in the data folder.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        let set = self.admin.socket.clone();
        set.unwrap_or_else(|| self.data_dir.join("admin.sock"))
    }

    /// The files that hold secrets, by the key of their setting.
    #[must_use]
    pub fn secret_files(&self) -> Vec<(String, &Path)> {
        let keys = [
            ("keys.link_file", &self.keys.link_file),
            ("keys.mbus_file", &self.keys.mbus_file),
            ("keys.master_key_file", &self.keys.master_key_file),
            ("mbus.tls_key_file", &self.mbus.tls_key_file),
        ];
        let of_keys = keys
            .into_iter()
            .filter_map(|(key, path)| Some((key.to_owned(), path.as_deref()?)));
        let of_consumers = self.consumers.iter().enumerate().map(|(index, consumer)| {
            let key = format!("consumer[{index}].token_file");
            (key, consumer.token_file.as_path())
        });
        of_keys.chain(of_consumers).collect()
    }

    /// What is allowed and yet worth a second look, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let listen = &self.listen;
        if listen.udp.is_none() && listen.udp_alarm.is_none() && listen.tcp.is_none() {
            warnings.push("listen: every address is off, so no terminal can call".to_owned());
        }
        let addresses = [
            ("listen.udp", listen.udp),
            ("listen.udp_alarm", listen.udp_alarm),
            ("listen.tcp", listen.tcp),
            ("api.listen", self.api.listen),
            ("mbus.udp", self.mbus.udp),
            ("mbus.tcp", self.mbus.tcp),
            ("mbus.tls", self.mbus.tls),
        ];
        for (key, address) in addresses {
            let Some(address) = address.filter(|address| !address.ip().is_loopback()) else {
                continue;
            };
            let more = match key {
                "api.listen" => ", in clear HTTP: put a TLS proxy before it",
                "mbus.udp" => ", and whoever invents a gateway's address is taken for it",
                "mbus.tcp" => ", and tokens of gateways travel in clear: use mbus.tls",
                _ => "",
            };
            warnings.push(format!(
                "{key}: {address} can be reached from other machines{more}"
            ));
        }
        if self.keys.link_file.is_none() {
            let text =
                "keys.link_file: without a link ring no terminal of modes 1 to 3 can be served";
            warnings.push(text.to_owned());
        }
        let is_for_gateways =
            self.mbus.udp.is_some() || self.mbus.tcp.is_some() || self.mbus.tls.is_some();
        if is_for_gateways && self.keys.mbus_file.is_none() {
            let text = "keys.mbus_file: without meters' keys every encrypted telegram is refused";
            warnings.push(text.to_owned());
        }
        if is_for_gateways && self.mbus.allow_clear_meters {
            let text = "mbus.allow_clear_meters: meters without a key are believed without any \
                        proof; their records say unauthenticated";
            warnings.push(text.to_owned());
        }
        if self.keys.allow_clear_keys {
            let text =
                "keys.allow_clear_keys: keys may lie unsealed on the disk; never with meters";
            warnings.push(text.to_owned());
        }
        if self.keys.allow_mode0 {
            let text = "keys.allow_mode0: terminals of mode 0 are believed without any proof";
            warnings.push(text.to_owned());
        }
        if self.sinks.is_empty() && self.consumers.is_empty() {
            let text = "sink: there is no sink and no consumer, so records stay in the log only";
            warnings.push(text.to_owned());
        }
        warnings
    }
}

/// The variables that override settings, by the path of the setting.
fn overrides(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, String, OsString)> {
    variables.into_iter().filter_map(|(name, value)| {
        let is_setting = name != OsStr::new(MASTER_KEY_VARIABLE);
        let name = name.into_string().ok().filter(|_| is_setting)?;
        let path = name.strip_prefix(VARIABLE_PREFIX)?;
        let path = path.replace("__", ".").to_ascii_lowercase();
        Some((path, name, value))
    })
}
