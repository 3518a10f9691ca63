use super::super::error::KeyError;
use super::super::ids::UtilityId;
use super::*;
use crate::wire::otl::ident::Mode;

const KEYS: &str = include_str!("../../../protocol-spec/vectors/keys.toml");
const GOOD: &str = "\
[[utility]]
id = \"a1b2c3d4e5f60718\"
name = \"A\"
[[utility.link_master]]
version = 1
state = \"ACTIVE\"
key = \"9beea382db8293ebdbad9aad39ffd2f3\"
[[terminal]]
identity = \"00000002dfdc1c35\"
utility = \"a1b2c3d4e5f60718\"
mode = 1
";

fn errors(text: &str) -> Vec<(usize, String, Problem)> {
    let errors = parse(text).unwrap_err().0;
    errors
        .into_iter()
        .map(|error| (error.line, error.field, error.problem))
        .collect()
}

/// The good file with one line replaced, and the errors that it then has.
fn with_line(line: usize, text: &str) -> Vec<(usize, String, Problem)> {
    let mut lines: Vec<&str> = GOOD.lines().collect();
    lines[line - 1] = text;
    errors(&lines.join("\n"))
}

#[test]
fn the_keys_of_the_vectors_are_read() {
    let keys = parse(KEYS).unwrap();
    assert!(keys.link.terminal_count() >= 10);
    let name = keys.link.utility_name(UtilityId::new([
        0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 7, 0x18,
    ]));
    assert_eq!(name, Some("Example Gas A"));
    let command = keys.command.unwrap();
    let identity = |last: u64| last.to_be_bytes();
    let opening = |last, mode, version| keys.link.opening_key(&identity(last), mode, version);
    assert!(opening(0x2_dfdc_1c35, Mode::CcmStatic, 2).is_ok());
    assert!(opening(0x9_dbff_c835, Mode::CcmStatic, 7).is_ok());
    assert!(opening(0x9_dbff_c837, Mode::GcmSession, 7).is_ok());
    for (last, mode, version, error) in [
        (0x2_540b_e401, Mode::Clear, 0, KeyError::Mode0Forbidden),
        (0x2_dfdc_1c35, Mode::CcmStatic, 4, KeyError::KeyWithdrawn),
        (0x5_33e8_0036, Mode::CcmSession, 1, KeyError::KeyRetired),
        (0x7_87f3_e436, Mode::GcmSession, 2, KeyError::KeyTooShort),
    ] {
        assert_eq!(opening(last, mode, version).unwrap_err(), error);
    }
    assert!(command.command_key(&identity(0x2_dfdc_1c35), 1).is_ok());
    assert!(command.command_key(&identity(0x9_dbff_c837), 7).is_ok());
}

/// KEY-10: a file without command keys gives no command ring.
// spec: KEY-10
#[test]
fn a_file_of_link_keys_gives_no_command_ring() {
    assert!(parse(GOOD).unwrap().command.is_none());
    let empty = parse("").unwrap();
    assert_eq!((empty.link.terminal_count(), empty.command), (0, None));
}

#[test]
fn each_wrong_field_is_named_with_its_line() {
    for (line, text, field, problem) in [
        (2, "id = \"a1b2\"", "utility[0].id", Problem::NotEightOctets),
        (2, "id = 7", "utility[0].id", Problem::WrongType("a text")),
        (
            5,
            "version = 0",
            "utility[0].link_master[0].version",
            Problem::NotAVersion,
        ),
        (
            5,
            "version = 256",
            "utility[0].link_master[0].version",
            Problem::NotAVersion,
        ),
        (
            5,
            "version = -1",
            "utility[0].link_master[0].version",
            Problem::NotAVersion,
        ),
        (
            5,
            "version = \"1\"",
            "utility[0].link_master[0].version",
            Problem::WrongType("a whole number"),
        ),
        (
            6,
            "state = \"active\"",
            "utility[0].link_master[0].state",
            Problem::NotAState,
        ),
        (
            7,
            "key = \"00\"",
            "utility[0].link_master[0].key",
            Problem::NotAKey,
        ),
        (
            7,
            "key = \"zz\"",
            "utility[0].link_master[0].key",
            Problem::NotAKey,
        ),
        (11, "mode = 4", "terminal[0].mode", Problem::NotAMode),
        (
            11,
            "mode = 1\npending_mode = 4",
            "terminal[0].pending_mode",
            Problem::NotAPendingMode,
        ),
        (
            11,
            "mode = 1\nallow_mode0 = 1",
            "terminal[0].allow_mode0",
            Problem::WrongType("true or false"),
        ),
    ] {
        let line_of_error = line + text.matches('\n').count();
        let found = with_line(line, text);
        assert!(
            found.contains(&(line_of_error, field.to_owned(), problem)),
            "{text}: {found:?}"
        );
    }
}

