//! Typed access to settings, of the file or overridden, with mistakes collected on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{ConfigProblem, Place};

/// What is wrong with a value, and what to do about it.
pub(super) struct Wrong {
    pub(super) wrong: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(wrong: &str, remedy: impl Into<String>) -> Self {
        Self {
            wrong: wrong.to_owned(),
            remedy: remedy.into(),
        }
    }
}

/// A value as it came in.
pub(super) enum Raw<'r> {
    File(&'r DeValue<'r>),
    Variable(&'r OsString),
}

/// A variable that overrides a setting.
struct Override {
    variable: String,
    value: OsString,
    is_used: bool,
}

/// The text, the overrides and the mistakes so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    overrides: BTreeMap<String, Override>,
    found: Vec<ConfigProblem>,
}

/// A table of the file, which may be absent, and the settings that were asked of it.
pub(super) struct Scope<'a, 'i> {
    table: Option<&'a DeTable<'i>>,
    path: String,
    place: Place,
    known: BTreeSet<&'static str>,
}

impl Scope<'_, '_> {
    /// The name of a setting of this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl<'t> Reader<'t> {
    /// A reader of a text with overrides: the path of a setting, the variable and its value.
    pub(super) fn new(
        text: &'t str,
        overrides: impl Iterator<Item = (String, String, OsString)>,
    ) -> Self {
        let overrides = overrides.map(|(path, variable, value)| {
            let entry = Override {
                variable,
                value,
                is_used: false,
            };
            (path, entry)
        });
        Self {
            text,
            overrides: overrides.collect(),
            found: Vec::new(),
        }
    }

    /// The scope of the whole file.
    pub(super) const fn file<'a, 'i>(table: &'a DeTable<'i>) -> Scope<'a, 'i> {
        Scope {
            table: Some(table),
            path: String::new(),
            place: Place::Whole,
            known: BTreeSet::new(),
        }
    }

    /// Notes a mistake.
    pub(super) fn push(&mut self, place: Place, key: String, wrong: Wrong) {
        self.found.push(ConfigProblem {
            place,
            key,
            wrong: wrong.wrong,
            remedy: wrong.remedy,
        });
    }

    /// The line of an offset of the text.
    pub(super) fn line(&self, at: usize) -> Place {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let ends = before.iter().filter(|octet| **octet == b'\n').count();
        Place::Line(ends.saturating_add(1))
    }

    /// Where a setting stands, if it is set at all.
    pub(super) fn place_of(&self, scope: &Scope<'_, '_>, name: &str) -> Place {
        if let Some(found) = self.overrides.get(&scope.key(name)) {
            return Place::Variable(found.variable.clone());
        }
        match scope.table.and_then(|table| table.get(name)) {
            Some(value) => self.line(value.span().start),
            None => scope.place.clone(),
        }
    }

    /// The section of a name; an absent one has all its settings absent.
    pub(super) fn section<'a, 'i>(
        &mut self,
        file: &mut Scope<'a, 'i>,
        name: &'static str,
    ) -> Scope<'a, 'i> {
        file.known.insert(name);
        let value = file.table.and_then(|table| table.get(name));
        let place = value.map_or(Place::Whole, |value| self.line(value.span().start));
        let table = value.and_then(|value| value.get_ref().as_table());
        if value.is_some() && table.is_none() {
            let wrong = Wrong::new("it is no section", format!("write [{name}] on a line"));
            self.push(place.clone(), name.to_owned(), wrong);
        }
        Scope {
            table,
            path: file.key(name),
            place,
            known: BTreeSet::new(),
        }
    }

    /// The tables of a list; those after the first `most` are refused.
    pub(super) fn list<'a, 'i>(
        &mut self,
        file: &mut Scope<'a, 'i>,
        name: &'static str,
        most: usize,
    ) -> Vec<Scope<'a, 'i>> {
        file.known.insert(name);
        let Some(value) = file.table.and_then(|table| table.get(name)) else {
            return Vec::new();
        };
        let Some(items) = tables(value.get_ref().as_array()) else {
            let place = self.line(value.span().start);
            let wrong = Wrong::new("it is no list", format!("write [[{name}]] on a line"));
            self.push(place, name.to_owned(), wrong);
            return Vec::new();
        };
        let mut scopes = Vec::new();
        for (index, (table, at)) in items.into_iter().enumerate() {
            let path = format!("{name}[{index}]");
            if index >= most {
                let wrong = Wrong::new("there are too many", format!("keep at most {most}"));
                self.push(self.line(at), path, wrong);
                break;
            }
            scopes.push(Scope {
                table: Some(table),
                path,
                place: self.line(at),
                known: BTreeSet::new(),
            });
        }
        scopes
    }

    /// A setting that may be left out. A mistake in it is noted, and reads as left out.
    pub(super) fn get<T>(
        &mut self,
        scope: &mut Scope<'_, '_>,
        name: &'static str,
        read: impl FnOnce(&Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        scope.known.insert(name);
        let key = scope.key(name);
        let place = self.place_of(scope, name);
        let result = match self.overrides.get_mut(&key) {
            Some(found) => {
                found.is_used = true;
                read(&Raw::Variable(&found.value))
            }
            None => read(&Raw::File(scope.table?.get(name)?.get_ref())),
        };
        result.map_err(|wrong| self.push(place, key, wrong)).ok()
    }

    /// A setting that has to be there.
    pub(super) fn need<T>(
        &mut self,
        scope: &mut Scope<'_, '_>,
        name: &'static str,
        read: impl FnOnce(&Raw<'_>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let is_there = scope.table.is_some_and(|table| table.contains_key(name));
        if !is_there {
            let wrong = Wrong::new("it is missing", format!("add {name} = … to this table"));
            self.push(scope.place.clone(), scope.key(name), wrong);
        }
        self.get(scope, name, read)
    }

    /// Notes a mistake for each setting of the table that nobody asked for.
    pub(super) fn finish(&mut self, scope: &Scope<'_, '_>) {
        let Some(table) = scope.table else { return };
        let known: Vec<&str> = scope.known.iter().copied().collect();
        for name in table.keys() {
            if scope.known.contains(name.get_ref().as_ref()) {
                continue;
            }
            let place = self.line(name.span().start);
            let remedy = format!("known here: {}", known.join(", "));
            let key = scope.key(name.get_ref());
            self.push(place, key, Wrong::new("there is no such setting", remedy));
        }
    }

    /// The mistakes so far, where the text could not be read and so no override was asked for.
    pub(super) fn into_syntax_problems(mut self) -> Vec<ConfigProblem> {
        self.found.sort();
        self.found
    }

    /// All mistakes, those of overrides that nobody asked for among them.
    pub(super) fn into_problems(mut self) -> Vec<ConfigProblem> {
        let unused = self.overrides.iter().filter(|(_, found)| !found.is_used);
        let unused: Vec<_> = unused
            .map(|(path, found)| (path.clone(), found.variable.clone()))
            .collect();
        for (path, variable) in unused {
            let remedy = "see `kenshin config template`; lists are set in the file only";
            let wrong = Wrong::new("there is no such setting to override", remedy);
            self.push(Place::Variable(variable), path, wrong);
        }
        self.found.sort();
        self.found
    }
}

/// The tables of an array, with where each begins; none if one of its items is no table.
fn tables<'a, 'i>(array: Option<&'a DeArray<'i>>) -> Option<Vec<(&'a DeTable<'i>, usize)>> {
    let table = |item: &'a Spanned<DeValue<'i>>| {
        let table = item.get_ref().as_table()?;
        Some((table, item.span().start))
    };
    array?.iter().map(table).collect()
}
