//! Every rule of the specification is in the code and in a test, or the exceptions say why not.
//!
//! A clause is a paragraph or list item of `protocol-spec/otl/*.md` that begins with its id, as in
//! `**[FRM-1]** A receiver MUST …`. A citation is a comment of its own, `// spec: FRM-1, FRM-2`,
//! in any comment form; it counts for the code or for the tests by where it stands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

#[path = "spec_trace/citations.rs"]
mod citations;
#[path = "spec_trace/clauses.rs"]
mod clauses;
#[path = "spec_trace/exceptions.rs"]
mod exceptions;
#[path = "support/source.rs"]
mod source;

use std::collections::BTreeMap;

use citations::{Citation, Side};
use clauses::Clause;

/// What one clause has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Cited {
    code: bool,
    test: bool,
}

/// What was looked at, for the summary.
#[derive(Debug, Default, Eq, PartialEq)]
struct Summary {
    clauses: usize,
    required: usize,
    cited: usize,
    excepted: usize,
}

/// Compares clauses, citations and exceptions; gives every problem there is.
fn compare(
    clauses: &[Clause],
    citations: &[Citation],
    exceptions: &[exceptions::Exception],
) -> (Summary, Vec<String>) {
    let mut problems = Vec::new();
    let mut cited: BTreeMap<&str, Cited> = BTreeMap::new();
    for clause in clauses {
        cited.insert(&clause.id, Cited::default());
    }
    for citation in citations {
        match cited.get_mut(citation.id.as_str()) {
            Some(entry) if citation.side == Side::Code => entry.code = true,
            Some(entry) => entry.test = true,
            None => problems.push(format!(
                "{}:{}: cites {}, which no clause is called",
                citation.path, citation.line, citation.id
            )),
        }
    }
    let required = clauses
        .iter()
        .filter(|clause| clauses::is_required(&clause.text));
    let required: BTreeMap<&str, &Clause> = required.map(|c| (c.id.as_str(), c)).collect();
    let mut excepted: BTreeMap<&str, Cited> = BTreeMap::new();
    for exception in exceptions {
        problems.extend(exception.problem(&required, &cited));
        if excepted
            .insert(&exception.clause, exception.missing.as_cited())
            .is_some()
        {
            problems.push(format!("{}: {} twice", exceptions::FILE, exception.clause));
        }
    }
    let mut summary = Summary {
        clauses: clauses.len(),
        required: required.len(),
        ..Summary::default()
    };
    for clause in clauses
        .iter()
        .filter(|clause| required.contains_key(clause.id.as_str()))
    {
        let id = clause.id.as_str();
        let has = cited[id];
        let waived = excepted.get(id).copied().unwrap_or_default();
        summary.cited += usize::from(has.code && has.test);
        summary.excepted += usize::from(excepted.contains_key(id));
        let place = format!("{}:{}", clause.path, clause.line);
        if !has.code && !waived.code {
            problems.push(format!("{place}: {id} is not cited by code"));
        }
        if !has.test && !waived.test {
            problems.push(format!("{place}: {id} is not cited by a test"));
        }
    }
    (summary, problems)
}

/// The specification's files in the order of their part numbers.
fn spec_files() -> Vec<String> {
    let mut files = source::repository_files();
    files.retain(|path| path.starts_with("protocol-spec/otl/") && path.ends_with(".md"));
    files.sort_by_key(|path| {
        let name = path.rsplit('/').next().unwrap_or("");
        let part: String = name.chars().take_while(char::is_ascii_digit).collect();
        (part.parse::<u32>().unwrap_or(u32::MAX), path.clone())
    });
    files
}

#[test]
fn every_rule_is_in_the_code_and_in_a_test() {
    let files = spec_files();
    assert!(
        !files.is_empty(),
        "no specification: protocol-spec/otl/*.md is missing"
    );
    let mut problems = Vec::new();
    let mut all = Vec::new();
    let mut references = Vec::new();
    for path in &files {
        let parsed = clauses::parse(path, &source::read(path));
        all.extend(parsed.clauses);
        references.extend(parsed.references);
        problems.extend(parsed.problems);
    }
    problems.extend(clauses::check_ids(&all));
    problems.extend(clauses::check_references(&all, &references));
    let (citations, malformed) = citations::of_repository();
    problems.extend(malformed);
    let (exceptions, unreadable) = exceptions::read();
    problems.extend(unreadable);
    let (summary, differences) = compare(&all, &citations, &exceptions);
    problems.extend(differences);
    println!(
        "spec trace: {} clauses, {} with MUST, {} of them cited by code and test, {} excepted",
        summary.clauses, summary.required, summary.cited, summary.excepted
    );
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use exceptions::{Exception, Missing};

    fn clause(id: &str, text: &str) -> Clause {
        Clause {
            id: id.to_owned(),
            path: "spec.md".to_owned(),
            line: 1,
            text: text.to_owned(),
        }
    }

    fn cite(id: &str, side: Side) -> Citation {
        Citation {
            id: id.to_owned(),
            path: "a.rs".to_owned(),
            line: 7,
            side,
        }
    }

    fn except(id: &str, missing: Missing) -> Exception {
        Exception {
            clause: id.to_owned(),
            missing,
            reason: "not built".to_owned(),
        }
    }

    #[test]
    fn a_rule_needs_code_and_test() {
        let clauses = [clause("AA-1", "A MUST b."), clause("AA-2", "A SHOULD b.")];
        let (summary, problems) = compare(&clauses, &[cite("AA-1", Side::Code)], &[]);
        assert_eq!(problems, ["spec.md:1: AA-1 is not cited by a test"]);
        assert_eq!(
            summary,
            Summary {
                clauses: 2,
                required: 1,
                cited: 0,
                excepted: 0
            }
        );
        let both = [cite("AA-1", Side::Code), cite("AA-1", Side::Test)];
        assert_eq!(compare(&clauses, &both, &[]).1, Vec::<String>::new());
        assert_eq!(compare(&clauses, &[], &[]).1.len(), 2);
    }

    #[test]
    fn an_exception_stands_for_what_is_missing_only() {
        let clauses = [clause("AA-1", "A MUST NOT b."), clause("AA-2", "A may b.")];
        let count = |citations: &[Citation], exceptions: &[Exception]| {
            compare(&clauses, citations, exceptions).1.len()
        };
        let code = cite("AA-1", Side::Code);
        assert_eq!(count(&[], &[except("AA-1", Missing::Both)]), 0);
        assert_eq!(count(&[], &[except("AA-1", Missing::Code)]), 1);
        assert_eq!(
            count(
                std::slice::from_ref(&code),
                &[except("AA-1", Missing::Test)]
            ),
            0
        );
        assert_eq!(
            count(
                std::slice::from_ref(&code),
                &[except("AA-1", Missing::Both)]
            ),
            1
        );
        let both = [code, cite("AA-1", Side::Test)];
        assert_eq!(count(&both, &[except("AA-1", Missing::Test)]), 1);
        assert_eq!(count(&both, &[except("AA-2", Missing::Both)]), 1);
        assert_eq!(count(&both, &[except("ZZ-9", Missing::Both)]), 1);
        let twice = [except("AA-1", Missing::Both), except("AA-1", Missing::Both)];
        assert_eq!(count(&[], &twice), 1);
    }

    #[test]
    fn a_citation_of_nothing_is_reported_with_its_place() {
        let (_, problems) = compare(&[], &[cite("AA-1", Side::Test)], &[]);
        assert_eq!(problems, ["a.rs:7: cites AA-1, which no clause is called"]);
    }
}
