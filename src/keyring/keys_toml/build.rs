//! Builds the rings out of the fields of a key file.

use toml::de::DeTable;

use super::super::command::CommandKeyring;
use super::super::error::AddKeyError;
use super::super::ids::{KeyState, UtilityId};
use super::super::link::LinkKeyring;
use super::super::registration::{Registration, VersionSet};
use super::fields::{Errors, Scope};
use super::{KeysTomlErrors, PlainKeys, Problem};
use crate::crypto::key::{BaseKey, KeyOctets, Master, Purpose};

pub(super) fn build(text: &str) -> Result<PlainKeys, KeysTomlErrors> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut errors = Errors::new(text);
    for error in &syntax {
        // The parser's own message is left out: it may repeat the text, and so a key.
        let at = error.span().map_or(0, |span| span.start);
        errors.push(at, "file".to_owned(), Problem::Syntax);
    }
    let mut rings = Rings {
        link: LinkKeyring::new(),
        command: CommandKeyring::new(),
    };
    // What a damaged text seems to say is not worth errors of its own.
    if syntax.is_empty() {
        let mut file = Scope::new(document.get_ref(), String::new(), 0);
        for utility in file.tables("utility", &mut errors) {
            rings.utility(utility, &mut errors);
        }
        for terminal in file.tables("terminal", &mut errors) {
            rings.terminal(terminal, &mut errors);
        }
        file.finish(&mut errors);
    }
    if errors.found.is_empty() {
        let command = Some(rings.command).filter(|command| !command.has_no_keys());
        Ok(PlainKeys {
            link: rings.link,
            command,
        })
    } else {
        errors.found.sort_by_key(|error| error.line);
        Err(KeysTomlErrors(errors.found))
    }
}

struct Rings {
    link: LinkKeyring,
    command: CommandKeyring,
}

/// A key with its version and state, as it stands in the file.
struct KeyFields {
    version: u8,
    state: KeyState,
    escrowed: bool,
    key: KeyOctets,
}

fn key_fields(
    scope: &mut Scope<'_, '_>,
    has_state: bool,
    errors: &mut Errors<'_>,
) -> Option<KeyFields> {
    let version = scope.version(errors);
    let faults = errors.found.len();
    let state = scope.state(has_state, errors);
    let state_is_wrong = errors.found.len() > faults;
    let escrowed = scope.flag("escrowed", true, errors);
    let key = scope.key(errors);
    if state_is_wrong {
        return None;
    }
    Some(KeyFields {
        version: version?,
        state: state.unwrap_or(KeyState::Active),
        escrowed,
        key: key?,
    })
}

impl Rings {
    fn utility(&mut self, mut scope: Scope<'_, '_>, errors: &mut Errors<'_>) {
        let id = scope.octets_8("id", errors).map(UtilityId::new);
        let name = scope.text("name", errors);
        let is_new = id.is_some_and(|id| self.link.utility_name(id).is_none());
        match (id, is_new) {
            (Some(id), true) => {
                let name = name.unwrap_or_default();
                self.link.add_utility(id, name);
                self.command.add_utility(id, name);
            }
            (Some(_), false) => errors.push(scope.at, scope.field("id"), Problem::Duplicate),
            (None, _) => {}
        }
        for (name, purpose) in [
            ("link_master", Purpose::Link),
            ("command_master", Purpose::Command),
            ("kek_master", Purpose::KeyEncryption),
        ] {
            for mut master in scope.tables(name, errors) {
                let fields = key_fields(&mut master, true, errors);
                let at = (master.at, master.field("version"));
                if let (Some(id), true, Some(fields)) = (id, is_new, fields) {
                    if self.has_master(id, purpose, fields.version) {
                        errors.push(at.0, at.1, Problem::Duplicate);
                    } else {
                        note(self.add_master(id, purpose, fields), at, errors);
                    }
                }
                master.finish(errors);
            }
        }
        scope.finish(errors);
    }

    fn has_master(&self, id: UtilityId, purpose: Purpose, version: u8) -> bool {
        match purpose {
            Purpose::Link => self.link.keys.has_master(id, version),
            Purpose::Command => self.command.command.has_master(id, version),
            Purpose::KeyEncryption => self.command.key_encryption.has_master(id, version),
        }
    }

