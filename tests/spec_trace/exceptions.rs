//! The clauses that are not followed or not tested yet, with the reason.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::clauses::Clause;
use super::{Cited, source};

/// The file of the exceptions. It need not exist.
pub(crate) const FILE: &str = "protocol-spec/exceptions.toml";

/// What a clause lacks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    Code,
    Test,
    Both,
}

impl Missing {
    /// The sides that are waived.
    pub(crate) fn as_cited(self) -> Cited {
        Cited {
            code: self != Self::Test,
            test: self != Self::Code,
        }
    }
}

/// One entry of the file.
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    pub(crate) clause: String,
    pub(crate) missing: Missing,
    pub(crate) reason: String,
}

impl Exception {
    /// Why this exception should not be there as it is, if so.
    pub(crate) fn problem(
        &self,
        required: &BTreeMap<&str, &Clause>,
        cited: &BTreeMap<&str, Cited>,
    ) -> Option<String> {
        let clause = self.clause.as_str();
        let waived = self.missing.as_cited();
        let what = match cited.get(clause) {
            None => "which no clause is called".to_owned(),
            Some(_) if !required.contains_key(clause) => "which has no MUST".to_owned(),
            Some(_) if self.reason.trim().is_empty() => "without a reason".to_owned(),
            Some(has) if has.code && waived.code => "which code cites after all".to_owned(),
            Some(has) if has.test && waived.test => "which a test cites after all".to_owned(),
            Some(_) => return None,
        };
        Some(format!("{FILE}: excepts {clause}, {what}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// The exceptions of the repository.
pub(crate) fn read() -> (Vec<Exception>, Vec<String>) {
    match std::fs::read_to_string(source::root().join(FILE)) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), Vec::new()),
        Err(error) => (Vec::new(), vec![format!("{FILE}: {error}")]),
    }
}

fn parse(text: &str) -> (Vec<Exception>, Vec<String>) {
    match toml::from_str::<File>(text) {
        Ok(file) => (file.exception, Vec::new()),
        Err(error) => (Vec::new(), vec![format!("{FILE}: {error}")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read() {
        let text = "[[exception]]\nclause = \"AA-1\"\nmissing = \"both\"\nreason = \"x\"\n";
        let (found, problems) = parse(text);
        let expected = Exception {
            clause: "AA-1".to_owned(),
            missing: Missing::Both,
            reason: "x".to_owned(),
        };
        assert_eq!(found, [expected]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(parse(""), (Vec::new(), Vec::new()));
    }

    #[test]
    fn malformed_exceptions_are_reported() {
        assert_eq!(parse("[[exception]]\nclause = \"AA-1\"\n").1.len(), 1);
        let text = "[[exception]]\nclause = \"A\"\nmissing = \"none\"\nreason = \"x\"\n";
        assert_eq!(parse(text).1.len(), 1);
        assert_eq!(parse("[exceptions]\n").1.len(), 1);
    }

    #[test]
    fn an_exception_without_a_reason_is_reported() {
        let clause = Clause {
            id: "AA-1".to_owned(),
            path: "a.md".to_owned(),
            line: 1,
            text: "A MUST b.".to_owned(),
        };
        let exception = Exception {
            clause: "AA-1".to_owned(),
            missing: Missing::Both,
            reason: " ".to_owned(),
        };
        let required = BTreeMap::from([("AA-1", &clause)]);
        let cited = BTreeMap::from([("AA-1", Cited::default())]);
        assert!(
            exception
                .problem(&required, &cited)
                .is_some_and(|p| p.contains("reason"))
        );
    }
}
