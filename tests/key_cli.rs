//! `kenshin key` as a program, and `kenshin decode` with what it made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

#[path = "support/otl.rs"]
mod otl;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const VARIABLE: &str = "KENSHIN_MASTER_KEY";

/// A folder with a master key, and the rings of the vectors sealed under it.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let output = run(&["key", "new-master", "--out", &world.path("master.key")]);
        assert_done(&output);
        for role in ["link", "command"] {
            assert_done(&world.seal(role, &format!("{role}.sealed")));
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.file(name), content).unwrap();
        restrict(&self.file(name), 0o600);
    }

    /// Seals a ring of the vectors under `master.key`.
    fn seal(&self, role: &str, out: &str) -> Output {
        self.seal_keys(&keys_path(), role, out, "master.key")
    }

    fn seal_keys(&self, keys: &str, role: &str, out: &str, master: &str) -> Output {
        let (out, master) = (self.path(out), self.path(master));
        let arguments = ["--keys", keys, "--role", role, "--out", &out];
        run(&[
            &["key", "seal"],
            &arguments[..],
            &["--master-key-file", &master],
        ]
        .concat())
    }

    fn show(&self, sealed: &str, more: &[&str]) -> Output {
        let (sealed, master) = (self.path(sealed), self.path("master.key"));
        let arguments = ["--sealed", &sealed, "--master-key-file", &master];
        run(&[&["key", "show"], &arguments[..], more].concat())
    }

    /// Decodes the sample frames.
    fn decode(&self, keys: &str, master: &str) -> Output {
        let (keys, master) = (self.path(keys), self.path(master));
        run(&decode_arguments(&[
            "--keys",
            &keys,
            "--master-key-file",
            &master,
        ]))
    }
}

fn decode_arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["decode", "--protocol", "otl"], more].concat()
}

/// A run without a master key in the environment, on the sample frames.
fn run(arguments: &[&str]) -> Output {
    run_with(None, arguments)
}

fn run_with(variable: Option<&str>, arguments: &[&str]) -> Output {
    let samples = fs::File::open(otl::path("otl/sample-frames.hex")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command
        .args(arguments)
        .env_remove(VARIABLE)
        .stdin(Stdio::from(samples));
    if let Some(value) = variable {
        command.env(VARIABLE, value);
    }
    command.output().unwrap()
}

fn keys_path() -> String {
    otl::path("keys.toml").to_str().unwrap().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

/// The run ended with 2, and said why in words that hold `part`.
fn assert_refused(output: &Output, part: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("kenshin: ") && text.contains(part),
        "{text}"
    );
    assert!(output.stdout.is_empty());
}

fn assert_all_verified(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    let plain = run(&decode_arguments(&["--keys", &keys_path()]));
    assert_eq!(stdout(output), stdout(&plain));
    let text = stdout(output);
    assert!(text.lines().count() >= 5);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let is_sealed = line["header"]["mode"] != 0;
        assert_eq!(line["ok"], true, "{line}");
        assert_eq!(line["security"]["verified"], is_sealed, "{line}");
    }
}

/// Neither the octets nor the digits of any key, the master key included.
fn assert_no_secret(world: &World, output: &[u8]) {
    let text = String::from_utf8_lossy(output).to_lowercase();
    let keys = otl::read("keys.toml");
    let keys = keys.lines().filter_map(|line| line.strip_prefix("key = "));
    let master = fs::read_to_string(world.file("master.key")).unwrap();
    let secrets: Vec<_> = keys.chain([master.trim()]).collect();
    assert!(secrets.len() >= 16);
    for secret in secrets {
        let secret = secret.trim_matches('"');
        assert!(!text.contains(&secret[..16]), "a key is told");
        let octets = otl::unhex(secret);
        assert!(!output.windows(octets.len()).any(|run| run == octets));
    }
}