/// ROT-12: no change goes to mode 0, and so none can be pending.
// spec: ROT-12
#[test]
fn a_pending_change_to_mode_0_is_refused() {
    let found = with_line(11, "mode = 1\npending_mode = 0");
    let field = "terminal[0].pending_mode".to_owned();
    assert_eq!(found, [(12, field, Problem::NotAPendingMode)]);
    for mode in 1..=3 {
        let text = GOOD.replace("mode = 1", &format!("mode = 1\npending_mode = {mode}"));
        assert!(parse(&text).is_ok(), "{mode}");
    }
}

#[test]
fn missing_fields_are_named_with_the_line_of_their_table() {
    assert_eq!(
        errors("[[utility]]\n\n[[terminal]]\n"),
        [
            (1, "utility[0].id".to_owned(), Problem::Missing),
            (1, "utility[0].name".to_owned(), Problem::Missing),
            (3, "terminal[0].identity".to_owned(), Problem::Missing),
            (3, "terminal[0].utility".to_owned(), Problem::Missing),
            (3, "terminal[0].mode".to_owned(), Problem::Missing),
        ]
    );
}

#[test]
fn all_errors_of_a_file_are_found_at_once() {
    let text = GOOD
        .replace("version = 1", "version = 0")
        .replace("mode = 1", "mode = 9");
    assert_eq!(errors(&text).len(), 2);
}

#[test]
fn what_stands_in_the_file_twice_is_refused() {
    let twice = format!("{GOOD}{GOOD}");
    assert_eq!(
        errors(&twice),
        [
            (12, "utility[1].id".to_owned(), Problem::Duplicate),
            (19, "terminal[1].identity".to_owned(), Problem::Duplicate),
        ]
    );
    let version = GOOD.replace(
        "[[terminal]]",
        "[[utility.link_master]]\nversion = 1\nstate = \"NEW\"\n\
         key = \"00112233445566778899aabbccddeeff\"\n[[terminal]]",
    );
    let wanted = (
        8,
        "utility[0].link_master[1].version".to_owned(),
        Problem::Duplicate,
    );
    assert_eq!(errors(&version), [wanted]);
}

#[test]
fn a_terminal_of_an_unknown_utility_is_refused() {
    let found = with_line(10, "utility = \"0000000000000000\"");
    assert_eq!(
        found,
        [(8, "terminal[0].utility".to_owned(), Problem::UnknownUtility)]
    );
}

/// ERR-5: whatever is wrong with a file, no error repeats what stands in it.
// spec: ERR-5
#[test]
fn no_error_repeats_a_key() {
    let secret = "9beea382db8293ebdbad9aad39ffd2f3";
    for text in [
        GOOD.replace("key = \"", "key = \"x"),
        GOOD.replace("key = \"", "key = "),
        GOOD.replace("key = \"9", "key = \"\\9"),
        GOOD.replace(secret, &format!("{secret}\n")),
        GOOD.replace("key = \"9", "key 9"),
        GOOD.replace("key = ", "kay = "),
        GOOD.replace(
            "key = \"9beea382db8293ebdbad9aad39ffd2f3\"",
            &format!("{secret} = 1"),
        ),
        GOOD.replace(
            "key = \"9beea382db8293ebdbad9aad39ffd2f3\"",
            &format!("key = {{ a{secret} = 1 }}"),
        ),
        GOOD.replace("key = ", &format!("[[a{secret}]]\nkey = ")),
        format!("{GOOD}[a{secret}]\n[a{secret}]\n"),
    ] {
        let errors = parse(&text).unwrap_err();
        let shown = format!("{errors} {errors:?}");
        assert!(!shown.contains("beea382"), "{shown}");
        assert!(errors.0.iter().all(|error| error.line > 0));
    }
}

#[test]
fn a_text_that_is_not_toml_gives_the_line() {
    assert_eq!(
        errors("[[utility]]\nid = \n")[0],
        (2, "file".to_owned(), Problem::Syntax)
    );
    assert_eq!(
        parse("mode = 1").unwrap_err().to_string(),
        "line 1: file: a field here is not known"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text: String) {
        let _parsed = parse(&text);
    }

    #[test]
    fn no_cut_of_a_good_file_makes_the_parser_panic(octets in 0..KEYS.len()) {
        if let Some(cut) = KEYS.get(..octets) {
            let _parsed = parse(cut);
        }
    }
}
