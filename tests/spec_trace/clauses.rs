//! The clauses of the specification's text.

use std::collections::{BTreeMap, BTreeSet};

/// Words of RFC 2119. Their capitals make a sentence normative.
const KEY_WORDS: [&str; 6] = ["MUST", "SHALL", "REQUIRED", "SHOULD", "RECOMMENDED", "MAY"];
/// Those that nobody may leave out.
const STRICT_WORDS: [&str; 3] = ["MUST", "SHALL", "REQUIRED"];

/// A paragraph or list item with an id.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Clause {
    /// Area and number, such as `FRM-1`.
    pub(crate) id: String,
    /// The file it is in.
    pub(crate) path: String,
    /// Its first line, from 1.
    pub(crate) line: usize,
    /// The text after the id, lines joined.
    pub(crate) text: String,
}

/// What one file holds.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) clauses: Vec<Clause>,
    /// Place and id of each `[FRM-1]` in the text.
    pub(crate) references: Vec<(String, String)>,
    pub(crate) problems: Vec<String>,
}

/// A paragraph, list item, heading or table with its first line.
#[derive(Debug, Eq, PartialEq)]
struct Block {
    line: usize,
    text: String,
}

/// Reads the clauses of one file, and reports normative text outside of them.
pub(crate) fn parse(path: &str, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for block in blocks(text) {
        let place = format!("{path}:{}", block.line);
        let bare = without_code(&block.text);
        for id in references(&bare) {
            parsed.references.push((place.clone(), id));
        }
        let body = without_list_mark(&block.text);
        if body.starts_with("The key words") {
            // The paragraph that says what the words and ids mean uses both.
            continue;
        }
        if let Some((id, rest)) = split_id(body) {
            if rest.contains("**[") {
                parsed
                    .problems
                    .push(format!("{place}: two clauses in one paragraph"));
            }
            if rest.trim().is_empty() {
                parsed.problems.push(format!("{place}: {id} says nothing"));
            }
            parsed.clauses.push(Clause {
                id: id.to_owned(),
                path: path.to_owned(),
                line: block.line,
                text: rest.trim().to_owned(),
            });
        } else if body.starts_with("**[") || bare.contains("**[") {
            parsed.problems.push(format!(
                "{place}: an id is 2 to 4 capitals, a hyphen and a number, and begins a paragraph"
            ));
        } else if let Some(word) = key_word(&bare, &KEY_WORDS) {
            parsed
                .problems
                .push(format!("{place}: {word} outside of a clause"));
        }
    }
    parsed
}

/// Whether a clause's text binds without exception.
pub(crate) fn is_required(text: &str) -> bool {
    key_word(&without_code(text), &STRICT_WORDS).is_some()
}

/// Ids must be unique, and ascend within their area.
pub(crate) fn check_ids(clauses: &[Clause]) -> Vec<String> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    let mut problems = Vec::new();
    for clause in clauses {
        let (area, number) = clause.id.split_once('-').expect("parsed ids have a hyphen");
        let number: u32 = number.parse().unwrap_or(u32::MAX);
        let before = last.get(area).copied().unwrap_or(0);
        if number <= before {
            let (path, line, id) = (&clause.path, clause.line, &clause.id);
            problems.push(format!("{path}:{line}: {id} comes after {area}-{before}"));
        }
        last.insert(area, number.max(before));
    }
    problems
}

/// What the text refers to must exist.
pub(crate) fn check_references(clauses: &[Clause], references: &[(String, String)]) -> Vec<String> {
    let known: BTreeSet<&str> = clauses.iter().map(|clause| clause.id.as_str()).collect();
    let unknown = references
        .iter()
        .filter(|(_, id)| !known.contains(id.as_str()));
    unknown
        .map(|(place, id)| format!("{place}: refers to {id}, which no clause is called"))
        .collect()
}

/// Whether this is an id: 2 to 4 capitals, a hyphen, a number without leading zeros.
pub(crate) fn is_id(text: &str) -> bool {
    let Some((area, number)) = text.split_once('-') else {
        return false;
    };
    (2..=4).contains(&area.len())
        && area.bytes().all(|b| b.is_ascii_uppercase())
        && !number.starts_with('0')
        && (1..=4).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Cuts a text at empty lines, list items and headings; leaves out fenced code.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut fence: Option<&str> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| line.starts_with(mark));
        if fence.is_some() || mark.is_some() {
            is_open = false;
            fence = match (fence, mark) {
                (None, opened) => opened,
                (Some(opened), Some(mark)) if opened == mark => None,
                (opened, _) => opened,
            };
            continue;
        }
        let is_heading = line.starts_with('#');
        let is_row = line.starts_with('|');
        let begins = without_list_mark(line).len() < line.len() || is_heading || is_row;
        if line.is_empty() {
            is_open = false;
        } else if is_open && !begins {
            let block = found.last_mut().expect("an open block exists");
            block.text.push(' ');
            block.text.push_str(line);
        } else {
            found.push(Block {
                line: index + 1,
                text: line.to_owned(),
            });
            is_open = !is_heading && !is_row;
        }
    }
    found
}

