//! Typed access to the fields of a key file, with errors collected on the way.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::hex;
use super::super::ids::KeyState;
use super::{FieldError, Problem};
use crate::crypto::key::{KeyOctets, Purpose};
use crate::wire::otl::ident::Mode;

/// All errors so far.
pub(super) struct Errors<'t> {
    text: &'t str,
    pub(super) found: Vec<FieldError>,
}

impl<'t> Errors<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// Notes an error at an offset of the text.
    pub(super) fn push(&mut self, at: usize, field: String, problem: Problem) {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before
            .iter()
            .filter(|octet| **octet == b'\n')
            .count()
            .saturating_add(1);
        self.found.push(FieldError {
            line,
            field,
            problem,
        });
    }
}

/// A table of the file, with where it stands and which of its fields were asked for.
pub(super) struct Scope<'a, 'i> {
    table: &'a DeTable<'i>,
    path: String,
    pub(super) at: usize,
    known: BTreeSet<&'static str>,
}

impl<'a, 'i> Scope<'a, 'i> {
    pub(super) const fn new(table: &'a DeTable<'i>, path: String, at: usize) -> Self {
        Self {
            table,
            path,
            at,
            known: BTreeSet::new(),
        }
    }

    /// The name of a field of this table.
    pub(super) fn field(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn find(&mut self, name: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.insert(name);
        self.table.get(name)
    }

    /// Notes an error for each field that nobody asked for. Its name is not repeated: it may be a
    /// key.
    pub(super) fn finish(self, errors: &mut Errors<'_>) {
        let unknown = self
            .table
            .keys()
            .filter(|key| !self.known.contains(key.get_ref().as_ref()));
        for key in unknown {
            let path = if self.path.is_empty() {
                "file".to_owned()
            } else {
                self.path.clone()
            };
            errors.push(key.span().start, path, Problem::UnknownField);
        }
    }

    /// The tables of an array of tables; none if it is left out.
    pub(super) fn tables(&mut self, name: &'static str, errors: &mut Errors<'_>) -> Vec<Self> {
        let Some(value) = self.find(name) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            errors.push(
                value.span().start,
                self.field(name),
                Problem::WrongType("an array of tables"),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let path = format!("{}[{index}]", self.field(name));
            match item.get_ref().as_table() {
                Some(table) => tables.push(Scope::new(table, path, item.span().start)),
                None => errors.push(item.span().start, path, Problem::WrongType("a table")),
            }
        }
        tables
    }

    /// A field that has to be there.
    fn need<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors<'_>,
        read: impl FnOnce(&'a DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<T> {
        if self.find(name).is_none() {
            errors.push(self.at, self.field(name), Problem::Missing);
        }
        self.may(name, errors, read)
    }

    /// A field that may be left out.
    fn may<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors<'_>,
        read: impl FnOnce(&'a DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<T> {
        let value = self.find(name)?;
        read(value.get_ref())
            .map_err(|problem| errors.push(value.span().start, self.field(name), problem))
            .ok()
    }

    pub(super) fn text(&mut self, name: &'static str, errors: &mut Errors<'_>) -> Option<&'a str> {
        self.need(name, errors, text)
    }

    pub(super) fn octets_8(
        &mut self,
        name: &'static str,
        errors: &mut Errors<'_>,
    ) -> Option<[u8; 8]> {
        self.need(name, errors, |value| {
            hex::read_8(text(value)?).ok_or(Problem::NotEightOctets)
        })
    }

    pub(super) fn key(&mut self, errors: &mut Errors<'_>) -> Option<KeyOctets> {
        self.need("key", errors, |value| {
            let (octets, used) = hex::read(text(value)?.as_bytes()).ok_or(Problem::NotAKey)?;
            let octets = octets.get(..used).ok_or(Problem::NotAKey)?;
            KeyOctets::from_slice(octets).map_err(|_| Problem::NotAKey)
        })
    }

    pub(super) fn purpose(&mut self, errors: &mut Errors<'_>) -> Option<Purpose> {
        self.need("purpose", errors, |value| {
            Purpose::from_id(text(value)?).ok_or(Problem::NotAPurpose)
        })
    }

    pub(super) fn version(&mut self, errors: &mut Errors<'_>) -> Option<u8> {
        self.need("version", errors, version)
    }

    pub(super) fn version_or_none(
        &mut self,
        name: &'static str,
        errors: &mut Errors<'_>,
    ) -> Option<u8> {
        self.may(name, errors, version)
    }

    pub(super) fn mode(&mut self, errors: &mut Errors<'_>) -> Option<Mode> {
        self.need("mode", errors, mode)
    }

    /// The mode of a pending change; never mode 0.
    // spec: ROT-12
    pub(super) fn pending_mode(&mut self, errors: &mut Errors<'_>) -> Option<Mode> {
        self.may("pending_mode", errors, |value| {
            small_number(value)?
                .and_then(Mode::from_number)
                .filter(|mode| *mode != Mode::Clear)
                .ok_or(Problem::NotAPendingMode)
        })
    }

    /// The state; in an imported key it may be left out.
    pub(super) fn state(&mut self, is_needed: bool, errors: &mut Errors<'_>) -> Option<KeyState> {
        let read = |value| KeyState::from_id(text(value)?).ok_or(Problem::NotAState);
        if is_needed {
            self.need("state", errors, read)
        } else {
            self.may("state", errors, read)
        }
    }

    pub(super) fn flag(
        &mut self,
        name: &'static str,
        default: bool,
        errors: &mut Errors<'_>,
    ) -> bool {
        let wrong_type = Problem::WrongType("true or false");
        self.may(name, errors, |value| value.as_bool().ok_or(wrong_type))
            .unwrap_or(default)
    }
}

fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Problem> {
    value.as_str().ok_or(Problem::WrongType("a text"))
}

fn small_number(value: &DeValue<'_>) -> Result<Option<u8>, Problem> {
    let integer = value
        .as_integer()
        .ok_or(Problem::WrongType("a whole number"))?;
    Ok(u8::from_str_radix(integer.as_str(), integer.radix()).ok())
}

fn version(value: &DeValue<'_>) -> Result<u8, Problem> {
    small_number(value)?
        .filter(|version| *version != 0)
        .ok_or(Problem::NotAVersion)
}

fn mode(value: &DeValue<'_>) -> Result<Mode, Problem> {
    small_number(value)?
        .and_then(Mode::from_number)
        .ok_or(Problem::NotAMode)
}