    fn add_master(
        &mut self,
        id: UtilityId,
        purpose: Purpose,
        fields: KeyFields,
    ) -> Result<(), AddKeyError> {
        let KeyFields {
            version,
            state,
            escrowed,
            key,
        } = fields;
        match purpose {
            Purpose::Link => self
                .link
                .add_master(id, version, state, escrowed, Master::new(key)),
            Purpose::Command => {
                self.command
                    .add_command_master(id, version, state, escrowed, Master::new(key))
            }
            Purpose::KeyEncryption => {
                self.command
                    .add_kek_master(id, version, state, escrowed, Master::new(key))
            }
        }
    }

    fn terminal(&mut self, mut scope: Scope<'_, '_>, errors: &mut Errors<'_>) {
        let identity = scope.octets_8("identity", errors);
        let utility = scope.octets_8("utility", errors).map(UtilityId::new);
        let mode = scope.mode(errors);
        let pending_mode = scope.pending_mode(errors);
        let allow_mode0 = scope.flag("allow_mode0", false, errors);
        let promoted_link_version = scope.version_or_none("promoted_link_version", errors);
        let mut is_registered = false;
        if let (Some(identity), Some(utility), Some(mode)) = (identity, utility, mode) {
            let registration = Registration {
                utility,
                mode,
                pending_mode,
                allow_mode0,
                by_hand: true,
                promoted_link_version,
                readmitted: VersionSet::EMPTY,
            };
            if self.link.terminals.contains_key(&identity) {
                errors.push(scope.at, scope.field("identity"), Problem::Duplicate);
            } else {
                let link = self.link.register(identity, registration);
                let both = link.and_then(|()| self.command.register(identity, utility));
                is_registered = both.is_ok();
                note(both, (scope.at, scope.field("utility")), errors);
            }
        }
        for mut imported in scope.tables("imported", errors) {
            let purpose = imported.purpose(errors);
            let fields = key_fields(&mut imported, false, errors);
            let at = (imported.at, imported.field("version"));
            if let (Some(identity), true, Some(purpose), Some(fields)) =
                (identity, is_registered, purpose, fields)
            {
                if self.has_imported(&identity, purpose, fields.version) {
                    errors.push(at.0, at.1, Problem::Duplicate);
                } else {
                    note(self.import(identity, purpose, fields), at, errors);
                }
            }
            imported.finish(errors);
        }
        scope.finish(errors);
    }

    fn has_imported(&self, identity: &[u8; 8], purpose: Purpose, version: u8) -> bool {
        match purpose {
            Purpose::Link => self.link.keys.has_imported(identity, version),
            Purpose::Command => self.command.command.has_imported(identity, version),
            Purpose::KeyEncryption => self.command.key_encryption.has_imported(identity, version),
        }
    }

    fn import(
        &mut self,
        identity: [u8; 8],
        purpose: Purpose,
        fields: KeyFields,
    ) -> Result<(), AddKeyError> {
        let KeyFields {
            version,
            state,
            escrowed,
            key,
        } = fields;
        match purpose {
            Purpose::Link => {
                self.link
                    .import(identity, version, state, escrowed, BaseKey::import(key))
            }
            Purpose::Command => self.command.import_command(
                identity,
                version,
                state,
                escrowed,
                BaseKey::import(key),
            ),
            Purpose::KeyEncryption => {
                self.command
                    .import_kek(identity, version, state, escrowed, BaseKey::import(key))
            }
        }
    }
}

/// Notes what a ring did not take.
fn note(added: Result<(), AddKeyError>, (at, field): (usize, String), errors: &mut Errors<'_>) {
    let problem = match added {
        Ok(()) => return,
        Err(AddKeyError::UnknownUtility | AddKeyError::UnknownTerminal) => Problem::UnknownUtility,
        Err(AddKeyError::VersionZero) => Problem::NotAVersion,
        Err(AddKeyError::VersionReused) => Problem::Duplicate,
    };
    errors.push(at, field, problem);
}