/// The text after `- `, `* `, `+ ` or `1. `, or all of it.
fn without_list_mark(text: &str) -> &str {
    for mark in ["- ", "* ", "+ "] {
        if let Some(rest) = text.strip_prefix(mark) {
            return rest.trim_start();
        }
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.strip_prefix(". ") {
        Some(rest) if !text.starts_with('.') => rest.trim_start(),
        _ => text,
    }
}

/// Splits `**[FRM-1]** text` into id and text.
fn split_id(text: &str) -> Option<(&str, &str)> {
    let (id, rest) = text.strip_prefix("**[")?.split_once("]**")?;
    is_id(id).then_some((id, rest))
}

/// The text without what stands between backticks.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

fn key_word(text: &str, words: &[&'static str]) -> Option<&'static str> {
    let mut found = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    found.find_map(|word| words.iter().find(|wanted| **wanted == word).copied())
}

/// The ids in brackets of a text, but for the one that is its own.
fn references(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('[') {
        let Some((inner, rest)) = text[at + 1..].split_once(']') else {
            continue;
        };
        let is_own = text[..at].ends_with("**") && rest.starts_with("**");
        if is_id(inner) && !is_own {
            found.push(inner.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        parse("a.md", text)
            .clauses
            .into_iter()
            .map(|clause| clause.id)
            .collect()
    }

    fn problems(text: &str) -> Vec<String> {
        parse("a.md", text).problems
    }

    #[test]
    fn clauses_are_paragraphs_and_list_items() {
        let text = "# T\n\n**[AA-1]** One\nmore.\n\n- **[AA-2]** Two.\n\
            - **[AA-3]** Three\n  more.\n\
            1. **[BCDE-10]** Four.\n";
        let parsed = parse("a.md", text);
        let found: Vec<_> = parsed
            .clauses
            .iter()
            .map(|clause| (clause.id.as_str(), clause.line, clause.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("AA-1", 3, "One more."),
                ("AA-2", 6, "Two."),
                ("AA-3", 7, "Three more."),
                ("BCDE-10", 9, "Four."),
            ]
        );
        assert_eq!(parsed.problems, Vec::<String>::new());
    }

    #[test]
    fn normative_words_outside_clauses_are_reported() {
        assert_eq!(
            problems("# T\n\nA server MUST b.\n"),
            ["a.md:3: MUST outside of a clause"]
        );
        assert_eq!(problems("**[AA-1]** A:\n\n- it MAY b.\n").len(), 1);
        assert_eq!(problems("**[AA-1]** A:\n- it SHOULD NOT b.\n").len(), 1);
        assert_eq!(problems("| a | MUST |\n").len(), 1);
        assert_eq!(problems("## A MUST\n").len(), 1);
    }

    #[test]
    fn words_that_bind_nobody_are_left_alone() {
        assert_eq!(
            problems("The key words MUST and\nMAY; an id is **[AA-1]**.\n").len(),
            0
        );
        assert_eq!(
            problems("It may, it must, MUSTARD, `MUST` and MUST_BE.\n").len(),
            0
        );
        assert_eq!(problems("```text\nMUST\n\n~~~\nMUST\n```\n").len(), 0);
        assert_eq!(problems("~~~\nMUST\n~~~\n\nMUST\n").len(), 1);
    }

    #[test]
    fn malformed_and_double_ids_are_reported() {
        assert_eq!(problems("**[A-1]** MUST\n").len(), 1);
        assert_eq!(problems("**[AA-01]** MUST\n").len(), 1);
        assert_eq!(problems("Text. **[AA-1]** It MUST.\n").len(), 1);
        assert_eq!(
            problems("**[AA-1]** It MUST. **[AA-2]** It MAY.\n").len(),
            1
        );
        assert_eq!(problems("**[AA-1]**\n").len(), 1);
        assert!(is_id("FRM-1") && is_id("GENX-1234"));
        assert!(!is_id("FRM1") && !is_id("frm-1") && !is_id("FRMXX-1") && !is_id("FRM-1a"));
    }

    #[test]
    fn ids_are_unique_and_ascend() {
        let check = |text: &str| check_ids(&parse("a.md", text).clauses);
        assert_eq!(
            check("**[AA-1]** a\n\n**[BB-1]** b\n\n**[AA-3]** c\n"),
            Vec::<String>::new()
        );
        assert_eq!(
            check("**[AA-2]** a\n\n**[AA-1]** b\n"),
            ["a.md:3: AA-1 comes after AA-2"]
        );
        assert_eq!(check("**[AA-1]** a\n\n**[AA-1]** b\n").len(), 1);
    }

    #[test]
    fn references_must_exist() {
        let parsed = parse(
            "a.md",
            "**[AA-1]** As in [AA-1] and [AA-2], not `[AA-3]` or [x](y).\n",
        );
        let problems = check_references(&parsed.clauses, &parsed.references);
        assert_eq!(
            problems,
            ["a.md:1: refers to AA-2, which no clause is called"]
        );
    }

    #[test]
    fn strict_words_make_a_clause_required() {
        assert!(is_required("A MUST NOT b.") && is_required("B is REQUIRED."));
        assert!(!is_required("A SHOULD b and MAY c, `MUST`."));
        assert_eq!(ids("**[AA-1]** x\n"), ["AA-1"]);
    }
}
