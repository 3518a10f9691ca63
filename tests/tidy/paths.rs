//! Every path that a Rust source text names, in imports, code and macros alike.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as written, imports in braces spread out: `std::{fs, io}` gives two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamedPath {
    /// Line of the last segment, from 1.
    pub(crate) line: usize,
    /// The segments, such as `["std", "fs"]`. One segment for a plain name.
    pub(crate) segments: Vec<String>,
    /// Whether a `!` follows, as in a macro call.
    pub(crate) is_macro: bool,
}

/// All paths of a token stream, in order. Longest form only: `a::b::c` gives no `a::b`.
pub(crate) fn named_paths(tokens: TokenStream) -> Vec<NamedPath> {
    let mut found = Vec::new();
    walk(tokens, &[], &mut found);
    found
}

fn walk(tokens: TokenStream, prefix: &[String], found: &mut Vec<NamedPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(_) => at = take_path(&tokens, at, prefix, found),
            TokenTree::Group(group) => {
                walk(group.stream(), &[], found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads the path that begins at `at` and gives the place after it.
fn take_path(
    tokens: &[TokenTree],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        segments.push(ident.to_string());
        line = ident.span().start().line;
        at += 1;
        if !(is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')) {
            break;
        }
        at += 2;
    }
    if let Some(TokenTree::Group(group)) = tokens.get(at)
        && group.delimiter() == Delimiter::Brace
        && is_punct(tokens, at.wrapping_sub(1), ':')
    {
        walk(group.stream(), &segments, found);
        return at + 1;
    }
    let is_macro = is_punct(tokens, at, '!') && !is_punct(tokens, at + 1, '=');
    found.push(NamedPath {
        line,
        segments,
        is_macro,
    });
    at
}

fn is_punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The path with `self`, `super` and `Self`-less beginnings made absolute, where the file with the
/// module path `module` (without `crate`) names it.
pub(crate) fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = vec!["crate".to_owned()];
    base.extend_from_slice(module);
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => return path.to_vec(),
    }
    base.extend_from_slice(rest);
    base
}

/// The module path of a file under `src/`: `src/wire/otl/mod.rs` gives `["wire", "otl"]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.split_once("src/").map_or(path, |(_, inner)| inner);
    let mut parts: Vec<String> = inner
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        let paths = named_paths(source.parse().unwrap());
        paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn imports_in_braces_are_spread_out() {
        assert_eq!(
            names("use std::{fs, io::{self, Read}}; use a::b as c;"),
            [
                "use",
                "std::fs",
                "std::io::self",
                "std::io::Read",
                "use",
                "a::b",
                "as",
                "c"
            ]
        );
    }

    #[test]
    fn paths_inside_macros_and_bodies_are_found() {
        assert_eq!(
            names("fn f() { assert!(x::y(z) != 1); }"),
            ["fn", "f", "assert", "x::y", "z"]
        );
        let paths = named_paths("panic!(a) ; b != c".parse().unwrap());
        let macros: Vec<bool> = paths.iter().map(|path| path.is_macro).collect();
        assert_eq!(macros, [true, false, false, false]);
    }

    #[test]
    fn relative_paths_become_absolute() {
        let module = module_of("src/wire/otl/header.rs");
        let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            absolute(&path("super::super::super::crypto"), &module),
            path("crate::crypto")
        );
        assert_eq!(
            absolute(&path("self::a"), &module),
            path("crate::wire::otl::header::a")
        );
        assert_eq!(absolute(&path("std::fs"), &module), path("std::fs"));
        assert_eq!(module_of("src/wire/mod.rs"), ["wire"]);
        assert_eq!(module_of("src/lib.rs"), Vec::<String>::new());
    }
}
