//! `kenshin key`: keys at rest, and the states of their versions.
//!
//! Makes master keys, seals one ring of a plain key file under a master key, and shows what a
//! sealed ring holds, without its keys. Nothing here ever writes key material to standard output
//! or into a message.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::decode::key_file::{self, KeyFileError};
use super::output;
use crate::keyring::keys_toml::{self, KeysTomlErrors, Problem};
use crate::keyring::mbus::MeterSummary;
use crate::keyring::mbus::csv::Mistakes;
use crate::keyring::sealed::{self, FileKey, OpenFileError, Role, SealFileError, Summary};
use crate::keyring::{LinkKeyring, OsRandom};

pub mod files;
pub mod master;
pub mod meters;
pub mod show;
pub mod states;

use files::{ReadKeysError, WriteNewError};
use master::{MasterKeyError, NewMasterError};

/// The arguments of `kenshin key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// The subcommands of `kenshin key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a master key: a new file of 64 hexadecimal digits that only its owner can read.
    NewMaster(NewMasterArgs),
    /// Seal one ring of a plain key file under a master key, into a new file.
    Seal(SealArgs),
    /// Show what a sealed ring holds, without its keys.
    Show(ShowArgs),
    /// Show the versions of link masters that the server has, with their states.
    #[command(after_long_help = super::operator::AFTER_HELP)]
    List(states::ListArgs),
    /// Give a version of a utility's link master another state.
    #[command(after_long_help = super::operator::AFTER_HELP)]
    State(states::StateArgs),
    /// Admit a lower link key version of a terminal again, until it proves a higher one.
    #[command(after_long_help = super::operator::AFTER_HELP)]
    Readmit(states::ReadmitArgs),
}

/// The arguments of `kenshin key new-master`.
#[derive(Debug, Args)]
pub struct NewMasterArgs {
    /// The file to make. One that exists is never replaced.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The arguments of `kenshin key seal`.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// The plain key file: TOML, and for the role mbus a table (CSV).
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,

    /// Which ring of it to seal.
    #[arg(long, value_enum)]
    pub role: RoleArg,

    /// The file to make. One that exists is never replaced.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// The master key; without it, KENSHIN_MASTER_KEY of the environment.
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
}

/// The arguments of `kenshin key show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The sealed file, of any role.
    #[arg(long, value_name = "FILE")]
    pub sealed: PathBuf,

    /// The master key; without it, KENSHIN_MASTER_KEY of the environment.
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// Show it as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The rings of a key file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum RoleArg {
    /// Link masters and registrations: the server's.
    Link,
    /// Command and key-encryption masters: the signer's.
    Command,
    /// Keys of M-Bus meters: the server's.
    Mbus,
}

/// Why keys were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeysError {
    /// The sealed file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadKeysError),
    /// A plain key file cannot be used.
    #[error(transparent)]
    Plain(#[from] KeyFileError),
    /// A table of meters' keys has mistakes; all of them, a line each.
    #[error("the key file {} has errors:\n{mistakes}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        mistakes: Mistakes,
    },
    /// The file is sealed, and there is no usable master key.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// The sealed file cannot be opened.
    #[error("cannot open the sealed key file {}: {cause}", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: OpenFileError,
    },
}

/// Why a ring was not sealed into a file.
#[derive(Debug, thiserror::Error)]
pub enum SealKeysError {
    /// The plain file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadKeysError),
    /// It holds octets that are no UTF-8.
    #[error("the key file {} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// Its fields are wrong; all errors, a line each.
    #[error("the key file {} has errors:\n{errors}{}", path.display(), of_another_role(errors))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        errors: KeysTomlErrors,
    },
    /// The table of meters' keys has mistakes; all of them, a line each.
    #[error("the key file {} has errors:\n{mistakes}", path.display())]
    InvalidTable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        mistakes: Mistakes,
    },
    /// The table has no key.
    #[error("the key file {} holds no key of a meter", .0.display())]
    NoMeterKeys(PathBuf),
    /// The file to seal is a sealed one.
    #[error("the key file {} is sealed already", .0.display())]
    Sealed(PathBuf),
    /// There is no usable master key.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// The command ring is wanted, and the file has no key of it.
    #[error("the key file {} holds no command or key-encryption key", .0.display())]
    NoCommandKeys(PathBuf),
    /// The ring cannot be sealed.
    #[error("cannot seal the {} ring: {cause}", role.id())]
    Seal {
        /// The ring.
        role: Role,
        /// Why.
        #[source]
        cause: SealFileError,
    },
    /// The new file cannot be made.
    #[error(transparent)]
    Write(#[from] WriteNewError),
}

/// Runs a subcommand of `kenshin key`.
///
/// The exit code is 0 on success, 1 where the registry refuses a state or a version, and 2 where a
/// file, the master key or the registry cannot be used.
#[must_use]
pub fn run(args: &KeyArgs) -> ExitCode {
    match &args.command {
        KeyCommand::NewMaster(args) => done(new_master(args)),
        KeyCommand::Seal(args) => done(seal(args)),
        KeyCommand::Show(args) => show(args),
        KeyCommand::List(args) => states::list(args),
        KeyCommand::State(args) => states::set(args),
        KeyCommand::Readmit(args) => states::readmit(args),
    }
}

