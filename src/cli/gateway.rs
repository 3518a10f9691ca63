//! `kenshin gateway`: who may hand over telegrams of meters.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::key::files::{WriteNewError, refuse_existing, write_new};
use super::key::master::{is_open_to_others, new_digits};
use super::operator::{self, AFTER_HELP, OperatorError, Place, ask_and_show, show_answer, word};
use super::output::{fail, or_dash, table};
use crate::admin::{Answer, Ask};
use crate::api::token::{NoToken, Token};
use crate::keyring::{OsRandom, RandomFailed, UtilityId};
use crate::model::{Cidr, Fingerprint};
use crate::registry::{Command, GatewayChange, GatewayView, Reply};
use crate::store::secret;

/// The arguments of `kenshin gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GatewayCommand,
}

/// The subcommands of `kenshin gateway`.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Register a gateway, or change its registration. What is left out stays.
    #[command(after_long_help = AFTER_HELP)]
    Put(PutArgs),
    /// Show gateways, in the order of their names.
    #[command(after_long_help = AFTER_HELP)]
    List(ListArgs),
    /// Show a gateway.
    #[command(after_long_help = AFTER_HELP)]
    Show(OneArgs),
    /// End the registration of a gateway. What it handed over stays.
    #[command(after_long_help = AFTER_HELP)]
    Remove(OneArgs),
}

