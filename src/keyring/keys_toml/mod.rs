//! Keys in plain text: the file of `kenshin decode --keys` and of tests.
//!
//! ```toml
//! [[utility]]
//! id = "a1b2c3d4e5f60718"           # 8 octets
//! name = "Example Gas A"
//! [[utility.link_master]]           # also command_master, kek_master
//! version = 1                       # 1 to 255
//! state = "ACTIVE"                  # NEW, ACTIVE, EXPIRED, WITHDRAWN
//! key = "…"                         # 16 or 32 octets
//! escrowed = true                   # may be left out
//!
//! [[terminal]]
//! identity = "00000002dfdc1c35"     # maker u16, serial u48
//! utility = "a1b2c3d4e5f60718"
//! mode = 1                          # the pinned one, 0 to 3
//! pending_mode = 2                  # 1 to 3, may be left out
//! allow_mode0 = false               # may be left out
//! promoted_link_version = 2         # may be left out
//! [[terminal.imported]]
//! purpose = "link"                  # link, command, kek
//! version = 7
//! state = "ACTIVE"                  # may be left out
//! key = "…"
//! ```
//!
//! Only tests, tools that show recorded frames, and `kenshin key seal` may read such a file: it can
//! hold link and command masters together, which no server and no signer may (KEY-10).
//!
//! All errors of a text are found in one pass. An error names line and field, and never repeats
//! anything that stands in the file, since that may be a key.

mod build;
mod fields;
#[cfg(test)]
mod tests;

use std::fmt;

use super::command::CommandKeyring;
use super::link::LinkKeyring;

/// The rings of a plain key file.
#[derive(Debug, Eq, PartialEq)]
pub struct PlainKeys {
    /// Link masters, imported link keys and terminals.
    pub link: LinkKeyring,
    /// Command and key-encryption masters and imported keys, if the file has any.
    pub command: Option<CommandKeyring>,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The text is not TOML here.
    #[error("not valid TOML")]
    Syntax,
    /// The field is missing.
    #[error("the field is missing")]
    Missing,
    /// A field here is not known.
    #[error("a field here is not known")]
    UnknownField,
    /// The field has another type.
    #[error("{0} is wanted here")]
    WrongType(&'static str),
    /// Not 8 octets as 16 hexadecimal digits.
    #[error("16 hexadecimal digits are wanted here")]
    NotEightOctets,
    /// Not a key of 16 or 32 octets in hexadecimal digits.
    #[error("32 or 64 hexadecimal digits are wanted here")]
    NotAKey,
    /// Not a name of a state.
    #[error("NEW, ACTIVE, EXPIRED or WITHDRAWN is wanted here")]
    NotAState,
    /// Not a name of a purpose.
    #[error("link, command or kek is wanted here")]
    NotAPurpose,
    /// A mode is 0 to 3.
    #[error("a mode is 0 to 3")]
    NotAMode,
    /// A change goes to mode 1 to 3.
    #[error("a pending mode is 1 to 3")]
    NotAPendingMode,
    /// A key version is 1 to 255.
    #[error("a key version is 1 to 255")]
    NotAVersion,
    /// The utility or terminal, or this version of this key, stands in the file already.
    #[error("it stands in the file already")]
    Duplicate,
    /// The utility is not in the file.
    #[error("the utility is not in the file")]
    UnknownUtility,
}

/// One error of a key file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {field}: {problem}")]
pub struct FieldError {
    /// The line, from 1.
    pub line: usize,
    /// The field, such as `utility[0].link_master[1].key`, made of known names only.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
}

/// All errors of a key file, in the order of their lines. There is at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysTomlErrors(pub Vec<FieldError>);

impl fmt::Display for KeysTomlErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for error in &self.0 {
            write!(f, "{separator}{error}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for KeysTomlErrors {}

/// Reads a plain key file.
///
/// # Errors
///
/// [`KeysTomlErrors`], all of them.
pub fn parse(text: &str) -> Result<PlainKeys, KeysTomlErrors> {
    build::build(text)
}
