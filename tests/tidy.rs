//! Rules on the source text that no compiler checks: layers, lengths, banned calls, dead files,
//! and what no file may hold. Each rule's own tests show that it fires.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "support/source.rs"]
mod source;
#[path = "tidy/text.rs"]
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};

use paths::NamedPath;
use source::Comment;

/// One breach of a rule.
#[derive(Debug)]
struct Problem {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, rule: &'static str, message: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.message
        )
    }
}

/// A Rust file with what the rules look at.
struct RustFile {
    path: String,
    text: String,
    /// None where the text does not parse.
    syntax: Option<syn::File>,
    paths: Vec<NamedPath>,
    /// Line and name of each method that is called.
    method_calls: Vec<(usize, String)>,
    comments: Vec<Comment>,
    /// Whether all of it is for tests only.
    is_test: bool,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl RustFile {
    fn parse(path: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).ok();
        let tokens: TokenStream = text.parse().unwrap_or_default();
        let mut method_calls = Vec::new();
        collect_method_calls(tokens.clone(), &mut method_calls);
        let is_test = path.starts_with("tests/") || path.contains("/tests/");
        let test_lines = syntax.as_ref().map(source::test_lines).unwrap_or_default();
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            syntax,
            paths: paths::named_paths(tokens),
            method_calls,
            comments: source::comments(text),
            is_test,
            test_lines,
        }
    }

    fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|range| range.contains(&line))
    }
}

fn collect_method_calls(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for window in tokens.windows(3) {
        if let [
            TokenTree::Punct(dot),
            TokenTree::Ident(name),
            TokenTree::Group(_),
        ] = window
            && dot.as_char() == '.'
        {
            found.push((name.span().start().line, name.to_string()));
        }
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            collect_method_calls(group.stream(), found);
        }
    }
}

/// The root files of the crates that are built from more than one file.
const CRATE_ROOTS: [&str; 5] = [
    "src/lib.rs",
    "src/main.rs",
    "simulator/src/lib.rs",
    "simulator/src/main.rs",
    "fuzz/src/lib.rs",
];

/// All files that some crate's `mod` declarations reach, and whether they are for tests only.
fn reached_files() -> BTreeMap<String, bool> {
    let read = |path: &str| std::fs::read_to_string(source::root().join(path)).ok();
    CRATE_ROOTS
        .iter()
        .flat_map(|root| source::module_files(root, &read))
        .collect()
}

fn is_crate_source(path: &str) -> bool {
    ["src/", "simulator/src/", "fuzz/src/"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

/// Every Rust file of the repository.
fn rust_files() -> Vec<RustFile> {
    let reached = reached_files();
    let paths = source::repository_files()
        .into_iter()
        .filter(|path| path.ends_with(".rs"));
    paths
        .map(|path| {
            let mut file = RustFile::parse(&path, &source::read(&path));
            file.is_test |= reached.get(&path).copied().unwrap_or(false);
            file
        })
        .collect()
}

fn assert_none(problems: &[Problem]) {
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(
        list.is_empty(),
        "{} problems:\n{}",
        list.len(),
        list.join("\n")
    );
}

#[test]
fn every_rust_file_parses() {
    let files = rust_files();
    let broken = files.iter().filter(|file| file.syntax.is_none());
    let message = || "does not parse, so that no rule was checked".to_owned();
    let problems: Vec<_> = broken
        .map(|file| Problem::new(&file.path, 1, "syntax", message()))
        .collect();
    assert_none(&problems);
}

#[test]
fn layers_name_only_what_they_may() {
    let mut problems: Vec<_> = rust_files().iter().flat_map(layers::check).collect();
    problems.extend(layers::check_simulator_manifest(&source::read(
        "simulator/Cargo.toml",
    )));
    assert_none(&problems);
}

#[test]
fn files_are_short() {
    let problems: Vec<_> = rust_files()
        .iter()
        .flat_map(shape::check_file_length)
        .collect();
    assert_none(&problems);
}

#[test]
fn functions_are_short() {
    let problems: Vec<_> = rust_files()
        .iter()
        .flat_map(shape::check_function_length)
        .collect();
    assert_none(&problems);
}

#[test]
fn nothing_outside_tests_panics_or_casts_silently() {
    let files = rust_files();
    let server_or_simulator = files
        .iter()
        .filter(|file| file.path.starts_with("src/") || file.path.starts_with("simulator/src/"));
    assert_none(
        &server_or_simulator
            .flat_map(shape::check_banned)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_source_file_is_declared() {
    let reached: BTreeSet<String> = reached_files().into_keys().collect();
    let mut files = source::repository_files();
    files.retain(|path| is_crate_source(path) && path.ends_with(".rs"));
    assert_none(&shape::check_dead_files(&files, &reached));
}

#[test]
fn texts_are_clean() {
    let mut files = source::repository_files();
    files.retain(|path| text::is_prose_or_code(path));
    let problems: Vec<_> = files
        .iter()
        .flat_map(|path| text::check(path, &source::read(path)))
        .collect();
    assert_none(&problems);
}

#[test]
fn no_file_is_tied_to_one_machine() {
    let mut files = source::repository_files();
    files.retain(|path| path != "Cargo.lock");
    let problems: Vec<_> = files
        .iter()
        .flat_map(|path| {
            let content = std::fs::read(source::root().join(path)).expect("a readable file");
            text::check_traces(path, &content)
        })
        .collect();
    assert_none(&problems);
}
