//! Why a command was not done.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyring::{KeyState, UtilityId};
use crate::model::event::{ADDRESSES_PER_GATEWAY, EventError};
use crate::model::{Cidr, TerminalId};
use crate::store::log::AppendError;
use crate::store::state::table::TableFull;
use crate::wire::mbus::address::Address;

use super::command::{CUSTOMER_MAX, LIST_MAX, ROWS_PER_IMPORT};
use super::reply::ImportCounts;

/// Rows of an import that are named in a refusal at most; the rest are counted.
pub const ROWS_NAMED_MAX: usize = 1_000;

/// Why a command was not done. Nothing was changed, but for [`Self::BrokenOff`], and for
/// [`Self::Append`] where its cause leaves it in doubt.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No utility has the id.
    #[error("no utility {0} is registered: `kenshin utility put` adds one")]
    UnknownUtility(UtilityId),
    /// A new utility needs a name.
    #[error("the utility {0} is new and needs a name: say --name")]
    NoName(UtilityId),
    /// A name that cannot be shown.
    #[error("a name has 1 to 128 characters and no control characters")]
    Name,
    /// The terminal was never registered.
    #[error("no terminal {0} was ever registered: `kenshin terminal add` registers one")]
    UnknownTerminal(TerminalId),
    /// It is an M-Bus meter that was heard, and no terminal.
    #[error(
        "{0} is the M-Bus meter {meter}, which is not registered and has telegrams alone: \
         `kenshin terminal readings` shows them",
        meter = Address::from_link_order(.0.octets())
    )]
    IsMeter(TerminalId),
    /// The terminal is registered otherwise.
    #[error("{0} is registered already, and otherwise: `kenshin terminal set` changes it")]
    Registered(TerminalId),
    /// The terminal was removed.
    #[error("{0} is registered no longer: `kenshin terminal add` registers it again")]
    NotRegistered(TerminalId),
    /// A value of one terminal is refused.
    #[error(transparent)]
    Row(#[from] RowProblem),
    /// Rows of an import are refused, and so it was not begun.
    #[error("{total} rows are refused, and nothing was imported")]
    Rows {
        /// The first ones, at most 1,000.
        named: Vec<RowRefusal>,
        /// How many there are.
        total: u64,
    },
    /// Too many rows in one request.
    #[error("one request imports at most {ROWS_PER_IMPORT} rows, not {0}")]
    TooManyRows(usize),
    /// A page of a size that is not given.
    #[error("a page has 1 to {LIST_MAX} terminals")]
    Limit,
    /// The ring of this server has no such link master.
    #[error(
        "the link ring that is in use has no version {version} of {utility}: `kenshin key list` \
         shows what it has"
    )]
    UnknownKey {
        /// Whose.
        utility: UtilityId,
        /// The version.
        version: u8,
    },
    /// The version may not come into that state.
    // spec: KEY-8
    #[error(
        "version {version} is {}, and may not become {}: it goes from NEW to ACTIVE, from both to \
         EXPIRED, back from EXPIRED to ACTIVE, and from each to WITHDRAWN for good",
        from.id(), to.id()
    )]
    Transition {
        /// The version.
        version: u8,
        /// Its state.
        from: KeyState,
        /// The one that is wanted.
        to: KeyState,
    },
    /// Terminals may be shut out, and nobody confirmed that.
    #[error(
        "that shuts out terminals that know no later version: {terminals} last verified under \
         version {version}, and {others} other ACTIVE versions are left: say --yes if that is meant"
    )]
    Unconfirmed {
        /// The version.
        version: u8,
        /// Registered terminals whose highest verified version it is.
        terminals: u64,
        /// ACTIVE versions beside it.
        others: usize,
    },
    /// Only a version below the promoted one can be admitted again.
    // spec: ROT-7
    #[error(
        "only a version below the one that last verified ({}) can be admitted again; the others \
         are admitted in any case",
        promoted.map_or_else(|| "none yet".to_owned(), |version| version.to_string())
    )]
    NotRetired {
        /// The highest version that verified.
        promoted: Option<u8>,
    },
    /// A withdrawn version cannot be admitted for one terminal.
    // spec: KEY-8
    #[error("version {0} is WITHDRAWN, and no terminal may use it")]
    Withdrawn(u8),
    /// A name that no gateway has.
    #[error("the name of a gateway is 1 to 32 of a-z, 0-9 and -")]
    GatewayName,
    /// No gateway has the name.
    #[error("no gateway {0:?} is registered: `kenshin gateway put` registers one")]
    UnknownGateway(String),
    /// A new gateway needs a utility.
    #[error("the gateway {0} is new and needs a utility: say --utility")]
    NoGatewayUtility(String),
    /// The gateway is another utility's.
    #[error(
        "{gateway} is registered with {utility}: what it hands over would be another utility's \
         from now on; say --move-utility if that is meant"
    )]
    GatewayUtility {
        /// Which.
        gateway: String,
        /// Its utility.
        utility: UtilityId,
    },
    /// Nobody could tell who it is.
    #[error("{0} needs a token, a certificate or an address by which it is known")]
    NothingShown(String),
    /// Too many ranges of addresses.
    #[error("a gateway has at most {ADDRESSES_PER_GATEWAY} ranges of addresses, not {0}")]
    TooManyAddresses(usize),
    /// Another gateway has the token.
    #[error("{0} has this token: each gateway has its own")]
    TokenTaken(String),
    /// Another gateway has the certificate.
    #[error("{0} has this certificate: each gateway has its own")]
    CertificateTaken(String),
    /// Another gateway sends from some of the addresses.
    #[error("{range} and {theirs} of {gateway} have addresses in common")]
    AddressTaken {
        /// The range that is wanted.
        range: Cidr,
        /// The other gateway's.
        theirs: Cidr,
        /// Which gateway that is.
        gateway: String,
    },
    /// No place for another gateway.
    #[error("65,536 gateways are registered, and there is no place for another")]
    GatewaysFull,
    /// The log did not take a change.
    #[error("{outcome}: {0}", outcome = .0.outcome())]
    Append(#[source] AppendError),
    /// The change has no form: a bug.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The log took a part of an import only.
    #[error(
        "the import was broken off: at least {} terminals were added and {} changed, durably. \
         Import the same file again to go on: {cause}",
        done.added, done.changed
    )]
    BrokenOff {
        /// What was done.
        done: ImportCounts,
        /// Why no more.
        #[source]
        cause: AppendError,
    },
    /// No place for another terminal.
    #[error(transparent)]
    Full(#[from] TableFull),
}