fn done<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(&error),
    }
}

fn new_master(args: &NewMasterArgs) -> Result<(), NewMasterError> {
    let digits = master::new_digits(&mut OsRandom)?;
    Ok(files::write_new(&args.out, digits.as_bytes())?)
}

fn seal(args: &SealArgs) -> Result<(), SealKeysError> {
    // Said before anything else is: a long key file takes its time.
    files::refuse_existing(&args.out)?;
    let master = master::find(args.master_key_file.as_deref())?;
    let file = match args.role {
        RoleArg::Link => seal_ring(Role::Link, &args.keys, &master),
        RoleArg::Command => seal_ring(Role::Command, &args.keys, &master),
        RoleArg::Mbus => meters::seal(&args.keys, &master),
    };
    Ok(files::write_new(&args.out, &file?)?)
}

/// Seals one ring of a plain key file in TOML.
fn seal_ring(role: Role, path: &Path, master: &FileKey) -> Result<Vec<u8>, SealKeysError> {
    let octets = files::read_keys(path)?;
    if sealed::is_sealed(&octets) {
        return Err(SealKeysError::Sealed(path.to_owned()));
    }
    let text = str::from_utf8(&octets).map_err(|_| SealKeysError::NotText(path.to_owned()))?;
    let keys = keys_toml::parse(text).map_err(|errors| SealKeysError::Invalid {
        path: path.to_owned(),
        errors,
    })?;
    let file = match (role, keys.command) {
        (Role::Command, Some(ring)) => sealed::seal_command(&ring, master, &mut OsRandom),
        (Role::Command, None) => return Err(SealKeysError::NoCommandKeys(path.to_owned())),
        _ => sealed::seal_link(&keys.link, master, &mut OsRandom),
    };
    file.map_err(|cause| SealKeysError::Seal { role, cause })
}

/// What a file that is no TOML may be.
fn of_another_role(errors: &KeysTomlErrors) -> &'static str {
    let is_no_toml = errors
        .0
        .iter()
        .any(|error| error.problem == Problem::Syntax);
    match is_no_toml {
        true => "\na table of M-Bus meters needs --role mbus",
        false => "",
    }
}

fn show(args: &ShowArgs) -> ExitCode {
    match load_summary(&args.sealed, args.master_key_file.as_deref()) {
        Ok(shown) if args.json => output::show(&format!("{}\n", shown.json()), ExitCode::SUCCESS),
        Ok(shown) => output::show(&shown.text(), ExitCode::SUCCESS),
        Err(error) => done(Err(error)),
    }
}

/// What a sealed ring holds, by its kind.
enum Shown {
    Ring(Summary),
    Meters(MeterSummary),
}

impl Shown {
    fn text(&self) -> String {
        match self {
            Self::Ring(summary) => show::text(summary),
            Self::Meters(summary) => meters::text(summary),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Ring(summary) => show::json(summary),
            Self::Meters(summary) => meters::json(summary),
        }
    }
}

fn load_summary(path: &Path, master: Option<&Path>) -> Result<Shown, LoadKeysError> {
    let file = meters::read(path)?;
    let failed = |cause| LoadKeysError::Sealed {
        path: path.to_owned(),
        cause,
    };
    if !sealed::is_sealed(&file) {
        return Err(failed(OpenFileError::NotAKeyring));
    }
    let master = master::find(master)?;
    let shown = match sealed::claimed_role(&file) {
        Some(Role::Mbus) => meters::summary(&file, &master).map(Shown::Meters),
        Some(Role::Command) => {
            let ring = sealed::open_command(&file, &master);
            ring.map(|ring| Shown::Ring(Summary::of_command(&ring)))
        }
        Some(Role::Link) | None => {
            let ring = sealed::open_link(&file, &master);
            ring.map(|ring| Shown::Ring(Summary::of_link(&ring)))
        }
    };
    shown.map_err(failed)
}

/// Reads the keys that open frames, out of a plain key file or a sealed link ring.
///
/// Command and key-encryption keys of a plain file are dropped. A sealed file needs a master key,
/// of the file `master` or else of the environment; a plain one needs none and looks for none. What
/// can be read only once, such as a pipe, is taken for a plain file.
///
/// # Errors
///
/// [`LoadKeysError`]; a sealed command ring is refused.
// spec: KEY-10
pub fn load_link_keys(path: &Path, master: Option<&Path>) -> Result<LinkKeyring, LoadKeysError> {
    if !files::begins_sealed(path) {
        return Ok(key_file::load(path)?);
    }
    let file = files::read_keys(path)?;
    let failed = |cause| LoadKeysError::Sealed {
        path: path.to_owned(),
        cause,
    };
    let master = master::find(master)?;
    sealed::open_link(&file, &master).map_err(failed)
}
