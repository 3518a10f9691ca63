//! The JSON form of what a terminal says, as `protocol-spec/decode-json.md` has it.
//!
//! Every form is whole: all fields that the record or report carries, in the order of the
//! specification, with codes by their names of `protocol-spec/registries`. Nothing here fails: a
//! value without an encoding has a form too.

mod names;
mod record;
mod values;

use serde_json::{Map, Value};

pub use names::{List, Names, NamesError};
pub use record::record;
pub use values::{report, stamp};

/// Octets in lower-case hexadecimal digits.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 0x0F]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

/// An object whose fields keep the order in which they come.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A field that is left out if there is no value.
    fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
}
