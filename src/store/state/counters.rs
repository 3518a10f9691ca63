//! Counters of downlinks that were set aside, by meter and key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::keyring::mbus::{CounterKey, KeyId, KeyVersion};
use crate::model::TerminalId;
use crate::wire::mbus::address::Address;

/// A mark as a snapshot has it: meter, number and version of the key, the last counter set aside.
type Mark = (TerminalId, u8, u8, u32);

/// The last counter that was set aside for each key under which something was to be sent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "Vec<Mark>")]
pub struct MeterCounters(BTreeMap<(TerminalId, u8, u8), u32>);

impl From<Vec<Mark>> for MeterCounters {
    fn from(marks: Vec<Mark>) -> Self {
        let marks = marks.into_iter();
        Self(
            marks
                .map(|(meter, id, version, up_to)| ((meter, id, version), up_to))
                .collect(),
        )
    }
}

impl Serialize for MeterCounters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let marks = self.0.iter();
        serializer
            .collect_seq(marks.map(|((meter, id, version), up_to)| (meter, id, version, up_to)))
    }
}

impl MeterCounters {
    /// How many keys have a mark.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that counters up to this one are set aside.
    pub fn note(&mut self, meter: TerminalId, key_id: u8, key_version: u8, up_to: u32) {
        let mark = self.0.entry((meter, key_id, key_version)).or_default();
        *mark = up_to.max(*mark);
    }

    /// All marks, for [`CounterLedger::restored`](crate::keyring::mbus::CounterLedger::restored).
    pub fn marks(&self) -> impl Iterator<Item = (CounterKey, u32)> + '_ {
        self.0.iter().map(|((meter, id, version), up_to)| {
            let key = CounterKey {
                meter: Address::from_link_order(meter.octets()),
                id: KeyId(*id),
                version: KeyVersion(*version),
            };
            (key, *up_to)
        })
    }
}
