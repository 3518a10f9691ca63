//! The citations in comments: `// spec: FRM-1, FRM-2`.

use std::collections::BTreeMap;

use super::clauses::is_id;
use super::source;

/// What a citation counts for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// The code that does what the clause says.
    Code,
    /// A test that would fail if it did not.
    Test,
}

/// One clause cited at one place.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Citation {
    pub(crate) id: String,
    pub(crate) path: String,
    /// Line, from 1.
    pub(crate) line: usize,
    pub(crate) side: Side,
}

/// Where code is that may cite: the server and the simulator.
const ROOTS: [&str; 4] = [
    "src/lib.rs",
    "src/main.rs",
    "simulator/src/lib.rs",
    "simulator/src/main.rs",
];

/// All citations, and what is wrong with the form of some.
pub(crate) fn of_repository() -> (Vec<Citation>, Vec<String>) {
    let read = |path: &str| std::fs::read_to_string(source::root().join(path)).ok();
    let reached: BTreeMap<String, bool> = ROOTS
        .iter()
        .flat_map(|root| source::module_files(root, &read))
        .collect();
    let (mut citations, mut problems) = (Vec::new(), Vec::new());
    for path in source::repository_files() {
        if !path.ends_with(".rs") || !may_cite(&path) {
            continue;
        }
        let is_test = is_test_file(&path) || reached.get(&path).copied().unwrap_or(false);
        let (found, wrong) = of_text(&path, &source::read(&path), is_test);
        citations.extend(found);
        problems.extend(wrong);
    }
    (citations, problems)
}

fn may_cite(path: &str) -> bool {
    ["src/", "tests/", "simulator/"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

/// Whether all of a file is test code, by its name alone.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The citations of one file.
fn of_text(path: &str, text: &str, is_test: bool) -> (Vec<Citation>, Vec<String>) {
    let test_lines = syn::parse_file(text).map(|file| source::test_lines(&file));
    let test_lines = test_lines.unwrap_or_default();
    let (mut citations, mut problems) = (Vec::new(), Vec::new());
    for comment in source::comments(text) {
        let Some(list) = comment.text.strip_prefix("spec:") else {
            continue;
        };
        let line = comment.line;
        let in_test = is_test || test_lines.iter().any(|range| range.contains(&line));
        let side = if in_test { Side::Test } else { Side::Code };
        for id in list.split(',').map(str::trim) {
            if is_id(id) {
                citations.push(Citation {
                    id: id.to_owned(),
                    path: path.to_owned(),
                    line,
                    side,
                });
            } else {
                problems.push(format!(
                    "{path}:{line}: `{id}` is no clause id; write `// spec: FRM-1, FRM-2` alone"
                ));
            }
        }
    }
    (citations, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_sorted_by_where_they_stand() {
        let text = "//! spec: AA-1\n/// spec: AA-2, AA-3\nfn f() {} // spec: AA-4\n\
            #[cfg(test)]\nmod tests {\n    // spec: AA-5\n}\nconst A: &str = \"// spec: AA-6\";\n";
        let (found, problems) = of_text("src/a.rs", text, false);
        let found: Vec<_> = found
            .iter()
            .map(|c| (c.id.as_str(), c.line, c.side))
            .collect();
        assert_eq!(
            found,
            [
                ("AA-1", 1, Side::Code),
                ("AA-2", 2, Side::Code),
                ("AA-3", 2, Side::Code),
                ("AA-4", 3, Side::Code),
                ("AA-5", 6, Side::Test),
            ]
        );
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn citations_in_test_files_are_test_citations() {
        let (found, _) = of_text("tests/a.rs", "// spec: AA-1\n", is_test_file("tests/a.rs"));
        assert_eq!(found[0].side, Side::Test);
        assert!(is_test_file("src/wire/tests.rs") && is_test_file("simulator/tests/a.rs"));
        assert!(is_test_file("src/session/tests/pair.rs") && !is_test_file("src/testsuite.rs"));
    }

    #[test]
    fn malformed_citations_are_reported() {
        let (found, problems) = of_text("src/a.rs", "// spec: AA-1 and more, aa-2,\n", false);
        assert_eq!(found, []);
        assert_eq!(problems.len(), 3);
        assert!(problems[0].starts_with("src/a.rs:1: `AA-1 and more`"));
    }
}
