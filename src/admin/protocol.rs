//! The lines of the admin socket.
//!
//! ```text
//! {"v":1,"ask":{"registry":{"do":"utility_list"}}}
//! {"v":1,"ok":{"registry":{"did":"utilities","utilities":[]}}}
//! {"v":1,"ask":{"call":{"terminal":"00070000499602d2"}}}
//! {"v":1,"error":{"kind":"refused","message":"…"}}
//! ```
//!
//! A connection may ask several times, one after the other. After a line that cannot be read, is
//! too long or of another version, the server says so and closes.

use serde::{Deserialize, Serialize};

use crate::forward::command as sinks;
use crate::model::TerminalId;
use crate::registry::{self, Refusal, RowRefusal};

use super::query;

/// The version of the lines.
pub const VERSION: u64 = 1;
/// Octets of a line with a question at most.
pub const ASK_MAX_OCTETS: usize = 4 << 20;
/// Octets of a line with an answer at most.
pub const ANSWER_MAX_OCTETS: usize = 16 << 20;

/// What is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Of the registry.
    Registry(registry::Command),
    /// Of the sinks.
    Sink(sinks::Command),
    /// Of records, and of what is folded out of them.
    Query(query::Question),
    /// To call a terminal.
    Call {
        /// Which.
        terminal: TerminalId,
    },
}

impl Ask {
    /// Whether no data folder is to be made for it.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
        match self {
            Self::Registry(command) => command.only_reads(),
            Self::Sink(command) => matches!(command, sinks::Command::List),
            // Without a server nothing comes of a call, and no data folder is made for it.
            Self::Query(_) | Self::Call { .. } => true,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of the registry.
    Registry(registry::Reply),
    /// Of the sinks.
    Sink(sinks::Reply),
    /// Of records, and of what is folded out of them.
    Query(query::Reply),
    /// A terminal is called, if a way to it is known.
    Called {
        /// Which.
        terminal: TerminalId,
    },
}

/// Why nothing, or not all, became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// `refused`, `unconfirmed` or `rows` if what is asked is at fault; `unavailable` if the log
    /// is; `protocol`, `version`, `too_long` or `busy` if the connection is.
    pub kind: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Rows that are refused, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowRefusal>,
    /// How many rows are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_total: Option<u64>,
}

impl Trouble {
    /// Trouble of a kind.
    #[must_use]
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            rows: Vec::new(),
            rows_total: None,
        }
    }

    /// Whether what is asked is at fault, and not the server or the way to it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(&*self.kind, "refused" | "unconfirmed" | "rows")
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let mut trouble = Self::new(refusal.kind(), refusal.to_string());
        if let Refusal::Rows { named, total } = refusal {
            trouble.rows = named;
            trouble.rows_total = Some(total);
        }
        trouble
    }
}

impl From<sinks::CommandError> for Trouble {
    fn from(error: sinks::CommandError) -> Self {
        use crate::forward::SinkError;
        let kind = match &error {
            sinks::CommandError::Unconfirmed(_) => "unconfirmed",
            sinks::CommandError::Sink(SinkError::Append(_) | SinkError::Event(_)) => "unavailable",
            sinks::CommandError::Sink(_) => "refused",
        };
        Self::new(kind, error.to_string())
    }
}

/// A line with a question.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AskLine {
    /// [`VERSION`].
    pub v: u64,
    /// What is asked.
    pub ask: Ask,
}

/// A line with an answer: one of both.
#[derive(Debug, Deserialize, Serialize)]
pub struct AnswerLine {
    /// [`VERSION`].
    pub v: u64,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Answer>,
    /// Why nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

impl AnswerLine {
    /// The line of an outcome.
    #[must_use]
    pub fn of(outcome: Result<Answer, Trouble>) -> Self {
        let (ok, error) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(trouble) => (None, Some(trouble)),
        };
        Self {
            v: VERSION,
            ok,
            error,
        }
    }
}

/// Reads a question.
///
/// # Errors
///
/// [`Trouble`] of kind `version` or `protocol`.
pub fn read_ask(line: &[u8]) -> Result<Ask, Trouble> {
    /// The version stands in every line of every version.
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let broken = |error: serde_json::Error| {
        Trouble::new("protocol", format!("the line cannot be read: {error}"))
    };
    let Versioned { v } = serde_json::from_slice(line).map_err(broken)?;
    if v != VERSION {
        let message = format!(
            "the line has version {v}, and this server speaks version {VERSION}: use the program \
             of the version that serves"
        );
        return Err(Trouble::new("version", message));
    }
    let line: AskLine = serde_json::from_slice(line).map_err(broken)?;
    Ok(line.ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_they_are_documented() {
        let ask = read_ask(br#"{"v":1,"ask":{"registry":{"do":"utility_list"}}}"#).unwrap();
        assert_eq!(ask, Ask::Registry(registry::Command::UtilityList));
        assert!(ask.only_reads());
        let skip =
            br#"{"v":1,"ask":{"sink":{"sink":"skip","name":"a","to":null,"confirmed":true}}}"#;
        assert!(!read_ask(skip).unwrap().only_reads());
        let call = br#"{"v":1,"ask":{"call":{"terminal":"00070000499602d2"}}}"#;
        let terminal = "00070000499602d2".parse().unwrap();
        assert_eq!(read_ask(call).unwrap(), Ask::Call { terminal });
        let reply = registry::Reply::Utilities {
            utilities: Vec::new(),
        };
        let line = AnswerLine::of(Ok(Answer::Registry(reply)));
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"v":1,"ok":{"registry":{"did":"utilities","utilities":[]}}}"#
        );
    }

    #[test]
    fn another_version_is_refused_by_name_and_garbage_as_such() {
        let other = read_ask(br#"{"v":2,"question":1}"#).unwrap_err();
        assert_eq!(other.kind, "version");
        assert!(other.message.contains("version 2"), "{other}");
        for wrong in [
            &b""[..],
            b"x",
            b"{}",
            br#"{"v":1}"#,
            br#"{"v":1,"ask":{"x":1}}"#,
        ] {
            assert_eq!(read_ask(wrong).unwrap_err().kind, "protocol");
        }
    }
}
