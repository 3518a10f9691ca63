//! Reading the key file of `--keys`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use toml::de::{DeTable, DeValue};

use crate::keyring::LinkKeyring;
use crate::keyring::keys_toml::{self, FieldError, KeysTomlErrors, Problem};

/// The longest key file that is read, in octets.
pub const KEY_FILE_MAX: u64 = 64 * 1024 * 1024;

/// The longest name of an unknown field that is repeated, in characters.
const NAME_MAX: usize = 31;

/// Why a key file cannot be used. No text of the file is repeated, since it may be a key, but for
/// the names of unknown fields that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key file {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// It is longer than [`KEY_FILE_MAX`].
    #[error("the key file {} is longer than 64 MiB", .0.display())]
    TooLong(PathBuf),
    /// It holds octets that are no UTF-8.
    #[error("the key file {} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// Its fields are wrong; all errors, a line each.
    #[error("the key file {} has errors:\n{errors}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, a line each.
        errors: String,
    },
    /// It holds no keys and no terminals.
    #[error(
        "the key file {} is empty: it must hold a [[utility]] with its [[utility.link_master]] and \
         a [[terminal]] for each terminal (protocol-spec/vectors/keys.toml is an example)",
        .0.display()
    )]
    Empty(PathBuf),
}

/// Reads the keys that open frames. Command and key-encryption keys of the file are dropped.
///
/// # Errors
///
/// [`KeyFileError`].
pub fn load(path: &Path) -> Result<LinkKeyring, KeyFileError> {
    let failed = |cause| KeyFileError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut octets = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| {
            file.take(KEY_FILE_MAX.saturating_add(1))
                .read_to_end(&mut octets)
        })
        .map_err(failed)?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > KEY_FILE_MAX) {
        return Err(KeyFileError::TooLong(path.to_owned()));
    }
    let text = str::from_utf8(&octets).map_err(|_| KeyFileError::NotText(path.to_owned()))?;
    match keys_toml::parse(text) {
        Ok(keys) if keys.link == LinkKeyring::default() && keys.command.is_none() => {
            Err(KeyFileError::Empty(path.to_owned()))
        }
        Ok(keys) => Ok(keys.link),
        Err(errors) => Err(KeyFileError::Invalid {
            path: path.to_owned(),
            errors: explain(text, &errors),
        }),
    }
}

/// The errors, a line each, with what else can be said without telling a key.
fn explain(text: &str, errors: &KeysTomlErrors) -> String {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reasons = syntax
        .iter()
        .map(|error| (start_of(error), error.message()));
    let is_syntax = |error: &&FieldError| error.problem == Problem::Syntax;
    let lines: Vec<String> = if errors.0.iter().any(|error| is_syntax(&error)) {
        // The same parser said the same; its messages are made of fixed texts, and what it would
        // show of the file is left out.
        let mut lines: Vec<_> = reasons
            .by_ref()
            .map(|(at, reason)| (line_of(text, at), reason))
            .collect();
        lines.sort_by_key(|(line, _)| *line);
        lines
            .iter()
            .map(|(line, reason)| format!("line {line}: {}: {reason}", Problem::Syntax))
            .collect()
    } else {
        let explained = |error: &FieldError| match unknown_name(text, document.get_ref(), error) {
            Some(name) => format!("{error}: {name}"),
            None => error.to_string(),
        };
        errors.0.iter().map(explained).collect()
    };
    lines.join("\n")
}

/// Where an error of the parser stands in the text.
fn start_of(error: &toml::de::Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// The line, from 1, of an offset.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let ends = before.iter().filter(|octet| **octet == b'\n').count();
    ends.saturating_add(1)
}

/// The name of the unknown field that an error is about, if it is plain which one that is and the
/// name cannot be a key.
fn unknown_name(text: &str, document: &DeTable<'_>, error: &FieldError) -> Option<String> {
    if error.problem != Problem::UnknownField {
        return None;
    }
    let table = table_at(document, &error.field)?;
    let mut here = table
        .keys()
        .filter(|key| line_of(text, key.span().start) == error.line);
    let (only, None) = (here.next()?, here.next()) else {
        return None;
    };
    let name = only.get_ref().as_ref();
    is_no_key(name).then(|| name.to_owned())
}

/// The table of a path such as `utility[0].link_master[1]`; `file` is the whole.
fn table_at<'a, 'i>(document: &'a DeTable<'i>, path: &str) -> Option<&'a DeTable<'i>> {
    let mut table = document;
    for step in path.split('.').filter(|_| path != "file") {
        let (name, index) = step.strip_suffix(']')?.split_once('[')?;
        let array = table.get(name)?.get_ref().as_array()?;
        let index: usize = index.parse().ok()?;
        table = array.get(index).and_then(|item| match item.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        })?;
    }
    Some(table)
}

/// Whether a name looks like that of a field, and not like a key in hexadecimal or base 64.
fn is_no_key(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let digits = name.split(|c: char| !c.is_ascii_hexdigit());
    name.len() <= NAME_MAX
        && name.chars().all(is_plain)
        && digits.map(str::len).max().unwrap_or(0) < 8
}
