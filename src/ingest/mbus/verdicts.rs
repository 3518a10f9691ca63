//! What becomes of telegrams, for whoever counts it.

use super::seams::RefusedTelegram;
use crate::model::telegram::Carriage;
use crate::net::mbus::contract::{Answer, Gateway};
use crate::store::log::ReadError;

/// What became of a telegram, in a word.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It became durable.
    Durable,
    /// A copy of it is durable.
    Duplicate,
    /// A fragment, which waits for the others.
    Part,
    /// There was no room.
    Busy,
    /// It was refused, by the name of the reason.
    Refused(&'static str),
}

impl Verdict {
    /// That of an answer.
    #[must_use]
    pub const fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Durable { is_copy: false } => Self::Durable,
            Answer::Durable { is_copy: true } => Self::Duplicate,
            Answer::Part => Self::Part,
            Answer::Busy => Self::Busy,
            Answer::Refused { id, .. } => Self::Refused(id),
        }
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Duplicate => "duplicate",
            Self::Part => "part",
            Self::Busy => "busy",
            Self::Refused(id) => id,
        }
    }
}

/// Whoever counts what becomes of telegrams. Called for each, from many threads.
pub trait Verdicts: Send + Sync {
    /// A telegram came to this.
    fn came_to(&self, carriage: Carriage, verdict: Verdict);

    /// A telegram of a gateway was refused, beside [`Self::came_to`].
    fn refused(&self, gateway: &Gateway, refused: &RefusedTelegram);

    /// Somebody showed what no gateway is known by.
    fn unknown_gateway(&self, carriage: Carriage);

    /// A part of the log cannot be read in which a telegram was looked for. Told for each.
    fn unreadable(&self, error: &ReadError);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVerdicts;

impl Verdicts for NoVerdicts {
    fn came_to(&self, _: Carriage, _: Verdict) {}

    fn refused(&self, _: &Gateway, _: &RefusedTelegram) {}

    fn unknown_gateway(&self, _: Carriage) {}

    fn unreadable(&self, _: &ReadError) {}
}
