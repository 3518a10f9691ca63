//! What a sealed ring holds, as text and as JSON.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::keyring::sealed::{KeySummary, Origin, Summary};

/// Lines for people.
#[must_use]
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let role = summary.role.id();
    let (utilities, terminals) = (summary.utilities.len(), summary.terminals());
    put(
        &mut out,
        format_args!("{role} ring, utilities: {utilities}, terminals: {terminals}\n"),
    );
    for utility in &summary.utilities {
        // As a literal: a name may hold what would steer a terminal.
        let (id, name, terminals) = (utility.id, &utility.name, utility.terminals);
        put(
            &mut out,
            format_args!("utility {id} {name:?}, terminals: {terminals}\n"),
        );
        for key in &utility.keys {
            put_key(&mut out, key);
        }
    }
    out
}

fn put_key(out: &mut String, key: &KeySummary) {
    let (purpose, version, state) = (key.purpose.id(), key.version, key.state.id());
    put(
        out,
        format_args!("  {purpose:7} version {version:3}  {state}"),
    );
    if let Origin::Imported { terminals } = key.origin {
        put(out, format_args!(", imported for terminals: {terminals}"));
    }
    if !key.escrowed {
        out.push_str(", not escrowed and so not used");
    }
    out.push('\n');
}

/// One JSON object.
#[must_use]
pub fn json(summary: &Summary) -> Value {
    let utilities = summary.utilities.iter().map(|utility| {
        json!({
            "id": utility.id.to_string(),
            "name": utility.name,
            "terminals": utility.terminals,
            "keys": utility.keys.iter().map(key_json).collect::<Vec<_>>(),
        })
    });
    json!({
        "role": summary.role.id(),
        "terminals": summary.terminals(),
        "utilities": utilities.collect::<Vec<_>>(),
    })
}

fn key_json(key: &KeySummary) -> Value {
    let mut value = json!({
        "purpose": key.purpose.id(),
        "version": key.version,
        "state": key.state.id(),
        "escrowed": key.escrowed,
        "origin": "master",
    });
    if let (Origin::Imported { terminals }, Some(fields)) = (key.origin, value.as_object_mut()) {
        fields.insert("origin".to_owned(), "imported".into());
        fields.insert("terminals".to_owned(), terminals.into());
    }
    value
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // A String takes everything.
    out.write_fmt(text).ok();
}
