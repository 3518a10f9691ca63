//! Lengths of files and functions, calls that have no place outside tests, and dead files.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Problem, RustFile};

/// Lines of a source file that are not for tests only.
const FILE_LINES_MAX: usize = 800;
/// Lines of a file that is a test.
const TEST_FILE_LINES_MAX: usize = 1_000;
/// Lines of a function from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

const BANNED_METHODS: [&str; 2] = ["unwrap", "expect"];
const BANNED_MACROS: [&str; 5] = ["panic", "todo", "unimplemented", "dbg", "unreachable"];
const NUMBERS: [&str; 15] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "char",
];

/// Files that are too long.
pub(crate) fn check_file_length(file: &RustFile) -> Vec<Problem> {
    let total = file.text.lines().count();
    let (counted, max, what) = if file.is_test {
        (total, TEST_FILE_LINES_MAX, "lines in a test")
    } else {
        let counted = (1..=total).filter(|line| !file.is_test_line(*line)).count();
        (counted, FILE_LINES_MAX, "lines outside tests")
    };
    if counted <= max {
        return Vec::new();
    }
    let message = format!("{counted} {what}, at most {max}: split it by duty");
    vec![Problem::new(&file.path, total, "file length", message)]
}

/// Functions that are too long.
pub(crate) fn check_function_length(file: &RustFile) -> Vec<Problem> {
    let mut visitor = Functions {
        path: &file.path,
        problems: Vec::new(),
    };
    if let Some(syntax) = &file.syntax {
        visitor.visit_file(syntax);
    }
    visitor.problems
}

struct Functions<'file> {
    path: &'file str,
    problems: Vec<Problem>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span().start().line;
        let lines = block.span().end().line - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = &signature.ident;
            let message = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            self.problems
                .push(Problem::new(self.path, first, "function length", message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Calls that may panic or lose bits, outside tests.
pub(crate) fn check_banned(file: &RustFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |line: usize, message: String| {
        if !file.is_test_line(line) {
            problems.push(Problem::new(&file.path, line, "banned call", message));
        }
    };
    for path in &file.paths {
        let name = path.segments.last().map_or("", String::as_str);
        if path.is_macro && BANNED_MACROS.contains(&name) {
            report(
                path.line,
                format!("`{name}!` outside tests: return an error"),
            );
        }
    }
    for (line, method) in &file.method_calls {
        if BANNED_METHODS.contains(&method.as_str()) {
            report(
                *line,
                format!("`.{method}()` outside tests: return an error"),
            );
        }
    }
    for pair in file.paths.windows(2) {
        let target = &pair[1].segments;
        if pair[0].segments == ["as"] && target.len() == 1 && NUMBERS.contains(&target[0].as_str())
        {
            let line = pair[1].line;
            let is_explained = file.comments.iter().any(|comment| {
                (comment.line == line || comment.line + 1 == line)
                    && comment.text.starts_with("cast:")
            });
            if !is_explained {
                let message = format!(
                    "`as {}`: use `from` or `try_from`, or say why not in `// cast: …` above",
                    target[0]
                );
                report(line, message);
            }
        }
    }
    problems
}

/// Source files that no `mod` reaches.
pub(crate) fn check_dead_files(files: &[String], reached: &BTreeSet<String>) -> Vec<Problem> {
    let dead = files.iter().filter(|path| !reached.contains(*path));
    let message = "no `mod` declares this file";
    dead.map(|path| Problem::new(path, 1, "dead file", message.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn banned(text: &str) -> Vec<usize> {
        let problems = check_banned(&RustFile::parse("src/a.rs", text));
        problems.iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn long_files_are_reported_without_their_tests() {
        let long = "const A: u8 = 1;\n".repeat(800);
        let with_tests = format!("{long}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(
            check_file_length(&RustFile::parse("src/a.rs", &with_tests)).len(),
            0
        );
        let too_long = format!("{long}const B: u8 = 2;\n");
        assert_eq!(
            check_file_length(&RustFile::parse("src/a.rs", &too_long)).len(),
            1
        );
        assert_eq!(
            check_file_length(&RustFile::parse("tests/a.rs", &too_long)).len(),
            0
        );
        assert_eq!(
            check_file_length(&RustFile::parse("tests/a.rs", &with_tests)).len(),
            1
        );
    }

    #[test]
    fn long_functions_are_reported_wherever_they_are() {
        let body = |lines: usize| format!("{{\n{}}}", "    // \"}\" {\n".repeat(lines));
        let count = |text: String| check_function_length(&RustFile::parse("src/a.rs", &text)).len();
        assert_eq!(count(format!("fn f() {}", body(68))), 0);
        assert_eq!(count(format!("fn f() {}", body(69))), 1);
        assert_eq!(count(format!("impl A {{ fn f() {} }}", body(69))), 1);
        assert_eq!(count(format!("trait A {{ fn f() {} }}", body(69))), 1);
        assert_eq!(
            count(format!("mod m {{ mod n {{ fn f() {} }} }}", body(69))),
            1
        );
    }

    #[test]
    fn calls_that_panic_are_reported_outside_tests() {
        assert_eq!(
            banned("fn f() { a.unwrap(); }\nfn g() { b\n.expect(\"x\") }\n"),
            [1, 3]
        );
        assert_eq!(
            banned("fn f() { todo!() }\nfn g() { panic!(\"x\") }\n").len(),
            2
        );
        assert_eq!(banned("fn f() { assert_eq!(a.unwrap(), 1); }\n"), [1]);
        assert_eq!(banned("fn f() { std::unreachable!() }\n"), [1]);
        assert_eq!(
            banned("#[cfg(test)]\nmod tests {\n fn f() { a.unwrap(); dbg!(1); }\n}\n"),
            NONE
        );
        assert_eq!(
            banned("// a.unwrap()\nfn f() { g(\"panic!()\"); a.unwrap_or(1); }\n"),
            NONE
        );
        assert_eq!(
            banned("fn f() { parser.expect_end(); let panic = 1; }\n"),
            NONE
        );
    }

    #[test]
    fn casts_need_a_reason() {
        assert_eq!(banned("fn f() { a as u8; }\n"), [1]);
        assert_eq!(banned("fn f() { g!(a as usize); }\n"), [1]);
        assert_eq!(
            banned("// cast: fits, it was masked\nconst A: u8 = b as u8;\n"),
            NONE
        );
        assert_eq!(banned("const A: u8 = b as u8; // cast: fits\n"), NONE);
        assert_eq!(
            banned("use a::b as c; fn f() { <T as Trait>::g(); }\n"),
            NONE
        );
    }

    #[test]
    fn files_that_nobody_declares_are_reported() {
        let files = ["src/a.rs".to_owned(), "src/b.rs".to_owned()];
        let reached = BTreeSet::from(["src/a.rs".to_owned()]);
        assert_eq!(check_dead_files(&files, &reached)[0].path, "src/b.rs");
    }
}