#[cfg(unix)]
fn restrict(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn restrict(_: &std::path::Path, _: u32) {}

#[test]
fn a_sealed_link_ring_opens_all_sample_frames() {
    let world = World::new();
    assert_all_verified(&world.decode("link.sealed", "master.key"));
}

#[test]
fn a_new_master_key_is_64_digits_and_never_the_same() {
    let world = World::new();
    assert_done(&run(&[
        "key",
        "new-master",
        "--out",
        &world.path("other.key"),
    ]));
    let read = |name| fs::read_to_string(world.file(name)).unwrap();
    let (one, other) = (read("master.key"), read("other.key"));
    for text in [&one, &other] {
        let digits = text.strip_suffix('\n').unwrap();
        assert_eq!(digits.len(), 64);
        assert!(
            digits
                .bytes()
                .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
        );
    }
    assert_ne!(one, other);
}

#[test]
fn show_lists_what_a_ring_holds() {
    let world = World::new();
    let link = stdout(&world.show("link.sealed", &[]));
    let command = stdout(&world.show("command.sealed", &[]));
    assert!(link.starts_with("link ring, utilities: "), "{link}");
    assert!(
        command.starts_with("command ring, utilities: "),
        "{command}"
    );
    for text in [&link, &command] {
        assert!(text.contains("utility a1b2c3d4e5f60718 \"Example Gas A\", terminals: "));
    }
    assert!(
        link.contains("\n  link    version   4  WITHDRAWN\n"),
        "{link}"
    );
    assert!(
        command.contains("\n  kek     version   1  ACTIVE\n"),
        "{command}"
    );
    assert!(!link.contains("\n  kek ") && !link.contains("\n  command "));
    assert!(!command.contains("\n  link "));
}

#[test]
fn show_as_json_agrees_with_the_key_file() {
    let world = World::new();
    let keys: toml::Table = otl::read("keys.toml").parse().unwrap();
    let terminals = keys["terminal"].as_array().unwrap();
    let utilities = keys["utility"].as_array().unwrap();
    for (role, purposes) in [("link", &["link"][..]), ("command", &["command", "kek"])] {
        let output = world.show(&format!("{role}.sealed"), &["--json"]);
        assert_eq!(output.status.code(), Some(0));
        let shown: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(shown["role"], role);
        assert_eq!(shown["terminals"], terminals.len());
        let found = shown["utilities"].as_array().unwrap();
        assert_eq!(found.len(), utilities.len());
        for utility in utilities {
            let id = utility["id"].as_str().unwrap();
            let found = found.iter().find(|found| found["id"] == id).unwrap();
            let keys = found["keys"].as_array().unwrap();
            for purpose in purposes {
                let wanted = utility.get(format!("{purpose}_master"));
                let wanted: Vec<_> = wanted
                    .and_then(|all| all.as_array())
                    .into_iter()
                    .flatten()
                    .map(|key| (key["version"].as_integer(), key["state"].as_str()))
                    .collect();
                let shown: Vec<_> = keys
                    .iter()
                    .filter(|key| key["purpose"] == *purpose && key["origin"] == "master")
                    .map(|key| (key["version"].as_i64(), key["state"].as_str()))
                    .collect();
                assert_eq!(shown, wanted, "{id} {purpose}");
            }
            assert!(
                keys.iter()
                    .all(|key| purposes.contains(&key["purpose"].as_str().unwrap()))
            );
        }
        let imported = found
            .iter()
            .flat_map(|found| found["keys"].as_array().unwrap());
        let imported: Vec<_> = imported.filter(|key| key["origin"] == "imported").collect();
        assert!(!imported.is_empty() && imported.iter().all(|key| key["terminals"] != 0));
    }
}

// spec: KEY-10
#[test]
fn a_command_ring_is_no_key_file_of_the_decoder() {
    let world = World::new();
    let refused = world.decode("command.sealed", "master.key");
    assert_refused(
        &refused,
        "it holds the command ring, and the link ring is wanted",
    );
}

// spec: KEY-10
#[test]
fn a_sealed_ring_holds_keys_of_its_role_only() {
    let world = World::new();
    // The other role written into the head does not make it the other ring.
    for (name, role) in [("link.sealed", 2), ("command.sealed", 1)] {
        let mut file = fs::read(world.file(name)).unwrap();
        assert_eq!(file[9], 3 - role);
        file[9] = role;
        world.put("forged", &file);
        let text = "the master key does not fit, or the file header is damaged";
        assert_refused(&world.show("forged", &[]), text);
    }
    // A file of link keys only has no command ring to seal.
    let keys = otl::read("keys.toml");
    let end = keys.find("[[utility.command_master]]").unwrap();
    world.put("plain.toml", &keys.as_bytes()[..end]);
    let plain = world.path("plain.toml");
    assert_done(&world.seal_keys(&plain, "link", "a", "master.key"));
    let refused = world.seal_keys(&plain, "command", "b", "master.key");
    assert_refused(&refused, "holds no command or key-encryption key");
    assert!(!world.file("b").exists());
}

#[test]
fn another_master_key_opens_nothing() {
    let world = World::new();
    assert_done(&run(&[
        "key",
        "new-master",
        "--out",
        &world.path("other.key"),
    ]));
    let refused = world.decode("link.sealed", "other.key");
    assert_refused(&refused, "the master key does not fit");
    let other = fs::read_to_string(world.file("other.key")).unwrap();
    for sealed in ["link.sealed", "command.sealed"] {
        let sealed = world.path(sealed);
        let refused = run_with(Some(other.trim()), &["key", "show", "--sealed", &sealed]);
        assert_refused(&refused, "the master key does not fit");
    }
}

#[test]
fn damage_is_found_and_named() {
    let world = World::new();
    let file = fs::read(world.file("link.sealed")).unwrap();
    let mut flipped = file.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let longer = [&file[..], b"\n"].concat();
    for (damaged, part) in [
        (&flipped[..], "is damaged"),
        (&file[..file.len() - 1], "the file ends within entry"),
        (&file[..20], "this is not a sealed key ring"),
        (&longer, "octets follow after the last entry"),
    ] {
        world.put("damaged", damaged);
        assert_refused(&world.show("damaged", &[]), part);
        assert_refused(&world.decode("damaged", "master.key"), part);
    }
    world.put("damaged", &otl::read("keys.toml").into_bytes());
    assert_refused(&world.show("damaged", &[]), "this is not a sealed key ring");
}

#[test]
fn no_file_is_ever_replaced() {
    let world = World::new();
    for (name, output) in [
        ("link.sealed", world.seal("link", "link.sealed")),
        ("link.sealed", world.seal("command", "link.sealed")),
        ("master.key", world.seal("link", "master.key")),
        (
            "master.key",
            run(&["key", "new-master", "--out", &world.path("master.key")]),
        ),
    ] {
        assert_refused(
            &output,
            &format!("{name} exists already and is not replaced"),
        );
    }
    assert_all_verified(&world.decode("link.sealed", "master.key"));
    assert_refused(&world.seal("link", "none/link.sealed"), "cannot write");
}

/// Nothing is left beside the files that were asked for, and only their owner can read them.
#[test]
fn files_are_for_their_owner_only_and_nothing_is_left_beside_them() {
    let world = World::new();
    let mut names: Vec<_> = fs::read_dir(world.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["command.sealed", "link.sealed", "master.key"]);
    #[cfg(unix)]
    for name in names {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(world.file(&name)).unwrap();
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.nlink()),
            (0o600, 1),
            "{name}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_master_key_file_that_others_can_read_is_refused() {
    let world = World::new();
    for mode in [0o640, 0o604, 0o620, 0o644, 0o610] {
        restrict(&world.file("master.key"), mode);
        assert_refused(&world.decode("link.sealed", "master.key"), "chmod 600");
        assert_refused(&world.show("link.sealed", &[]), "chmod 600");
        assert_refused(&world.seal("link", "again"), "chmod 600");
    }
    restrict(&world.file("master.key"), 0o400);
    assert_all_verified(&world.decode("link.sealed", "master.key"));
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let world = World::new();
    let digits = fs::read_to_string(world.file("master.key")).unwrap();
    let key = Some(digits.as_str());
    let out = world.path("again");
    let keys = keys_path();
    let seal = [
        "key", "seal", "--keys", &keys, "--role", "link", "--out", &out,
    ];
    assert_done(&run_with(key, &seal));
    assert_all_verified(&run_with(key, &decode_arguments(&["--keys", &out])));
    assert_all_verified(&world.decode("again", "master.key"));
    // A file goes before the environment.
    let master = world.path("master.key");
    let show = [
        "key",
        "show",
        "--sealed",
        &out,
        "--master-key-file",
        &master,
    ];
    let shown = run_with(Some("nonsense"), &show);
    assert_eq!(shown.status.code(), Some(0));
    // What is no 64 digits is refused and not repeated.
    for (wrong, part) in [
        ("", "a master key is 64 hexadecimal digits"),
        (
            "correct horse battery staple four",
            "a master key is 64 hexadecimal digits",
        ),
        (
            "correct horse battery staple 32!",
            "a master key is 64 hexadecimal digits",
        ),
        (
            "00112233445566778899aabbccddeeff",
            "32 hexadecimal digits are a key of 16 octets",
        ),
    ] {
        let refused = run_with(Some(wrong), &["key", "show", "--sealed", &out]);
        assert_refused(&refused, part);
        assert_refused(&refused, "KENSHIN_MASTER_KEY is refused");
        assert!(wrong.is_empty() || !stderr(&refused).contains(wrong));
    }
}

#[test]
fn without_a_master_key_the_message_says_how() {
    let world = World::new();
    let (sealed, out, keys) = (world.path("link.sealed"), world.path("again"), keys_path());
    for arguments in [
        &["key", "show", "--sealed", &sealed][..],
        &[
            "key", "seal", "--keys", &keys, "--role", "link", "--out", &out,
        ],
        &decode_arguments(&["--keys", &sealed]),
    ] {
        let refused = run(arguments);
        assert_refused(&refused, "--master-key-file");
        assert_refused(&refused, VARIABLE);
    }
    assert!(!world.file("again").exists());
    // A plain key file needs none.
    assert_all_verified(&run(&decode_arguments(&["--keys", &keys])));
}

#[test]
fn a_master_key_file_is_64_digits_or_32_raw_octets() {
    let world = World::new();
    let raw = [&[0x80; 31][..], b"\n"].concat();
    let digits = format!("\n  {}0A\r\n", "80".repeat(31));
    world.put("raw.key", &raw);
    world.put("digits.key", digits.as_bytes());
    assert_done(&world.seal_keys(&keys_path(), "link", "again", "raw.key"));
    assert_all_verified(&world.decode("again", "raw.key"));
    assert_all_verified(&world.decode("again", "digits.key"));
    for (wrong, part) in [
        (&b""[..], "a master key is 64 hexadecimal digits"),
        (&[0x80; 31], "a master key is 64 hexadecimal digits"),
        (&[b'0'; 63], "a master key is 64 hexadecimal digits"),
        (&[b' '; 4_096], "a master key is 64 hexadecimal digits"),
        (
            b"00112233445566778899aabbccddeeff",
            "32 hexadecimal digits are a key of 16 octets",
        ),
        (
            b"00112233445566778899AABBCCDDEEFF\n",
            "32 hexadecimal digits are a key of 16 octets",
        ),
    ] {
        world.put("wrong.key", wrong);
        assert_refused(&world.decode("again", "wrong.key"), part);
    }
    let refused = world.decode("again", "none.key");
    assert_refused(&refused, "cannot read the master key file");
}

// spec: ROT-12
#[test]
fn what_is_wrong_with_a_plain_file_is_told_before_anything_is_sealed() {
    let world = World::new();
    let keys = otl::read("keys.toml").replacen("mode = 1", "mode = 1\npending_mode = 0", 1);
    world.put("plain.toml", keys.as_bytes());
    let refused = world.seal_keys(&world.path("plain.toml"), "link", "again", "master.key");
    assert_refused(&refused, "pending_mode: a pending mode is 1 to 3");
    let refused = world.seal_keys(&world.path("link.sealed"), "link", "again", "master.key");
    assert_refused(&refused, "is sealed already");
    world.put("plain.toml", b"\xFF");
    let refused = world.seal_keys(&world.path("plain.toml"), "link", "again", "master.key");
    assert_refused(&refused, "is not UTF-8 text");
    let refused = world.seal_keys(&world.path("none.toml"), "link", "again", "master.key");
    assert_refused(&refused, "cannot read the key file");
    assert!(!world.file("again").exists());
}

// spec: ERR-5
#[test]
fn no_output_and_no_sealed_file_holds_a_key() {
    let world = World::new();
    let broken = otl::read("keys.toml").replacen("key = \"", "key = \"x", 1);
    world.put("broken.toml", broken.as_bytes());
    let outputs = [
        world.show("link.sealed", &[]),
        world.show("link.sealed", &["--json"]),
        world.show("command.sealed", &[]),
        world.show("command.sealed", &["--json"]),
        world.seal("link", "link.sealed"),
        world.seal_keys(&world.path("broken.toml"), "link", "again", "master.key"),
        world.seal_keys(&keys_path(), "link", "again", "broken.toml"),
        world.decode("link.sealed", "master.key"),
        world.decode("command.sealed", "master.key"),
        world.decode("link.sealed", "link.sealed"),
    ];
    for output in outputs {
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty());
        assert_no_secret(&world, &output.stdout);
        assert_no_secret(&world, &output.stderr);
    }
    for name in ["link.sealed", "command.sealed"] {
        assert_no_secret(&world, &fs::read(world.file(name)).unwrap());
    }
}

