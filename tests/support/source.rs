//! What the tests of the source text share: the list of files, comments, and which lines are tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Directories that are not part of the source, wherever they are.
const SKIPPED_DIRS: [&str; 7] = [
    "target",
    "venv",
    "__pycache__",
    "node_modules",
    "artifacts",
    "coverage",
    "snapshots",
];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Paths of the repository's files relative to its root, with `/`, sorted.
///
/// Directories that begin with a dot are skipped but for `.ci` and `.github`: tools and editors
/// keep their own things there.
pub(crate) fn repository_files() -> Vec<String> {
    let mut found = Vec::new();
    collect_files(&root(), "", &mut found);
    found.sort();
    found
}

fn collect_files(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries {
        let entry = entry.expect("directory entry");
        let name = entry
            .file_name()
            .into_string()
            .expect("file names are UTF-8");
        let relative = format!("{prefix}{name}");
        let kind = entry.file_type().expect("file type");
        // In a work tree of its own, `.git` is a file that tells where the repository lies.
        if kind.is_file() && name != ".git" {
            found.push(relative);
        } else if kind.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            if !hidden && !SKIPPED_DIRS.contains(&name.as_str()) {
                collect_files(&entry.path(), &format!("{relative}/"), found);
            }
        }
    }
}

/// The text of a file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A comment in Rust source. Of a block comment, each line is one.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Comment {
    /// Line number, from 1.
    pub(crate) line: usize,
    /// The text without the comment's marks and outer blanks.
    pub(crate) text: String,
}

/// All comments of a Rust source text, in order; what looks like one inside a literal is not.
pub(crate) fn comments(text: &str) -> Vec<Comment> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = if rest.starts_with(b"//") {
            let len = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            push_comment(text, at, len, &mut found);
            len
        } else if rest.starts_with(b"/*") {
            let len = block_comment_len(rest);
            push_comment(text, at, len, &mut found);
            len
        } else {
            let after_word = at > 0 && is_word(bytes[at - 1]);
            literal_len(rest, after_word)
        };
        at += len;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn push_comment(text: &str, at: usize, len: usize, found: &mut Vec<Comment>) {
    let first_line = 1 + text[..at].matches('\n').count();
    for (index, line) in text[at..at + len].lines().enumerate() {
        let line = line
            .trim()
            .trim_start_matches(['/', '*', '!'])
            .trim_end_matches("*/")
            .trim();
        found.push(Comment {
            line: first_line + index,
            text: line.to_owned(),
        });
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of the string or character literal that `rest` begins with, or 1 where there is none.
fn literal_len(rest: &[u8], after_word: bool) -> usize {
    match rest[0] {
        b'"' => quoted_len(rest),
        b'r' if !after_word || rest.get(1) == Some(&b'"') => raw_string_len(rest).unwrap_or(1),
        b'\'' => char_len(rest),
        _ => 1,
    }
}

fn quoted_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    let body = 2 + hashes;
    let len = rest[body..]
        .windows(end.len())
        .position(|window| window == end);
    Some(len.map_or(rest.len(), |len| body + len + end.len()))
}

fn char_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        // The escaped octet may be a quote itself.
        let close = rest.iter().skip(3).position(|&b| b == b'\'');
        return close.map_or(rest.len(), |close| close + 4);
    }
    // A character is 1 to 4 octets between quotes; else this is a lifetime.
    let window = &rest[1..rest.len().min(6)];
    match window.iter().position(|&b| b == b'\'') {
        Some(len) if std::str::from_utf8(&window[..len]).is_ok_and(|s| s.chars().count() == 1) => {
            len + 2
        }
        _ => 1,
    }
}

/// Lines, from 1, that are compiled for tests only.
pub(crate) fn test_lines(file: &syn::File) -> Vec<RangeInclusive<usize>> {
    let mut found = TestLines::default();
    if file.attrs.iter().any(is_test_attribute) {
        found.0.push(1..=usize::MAX);
    }
    found.visit_file(file);
    found.0
}

#[derive(Default)]
struct TestLines(Vec<RangeInclusive<usize>>);

impl TestLines {
    fn take(&mut self, attrs: &[syn::Attribute], span: proc_macro2::Span) -> bool {
        let is_test = attrs.iter().any(is_test_attribute);
        if is_test {
            self.0.push(span.start().line..=span.end().line);
        }
        is_test
    }
}

impl<'ast> Visit<'ast> for TestLines {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !self.take(&item.attrs, item.span()) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.take(&item.attrs, item.span());
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !self.take(&item.attrs, item.span()) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.take(&item.attrs, item.span());
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take(&item.attrs, item.span());
    }
}

/// `#[test]`, `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

