//! What is wrong with a configuration.

use std::fmt;

/// Where a mistake stands.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// A variable of the environment, by its name.
    Variable(String),
    /// What is wrong is left out, or follows from several settings.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[error("{place}: {key}: {wrong}; {remedy}")]
pub struct ConfigProblem {
    /// Where it stands.
    pub place: Place,
    /// The setting, such as `listen.udp` or `sink[0].dir`; `file` for the text as a whole.
    pub key: String,
    /// What is wrong. Values of the file are not repeated.
    pub wrong: String,
    /// What to do about it.
    pub remedy: String,
}

/// All mistakes of a configuration, in the order of their lines. There is at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.0 {
            write!(f, "{separator}{problem}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