#[test]
fn wrong_arguments_give_2() {
    let keys = keys_path();
    for arguments in [
        &["key"][..],
        &["key", "new-master"],
        &[
            "key", "seal", "--keys", &keys, "--role", "both", "--out", "x",
        ],
        &["key", "show"],
        &["decode", "--protocol", "otl", "--master-key-file", "x"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2));
    }
}

const METERS: &str = "\
meter,utility,key_id,version,state,policy,key
ELS-12345678-33-03,a1b2c3d4e5f60718,00,00,current,,c0ffee0123456789c0ffee0123456789
ELS-12345678-33-03,a1b2c3d4e5f60718,00,01,next,,c0ffee0123456789c0ffee0123456788
ZRI-0000000A-01-07,a1b2c3d4e5f60718,00,00,current,clear_allowed,c0ffee0123456789c0ffee0123456787
";

#[test]
fn a_table_of_meters_is_sealed_and_shown_without_a_key() {
    let world = World::new();
    world.put("meters.csv", METERS.as_bytes());
    let table = world.path("meters.csv");
    assert_done(&world.seal_keys(&table, "mbus", "meters.sealed", "master.key"));
    let shown = world.show("meters.sealed", &[]);
    assert_eq!(
        stdout(&shown),
        "mbus ring, utilities: 1, meters: 2, keys: 3\n\
         utility a1b2c3d4e5f60718, meters: 2 (1 may send in clear), keys: 2 current, 1 next, 0 \
         previous\n"
    );
    let json = world.show("meters.sealed", &["--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["role"], &json["keys"]), (&"mbus".into(), &3.into()));
    let octets = fs::read(world.file("meters.sealed")).unwrap();
    let key = [0xC0, 0xFF, 0xEE, 0x01, 0x23, 0x45, 0x67, 0x89];
    assert!(!octets.windows(8).any(|part| part == key));
}

#[test]
fn a_table_with_mistakes_is_refused_by_line_and_column_and_no_key_is_told() {
    let world = World::new();
    let broken = METERS
        .replace("next", "soon")
        .replace("6789c0ffee0123456787", "");
    world.put("meters.csv", broken.as_bytes());
    let table = world.path("meters.csv");
    let refused = world.seal_keys(&table, "mbus", "meters.sealed", "master.key");
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("line 3, state: a state is current, next or previous"),
        "{told}"
    );
    assert!(told.contains("line 4, key: a key is 32"), "{told}");
    assert!(!told.contains("c0ffee"), "{told}");
    assert!(!world.file("meters.sealed").exists());
    let as_links = world.seal_keys(&table, "link", "link.again", "master.key");
    assert_refused(&as_links, "--role mbus");
    world.put("empty.csv", b"meter,utility,key\n");
    let empty = world.seal_keys(
        &world.path("empty.csv"),
        "mbus",
        "meters.sealed",
        "master.key",
    );
    assert!(
        String::from_utf8(empty.stderr)
            .unwrap()
            .contains("holds no key of a meter")
    );
}

#[test]
fn a_server_takes_sealed_meters_and_says_what_is_wrong_with_others() {
    let world = World::new();
    world.put("meters.csv", METERS.as_bytes());
    let table = world.path("meters.csv");
    assert_done(&world.seal_keys(&table, "mbus", "meters.sealed", "master.key"));
    let output = run(&["key", "new-master", "--out", &world.path("other.key")]);
    assert_done(&output);
    let serve = |file: &str, master: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
        command.arg("serve").current_dir(world.folder.path());
        command.env("KENSHIN_KEYS__MBUS_FILE", world.path(file));
        command.env("KENSHIN_KEYS__MASTER_KEY_FILE", world.path(master));
        // So that a server whose keys are good ends by itself.
        command.env("KENSHIN_DATA_DIR", "/dev/null/data");
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let clear = serve("meters.csv", "master.key");
    assert!(clear.contains("kenshin key seal --role mbus"), "{clear}");
    let other = serve("meters.sealed", "other.key");
    assert!(other.contains("the master key does not fit"), "{other}");
    let role = serve("link.sealed", "master.key");
    assert!(
        role.contains("it holds the link ring, and the mbus ring is wanted"),
        "{role}"
    );
    let good = serve("meters.sealed", "master.key");
    assert!(good.contains("/dev/null/data"), "{good}");
}
