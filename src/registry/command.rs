//! What an operator asks of the registry, as the admin socket carries it.

use serde::{Deserialize, Serialize};

use crate::keyring::{KeyState, UtilityId};
use crate::model::{Cidr, Fingerprint, TerminalId};

/// Terminals in one answer to [`Command::TerminalList`] at most.
pub const LIST_MAX: u32 = 1_000;
/// Rows of one [`Command::TerminalImport`] at most: with the longest of them, a request stays
/// below 2 MiB.
pub const ROWS_PER_IMPORT: usize = 10_000;

/// What is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Adds a utility, or gives one another name or policy. What is left out stays.
    UtilityPut {
        /// Which.
        utility: UtilityId,
        /// Its name, for people. A new utility needs one.
        #[serde(default)]
        name: Option<String>,
        /// Whether its terminals may be registered in mode 0; not, for a new one.
        // spec: SEC-3
        #[serde(default)]
        allow_mode0: Option<bool>,
    },
    /// All utilities.
    UtilityList,
    /// One utility.
    UtilityShow {
        /// Which.
        utility: UtilityId,
    },
    /// Lets guarded commands of a utility go again after a sign of rollback.
    // spec: ROL-1
    UtilityReleaseCommands {
        /// Which.
        utility: UtilityId,
    },
    /// Registers a terminal that is not registered.
    TerminalAdd {
        /// The terminal.
        row: Row,
        /// Whether it may have been another utility's before.
        // spec: ID-5
        #[serde(default)]
        move_utility: bool,
    },
    /// Changes the registration of a terminal. What is left out stays.
    TerminalSet {
        /// Which.
        terminal: TerminalId,
        /// Another utility; needs `move_utility`.
        #[serde(default)]
        utility: Option<UtilityId>,
        /// Another pinned mode, 0 to 3.
        #[serde(default)]
        mode: Option<u8>,
        /// Another customer number; an empty one takes it away.
        #[serde(default)]
        customer: Option<String>,
        /// Whether the terminal may change its utility.
        // spec: ID-5
        #[serde(default)]
        move_utility: bool,
    },
    /// Ends the registration of a terminal. Its records and counters stay.
    TerminalRemove {
        /// Which.
        terminal: TerminalId,
    },
    /// All that is known of a terminal without its records.
    TerminalShow {
        /// Which.
        terminal: TerminalId,
    },
    /// Registered terminals in the order of their identities.
    TerminalList {
        /// The one utility whose terminals are wanted; none for all.
        #[serde(default)]
        utility: Option<UtilityId>,
        /// Only those after this one.
        #[serde(default)]
        after: Option<TerminalId>,
        /// How many, 1 to [`LIST_MAX`].
        limit: u32,
    },
    /// Registers terminals, or changes their registration: all of the rows or none.
    TerminalImport {
        /// At most [`ROWS_PER_IMPORT`], no terminal twice.
        rows: Vec<Row>,
        /// Only says what would be done.
        #[serde(default)]
        dry_run: bool,
        /// Whether terminals may change their utility.
        // spec: ID-5
        #[serde(default)]
        move_utility: bool,
    },
    /// Gives a version of a utility's link master another state.
    // spec: KEY-8
    KeyState {
        /// Whose.
        utility: UtilityId,
        /// The version, 1 to 255.
        version: u8,
        /// The new state.
        state: KeyState,
        /// Whether the operator means it, where terminals may be shut out by it.
        #[serde(default)]
        confirmed: bool,
    },
    /// Admits a lower link key version of a terminal again, until the next promotion.
    // spec: ROT-7
    KeyReadmit {
        /// Which terminal.
        terminal: TerminalId,
        /// The version, 1 to 255.
        version: u8,
    },
    /// Registers a gateway, or changes its registration. What is left out stays.
    GatewayPut(GatewayChange),
    /// Ends the registration of a gateway.
    GatewayRemove {
        /// Which.
        gateway: String,
    },
    /// One gateway.
    GatewayShow {
        /// Which.
        gateway: String,
    },
    /// Gateways in the order of their names.
    GatewayList {
        /// The one utility whose gateways are wanted; none for all.
        #[serde(default)]
        utility: Option<UtilityId>,
        /// Only those after this one.
        #[serde(default)]
        after: Option<String>,
        /// How many, 1 to [`LIST_MAX`].
        limit: u32,
    },
    /// The versions of link masters with their states.
    KeyList {
        /// Of one utility; none for all.
        #[serde(default)]
        utility: Option<UtilityId>,
    },
}

impl Command {
    /// Whether it changes nothing.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::UtilityList
                | Self::UtilityShow { .. }
                | Self::TerminalShow { .. }
                | Self::TerminalList { .. }
                | Self::TerminalImport { dry_run: true, .. }
                | Self::GatewayShow { .. }
                | Self::GatewayList { .. }
                | Self::KeyList { .. }
        )
    }
}

/// A gateway as it is to be registered. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayChange {
    /// Its name: 1 to 32 of a-z, 0-9 and -.
    pub gateway: String,
    /// The utility whose meters it hears. A new gateway needs one.
    #[serde(default)]
    pub utility: Option<UtilityId>,
    /// The digest of another token.
    #[serde(default)]
    pub token_sha256: Option<Fingerprint>,
    /// Whether its token is taken away.
    #[serde(default)]
    pub drop_token: bool,
    /// The digest of another certificate.
    #[serde(default)]
    pub certificate_sha256: Option<Fingerprint>,
    /// Whether its certificate is taken away.
    #[serde(default)]
    pub drop_certificate: bool,
    /// All ranges of addresses from which it sends, in place of those before; none takes them away.
    #[serde(default)]
    pub addresses: Option<Vec<Cidr>>,
    /// Whether the gateway may change its utility.
    #[serde(default)]
    pub move_utility: bool,
}

/// A terminal as it is to be registered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The line of the file that it stands in, counted from 1; 0 if it is of no file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub line: u32,
    /// Its identity.
    pub terminal: TerminalId,
    /// Its utility.
    pub utility: UtilityId,
    /// The pinned security mode, 0 to 3.
    pub mode: u8,
    /// Its opaque customer number, 1 to 64 printable characters of ASCII; no name, no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(line: &u32) -> bool {
    *line == 0
}

/// Characters of a customer number at most.
pub(super) const CUSTOMER_MAX: usize = 64;

/// Whether a text can be a customer number.
#[must_use]
pub(super) fn is_customer(text: &str) -> bool {
    let is_printable = |octet: u8| octet == b' ' || octet.is_ascii_graphic();
    let len = text.len();
    (1..=CUSTOMER_MAX).contains(&len) && text.bytes().all(is_printable) && text.trim() == text
}
