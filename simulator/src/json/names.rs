//! Names of codes, from the registries of the specification.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

const ALARMS: &str = include_str!("../../../protocol-spec/registries/alarms.toml");
const COMMANDS: &str = include_str!("../../../protocol-spec/registries/commands.toml");
const UNITS: &str = include_str!("../../../protocol-spec/registries/units.toml");
const VALVES: &str = include_str!("../../../protocol-spec/registries/valve-states.toml");

static NAMES: LazyLock<Result<Names, NamesError>> = LazyLock::new(Names::read);

/// Why there are no names. The registries are part of this program, so it was built wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// A registry is not what a registry is.
    #[error("the registry {registry} that this program was built with cannot be read")]
    Unreadable {
        /// Name of its file, without the ending.
        registry: &'static str,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A code has two names.
    #[error("the registry {registry} that this program was built with names {code} twice")]
    Twice {
        /// Name of its file, without the ending.
        registry: &'static str,
        /// The code.
        code: u8,
    },
}

/// A list of codes and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Alarms.
    Alarm,
    /// Kinds of commands.
    Command,
    /// How commands end.
    Outcome,
    /// Classes of quantities: the upper four bits of a unit.
    Quantity,
    /// States of valves.
    Valve,
}

/// The names of all codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    alarms: Ids,
    commands: Ids,
    outcomes: Ids,
    quantities: Ids,
    valves: Ids,
}

type Ids = HashMap<u8, Box<str>>;

#[derive(Deserialize)]
struct Alarms {
    alarm: Vec<Entry>,
}

#[derive(Deserialize)]
struct Commands {
    command: Vec<Entry>,
    outcome: Vec<Entry>,
}

#[derive(Deserialize)]
struct Units {
    class: Vec<Class>,
}

#[derive(Deserialize)]
struct Valves {
    state: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: u8,
    id: Box<str>,
}

#[derive(Deserialize)]
struct Class {
    class: u8,
    id: Box<str>,
}

impl Names {
    /// The names, read from the registries when they are first asked for.
    ///
    /// # Errors
    /// A registry that this program carries cannot be read.
    pub fn load() -> Result<&'static Self, NamesError> {
        NAMES.as_ref().map_err(Clone::clone)
    }

    fn read() -> Result<Self, NamesError> {
        let alarms: Alarms = parsed("alarms", ALARMS)?;
        let commands: Commands = parsed("commands", COMMANDS)?;
        let units: Units = parsed("units", UNITS)?;
        let valves: Valves = parsed("valve-states", VALVES)?;
        let classes = units.class.into_iter().map(|of| Entry {
            code: of.class,
            id: of.id,
        });
        Ok(Self {
            alarms: ids("alarms", alarms.alarm)?,
            commands: ids("commands", commands.command)?,
            outcomes: ids("commands", commands.outcome)?,
            quantities: ids("units", classes)?,
            valves: ids("valve-states", valves.state)?,
        })
    }

    /// The name of a code; `unknown_<code>` if its list has none.
    #[must_use]
    pub fn id(&self, list: List, code: u8) -> Cow<'_, str> {
        let ids = match list {
            List::Alarm => &self.alarms,
            List::Command => &self.commands,
            List::Outcome => &self.outcomes,
            List::Quantity => &self.quantities,
            List::Valve => &self.valves,
        };
        match ids.get(&code) {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(format!("unknown_{code}")),
        }
    }
}

fn parsed<T: DeserializeOwned>(registry: &'static str, text: &str) -> Result<T, NamesError> {
    toml::from_str(text).map_err(|source| NamesError::Unreadable { registry, source })
}

fn ids(
    registry: &'static str,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<Ids, NamesError> {
    let mut ids = Ids::new();
    for Entry { code, id } in entries {
        if ids.insert(code, id).is_some() {
            return Err(NamesError::Twice { registry, code });
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_their_registries() {
        let names = Names::load().unwrap();
        for (list, code, id) in [
            (List::Alarm, 1, "flow_excess_shutoff"),
            (List::Alarm, 255, "unknown"),
            (List::Alarm, 254, "unknown_254"),
            (List::Command, 0x30, "set_residual_levels"),
            (List::Command, 0, "unknown_0"),
            (List::Outcome, 1, "done"),
            (List::Quantity, 15, "count"),
            (List::Quantity, 12, "unknown_12"),
            (List::Valve, 2, "closed_by_centre"),
            (List::Valve, 10, "unknown_10"),
        ] {
            assert_eq!(names.id(list, code), id);
        }
    }

    #[test]
    fn a_registry_that_is_none_is_told() {
        for text in ["alarm = 1", "[[alarm]]\ncode = 256\nid = \"a\"", "[["] {
            let error = parsed::<Alarms>("alarms", text).err();
            let is_told = matches!(
                error,
                Some(NamesError::Unreadable {
                    registry: "alarms",
                    ..
                })
            );
            assert!(is_told, "{text}");
        }
        let entry = |id: &str| Entry {
            code: 7,
            id: id.into(),
        };
        let twice = NamesError::Twice {
            registry: "alarms",
            code: 7,
        };
        assert_eq!(ids("alarms", [entry("a"), entry("b")]), Err(twice));
    }
}