/// The arguments of `kenshin gateway put`.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// Its name: 1 to 32 of a-z, 0-9 and -.
    pub name: String,

    /// The utility whose meters it hears, 16 hexadecimal digits. A new gateway needs one.
    #[arg(long)]
    pub utility: Option<UtilityId>,

    /// Make a token and write it to this new file, which only its owner can read. The server keeps
    /// its digest only.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_file", "no_token"])]
    pub token_out: Option<PathBuf>,

    /// Take the token of this file, that only its owner can read: 24 to 128 printable characters.
    #[arg(long, value_name = "FILE", conflicts_with = "no_token")]
    pub token_file: Option<PathBuf>,

    /// Take its token away.
    #[arg(long)]
    pub no_token: bool,

    /// An address from which it sends, or a range of them, as 192.0.2.0/24; may be said several
    /// times, and is in place of all that were known. Who can send from an address is believed to
    /// be the gateway: of UDP that is no proof.
    #[arg(long = "address", value_name = "CIDR", conflicts_with = "no_address")]
    pub addresses: Vec<Cidr>,

    /// Take its addresses away.
    #[arg(long)]
    pub no_address: bool,

    /// The SHA-256 digest of its certificate in DER, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "no_certificate")]
    pub certificate_sha256: Option<Fingerprint>,

    /// Take its certificate away.
    #[arg(long)]
    pub no_certificate: bool,

    /// Say that the gateway is to hear another utility's meters from now on.
    #[arg(long)]
    pub move_utility: bool,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of `kenshin gateway list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those of this utility, 16 hexadecimal digits.
    #[arg(long)]
    pub utility: Option<UtilityId>,

    /// Only those after this one.
    #[arg(long, value_name = "NAME")]
    pub after: Option<String>,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// The arguments of what is about one gateway.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Its name.
    pub name: String,

    /// Where and how.
    #[command(flatten)]
    pub place: Place,
}

/// Why there is no token. Nothing of it is repeated.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("cannot read the token file {}: {cause}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("others can read or change the token file {}: run chmod 600 on it", .0.display())]
    OpenToOthers(PathBuf),
    #[error("the token file {} holds none: {cause}", path.display())]
    NoToken {
        path: PathBuf,
        #[source]
        cause: NoToken,
    },
    #[error("cannot make a token: {0}")]
    Random(#[from] RandomFailed),
    #[error(transparent)]
    Write(#[from] WriteNewError),
}

/// Runs a subcommand of `kenshin gateway`.
#[must_use]
pub fn run(args: &GatewayArgs) -> ExitCode {
    let (place, command) = match &args.command {
        GatewayCommand::Put(args) => return put(args),
        GatewayCommand::List(args) => {
            let command = Command::GatewayList {
                utility: args.utility,
                after: args.after.clone(),
                limit: args.limit,
            };
            (&args.place, command)
        }
        GatewayCommand::Show(args) => {
            let gateway = args.name.clone();
            (&args.place, Command::GatewayShow { gateway })
        }
        GatewayCommand::Remove(args) => {
            let gateway = args.name.clone();
            (&args.place, Command::GatewayRemove { gateway })
        }
    };
    ask_and_show(place, Ask::Registry(command), text)
}

fn put(args: &PutArgs) -> ExitCode {
    let token_sha256 = match token_of(args) {
        Ok(token) => token,
        Err(error) => return fail(&error),
    };
    let addresses = Some(args.addresses.clone());
    let command = Command::GatewayPut(GatewayChange {
        gateway: args.name.clone(),
        utility: args.utility,
        token_sha256,
        drop_token: args.no_token,
        certificate_sha256: args.certificate_sha256,
        drop_certificate: args.no_certificate,
        addresses: addresses.filter(|all| args.no_address || !all.is_empty()),
        move_utility: args.move_utility,
    });
    match operator::ask(&args.place, Ask::Registry(command)) {
        Ok(answer) => show_answer(&args.place, &answer, text),
        Err(error) => {
            if let Some(path) = args.token_out.as_deref().filter(|_| is_refused(&error)) {
                // It opens nothing. Where it is not known whether it does, it stays.
                fs::remove_file(path).ok();
            }
            operator::show_error(&args.place, &error)
        }
    }
}

/// Whether it is certain that nothing was registered.
fn is_refused(error: &OperatorError) -> bool {
    match error {
        OperatorError::Trouble(trouble) => trouble.is_refusal(),
        OperatorError::Call(_) | OperatorError::OtherAnswer | OperatorError::Direct(_) => false,
        OperatorError::Config(_)
        | OperatorError::NoData(_)
        | OperatorError::Locked { .. }
        | OperatorError::EmptySpan
        | OperatorError::NoConfig
        | OperatorError::Keys(_) => true,
    }
}

/// The digest of the token that is read or made, if there is to be one.
fn token_of(args: &PutArgs) -> Result<Option<Fingerprint>, TokenError> {
    if let Some(path) = &args.token_out {
        // The token is durable in its file before anybody counts on it.
        refuse_existing(path)?;
        let digits = new_digits(&mut OsRandom)?;
        write_new(path, digits.as_bytes())?;
        return Ok(Some(Fingerprint::of_token(digits.as_bytes())));
    }
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    Ok(token.map(|token| Fingerprint::of_token(&token)))
}

fn read_token(path: &Path) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let failed = |cause| TokenError::Read {
        path: path.to_owned(),
        cause,
    };
    if is_open_to_others(&fs::metadata(path).map_err(failed)?) {
        return Err(TokenError::OpenToOthers(path.to_owned()));
    }
    let octets = secret::read(path).map_err(failed)?;
    match Token::parse(&octets) {
        Ok(_) => Ok(octets),
        Err(cause) => Err(TokenError::NoToken {
            path: path.to_owned(),
            cause,
        }),
    }
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Registry(Reply::GatewayPut { change, gateway }) => {
            let text = lines(std::slice::from_ref(gateway));
            Some(format!("{}\n{text}", word(*change)))
        }
        Answer::Registry(Reply::Gateway { gateway }) => Some(lines(std::slice::from_ref(gateway))),
        Answer::Registry(Reply::Gateways { gateways, next }) => {
            let mut text = lines(gateways);
            if let Some(next) = next {
                text.push_str(&format!("there may be more: --after {next}\n"));
            }
            Some(text)
        }
        _ => None,
    }
}

fn lines(gateways: &[GatewayView]) -> String {
    let row = |one: &GatewayView| {
        let addresses: Vec<String> = one.addresses.iter().map(Cidr::to_string).collect();
        let addresses = Some(addresses.join(" ")).filter(|all| !all.is_empty());
        vec![
            one.gateway.clone(),
            one.utility.to_string(),
            if one.token { "yes" } else { "-" }.to_owned(),
            or_dash(one.certificate_sha256),
            or_dash(addresses),
            one.version.to_string(),
        ]
    };
    let names = [
        "gateway",
        "utility",
        "token",
        "certificate",
        "addresses",
        "version",
    ];
    table(&names, &gateways.iter().map(row).collect::<Vec<_>>())
}