/// Follows the `mod` declarations from a crate's root file. Gives each file reached, and whether
/// all of it is for tests only. `read` gives a file's text, or nothing where there is none.
pub(crate) fn module_files(
    crate_root: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, bool> {
    let mut reached = BTreeMap::new();
    let mut open = vec![(crate_root.to_owned(), false)];
    let mut seen = BTreeSet::new();
    while let Some((path, is_test)) = open.pop() {
        let Some(text) = read(&path) else { continue };
        if !seen.insert(path.clone()) {
            continue;
        }
        reached.insert(path.clone(), is_test);
        let Ok(file) = syn::parse_file(&text) else {
            continue;
        };
        let is_test = is_test || file.attrs.iter().any(is_test_attribute);
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or("")
            .trim_end_matches(".rs");
        let own_dir = if path == crate_root || name == "mod" {
            dir.to_owned()
        } else {
            format!("{dir}/{name}")
        };
        declared_modules(&file.items, dir, &own_dir, is_test, &mut open);
    }
    reached
}

fn declared_modules(
    items: &[syn::Item],
    dir: &str,
    own_dir: &str,
    is_test: bool,
    open: &mut Vec<(String, bool)>,
) {
    for item in items {
        let syn::Item::Mod(module) = item else {
            continue;
        };
        let is_test = is_test || module.attrs.iter().any(is_test_attribute);
        let name = module.ident.to_string();
        if let Some((_, items)) = &module.content {
            let inner = format!("{own_dir}/{name}");
            declared_modules(items, &inner, &inner, is_test, open);
        } else if let Some(path) = module.attrs.iter().find_map(path_attribute) {
            open.push((format!("{dir}/{path}"), is_test));
        } else {
            open.push((format!("{own_dir}/{name}.rs"), is_test));
            open.push((format!("{own_dir}/{name}/mod.rs"), is_test));
        }
    }
}

fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let syn::Expr::Lit(value) = &pair.value else {
        return None;
    };
    match &value.lit {
        syn::Lit::Str(path) if pair.path.is_ident("path") => Some(path.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(usize, String)> {
        comments(source)
            .into_iter()
            .map(|c| (c.line, c.text))
            .collect()
    }

    #[test]
    fn comments_are_found_in_all_forms() {
        let source = "//! a\n/// b\nfn f() {} // c\n/* d\n * e /* f */\n */ let x; // g\n";
        let expected = [
            (1, "a"),
            (2, "b"),
            (3, "c"),
            (4, "d"),
            (5, "e /* f"),
            (6, ""),
            (6, "g"),
        ];
        let expected: Vec<_> = expected.map(|(line, text)| (line, text.to_owned())).into();
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn comments_inside_literals_are_not_comments() {
        let source = r####"
            let a = "// no \" // no"; let b = r#"// no " // no"#; let c = br"// no";
            let d = '"'; let e = '\''; let f = '\\'; let g: &'static str = b"// no";
            let h = '検'; let r#type = 1; for_r("// no"); // yes
        "####;
        assert_eq!(texts(source), [(4, "yes".to_owned())]);
    }

    #[test]
    fn test_lines_cover_test_items_only() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[test]\nfn c() {}\n\
            #[cfg(not(test))]\nfn d() {}\n";
        let file = syn::parse_file(source).unwrap();
        assert_eq!(test_lines(&file), [2..=5, 6..=7]);
        let file = syn::parse_file("#![cfg(test)]\nfn a() {}\n").unwrap();
        assert_eq!(test_lines(&file), [1..=usize::MAX]);
    }

    #[test]
    fn modules_are_followed_with_their_test_mark() {
        let read = |path: &str| {
            let text = match path {
                "src/lib.rs" => "mod a; mod b; #[path = \"other.rs\"] mod c; mod gone;",
                "src/a.rs" => "#[cfg(test)] mod tests; mod inner { mod deep; }",
                "src/a/tests.rs" => "mod more;",
                "src/b/mod.rs" | "src/other.rs" | "src/a/inner/deep.rs" => "",
                "src/a/tests/more.rs" => "fn f() {}",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let reached = module_files("src/lib.rs", &read);
        let reached: Vec<_> = reached
            .iter()
            .map(|(path, test)| (path.as_str(), *test))
            .collect();
        assert_eq!(
            reached,
            [
                ("src/a.rs", false),
                ("src/a/inner/deep.rs", false),
                ("src/a/tests.rs", true),
                ("src/a/tests/more.rs", true),
                ("src/b/mod.rs", false),
                ("src/lib.rs", false),
                ("src/other.rs", false),
            ]
        );
    }

    #[test]
    fn the_repository_lists_its_own_manifest() {
        assert!(repository_files().iter().any(|path| path == "Cargo.toml"));
    }
}