impl Refusal {
    /// What kind of refusal it is: `unconfirmed`, `rows`, `unavailable` for the log, or `refused`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Rows { .. } => "rows",
            Self::Append(_) | Self::Event(_) | Self::BrokenOff { .. } => "unavailable",
            _ => "refused",
        }
    }
}

/// A row that is refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RowRefusal {
    /// The line of the file, counted from 1; 0 if it is of no file.
    pub line: u32,
    /// The column that is wrong; none for the whole line.
    pub column: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl RowRefusal {
    /// The refusal of a row.
    #[must_use]
    pub fn of(line: u32, problem: &RowProblem) -> Self {
        Self {
            line,
            column: problem.column().map(str::to_owned),
            message: problem.to_string(),
        }
    }
}

impl fmt::Display for RowRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        match column {
            Some(column) => write!(f, "line {line}, {column}: {message}"),
            None => write!(f, "line {line}: {message}"),
        }
    }
}

/// What is wrong with a terminal that is to be registered, in view of what is known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RowProblem {
    /// The identity of zeros.
    #[error("the identity 0000000000000000 stands for no terminal")]
    Zero,
    /// It stands there twice.
    #[error("{terminal} stands in line {first} already")]
    Twice {
        /// Which.
        terminal: TerminalId,
        /// Where it stands first.
        first: u32,
    },
    /// No utility has the id.
    #[error("no utility {0} is registered: `kenshin utility put` adds one")]
    UnknownUtility(UtilityId),
    /// It is, or was, another utility's.
    // spec: ID-5
    #[error(
        "{terminal} is registered with {utility}, or was: a terminal changes its utility on site, \
         with new keys; say --move-utility if that was done"
    )]
    OtherUtility {
        /// Which terminal.
        terminal: TerminalId,
        /// Its utility.
        utility: UtilityId,
    },
    /// A mode that does not exist.
    #[error("a mode is 0, 1, 2 or 3")]
    Mode,
    /// The utility does not allow mode 0.
    // spec: SEC-3
    #[error("the utility does not allow mode 0: `kenshin utility put --allow-mode0 true` does")]
    Mode0Utility,
    /// The server does not allow mode 0.
    // spec: SEC-3
    #[error("keys.allow_mode0 of the configuration does not allow mode 0")]
    Mode0Server,
    /// Mode 3 with keys of 16 octets.
    // spec: KEY-5
    #[error("mode 3 needs a link key of 32 octets, and those of this terminal have 16")]
    KeyTooShort,
    /// A customer number that is none.
    #[error(
        "a customer number has 1 to {CUSTOMER_MAX} printable characters of ASCII, without spaces \
         at its ends"
    )]
    Customer,
}

impl RowProblem {
    /// The column that is wrong.
    #[must_use]
    pub const fn column(&self) -> Option<&'static str> {
        Some(match self {
            Self::Zero | Self::Twice { .. } => "terminal",
            Self::UnknownUtility(_) | Self::OtherUtility { .. } => "utility",
            Self::Mode | Self::Mode0Utility | Self::Mode0Server | Self::KeyTooShort => "mode",
            Self::Customer => "customer",
        })
    }
}
