//! What no text file may hold: blanks at line ends, notes to self, traces of one machine.

use super::Problem;

/// Notes that belong in an issue. Put together here so that this file passes its own rule.
const NOTES: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/"),
];

/// Where packages come from is the business of whoever builds, not of this repository.
const REGISTRIES: [&str; 8] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("deb.deb", "ian.org"),
    concat!("--index", "-url"),
    concat!("extra-index", "-url"),
    concat!("replace", "-with"),
];

/// The most columns of a line of Rust.
const COLUMNS_MAX: usize = 100;

/// Whether the rules on blanks and control characters apply to this file.
pub(crate) fn is_prose_or_code(path: &str) -> bool {
    path == ".ci/run"
        || [".rs", ".md", ".toml", ".py", ".sh"]
            .iter()
            .any(|e| path.ends_with(e))
}

/// Blanks, control characters, notes, long lines and titles.
pub(crate) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let mut report = |message: String| {
            problems.push(Problem::new(path, index + 1, "text", message));
        };
        if line.contains('\t') {
            report("tab: indent with spaces".to_owned());
        } else if let Some(control) = line.chars().find(|c| c.is_control()) {
            report(format!("control character {:?}", control));
        }
        if line.ends_with([' ', '\u{3000}']) {
            report("blank at the end of the line".to_owned());
        }
        if let Some(note) = NOTES.iter().find(|note| has_word(line, note)) {
            report(format!("{note}: open an issue, or do it"));
        }
        let columns = line.chars().count();
        if path.ends_with(".rs") && columns > COLUMNS_MAX {
            report(format!("{columns} columns, at most {COLUMNS_MAX}"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let lines = text.lines().count();
        problems.push(Problem::new(
            path,
            lines,
            "text",
            "no newline at the end".to_owned(),
        ));
    }
    if path.ends_with(".md") && !text.starts_with("# ") {
        let message = "a Markdown file begins with a `# ` title".to_owned();
        problems.push(Problem::new(path, 1, "text", message));
    }
    problems
}

/// Paths of one machine and package hosts, in any file.
pub(crate) fn check_traces(path: &str, content: &[u8]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for needle in MACHINE_PATHS.iter().chain(&REGISTRIES) {
        let Some(at) = content
            .windows(needle.len())
            .position(|w| w == needle.as_bytes())
        else {
            continue;
        };
        let line = 1 + content[..at].iter().filter(|&&b| b == b'\n').count();
        let message = format!("`{needle}` ties this file to one machine or one package host");
        problems.push(Problem::new(path, line, "trace", message));
    }
    problems
}

/// Whether `line` holds `word` with no letter, digit or underscore next to it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphanumeric());
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(usize, String); 0] = [];

    fn messages(path: &str, text: &str) -> Vec<(usize, String)> {
        check(path, text)
            .into_iter()
            .map(|problem| (problem.line, problem.message))
            .collect()
    }

    #[test]
    fn blanks_and_control_characters_are_reported() {
        let found = messages("a.rs", "a\n\tb\nc \nd\r\ne\u{7}\n");
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!(messages("a.py", "print(1)").len(), 1);
        assert_eq!(messages("a.py", "print(1)\n"), NONE);
    }

    #[test]
    fn notes_to_self_are_reported_as_whole_words() {
        for note in NOTES {
            assert_eq!(messages("a.toml", &format!("# {note}: later\n")).len(), 1);
            assert_eq!(
                messages("a.toml", &format!("# A{note} {note}S {note}_1\n")),
                NONE
            );
        }
    }

    #[test]
    fn long_lines_and_missing_titles_are_reported() {
        assert_eq!(messages("a.rs", &format!("{}\n", "a".repeat(101))).len(), 1);
        assert_eq!(messages("a.rs", &format!("{}\n", "検".repeat(100))), NONE);
        assert_eq!(messages("a.md", "Text\n").len(), 1);
        assert_eq!(
            messages("a.md", &format!("# Title\n\n{}\n", "a".repeat(200))),
            NONE
        );
    }

    #[test]
    fn traces_of_a_machine_are_reported_with_their_line() {
        for needle in MACHINE_PATHS.iter().chain(&REGISTRIES) {
            let found = check_traces("a", format!("x\ny {needle}z").as_bytes());
            assert_eq!((found.len(), found[0].line), (1, 2));
        }
        assert_eq!(check_traces("a", b"framework/x target/y").len(), 0);
    }
}
