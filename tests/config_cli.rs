//! `kenshin config` as a program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    let own = std::env::vars_os().map(|(name, _)| name);
    for name in own.filter(|name| name.to_string_lossy().starts_with("KENSHIN_")) {
        command.env_remove(name);
    }
    let variables = variables.iter().copied();
    command.args(arguments).envs(variables).output().unwrap()
}

fn check(path: &Path, more: &[&str]) -> Output {
    let arguments = ["config", "check", "--config", path.to_str().unwrap()];
    run(&[&arguments[..], more].concat(), &[])
}

fn text(octets: &[u8]) -> &str {
    str::from_utf8(octets).unwrap()
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_template_passes_its_own_check() {
    let folder = tempfile::tempdir().unwrap();
    let template = run(&["config", "template"], &[]);
    assert_eq!(template.status.code(), Some(0));
    let path = folder.path().join("kenshin.toml");
    fs::write(&path, &template.stdout).unwrap();
    let checked = check(&path, &[]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(text(&checked.stdout).contains("The configuration can be used."));
}

#[test]
fn a_missing_file_is_no_mistake_of_the_configuration() {
    let checked = check(Path::new("no/such/file"), &[]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(text(&checked.stderr).contains("no/such/file"));
}

#[test]
fn all_mistakes_are_told_at_once_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kenshin.toml");
    fs::write(
        &path,
        "[listen]\nudp = 7\nupd = \"off\"\n[tcp]\naccept_backlog = 0\n",
    )
    .unwrap();
    let checked = check(&path, &[]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(text(&checked.stdout).lines().count(), 3);

    let checked = check(&path, &["--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let outcome: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(outcome["ok"], false);
    let errors = outcome["errors"].as_array().unwrap();
    let found: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["line"].as_u64().unwrap(),
                error["key"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (2, "listen.udp"),
        (3, "listen.upd"),
        (5, "tcp.accept_backlog"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_environment_is_checked_too() {
    let variables = [("KENSHIN_LISTEN__UDP", "nowhere")];
    let checked = run(&["config", "check", "--json"], &variables);
    assert_eq!(checked.status.code(), Some(1));
    let outcome: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(outcome["errors"][0]["variable"], "KENSHIN_LISTEN__UDP");
    assert_eq!(run(&["config", "check"], &[]).status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "t").unwrap();
    let path = folder.path().join("kenshin.toml");
    let config = format!(
        "[[consumer]]\nname = \"c\"\nutility = \"a1b2c3d4e5f60718\"\ntoken_file = {token:?}\n"
    );
    fs::write(&path, config).unwrap();
    restrict(&token, 0o644);
    let checked = check(&path, &[]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked.stdout);
    assert!(
        told.contains("consumer[0].token_file: others can read"),
        "{told}"
    );
    assert!(told.contains("chmod 600"), "{told}");
    restrict(&token, 0o600);
    let checked = check(&path, &[]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked.stdout);
    assert!(told.contains("the consumer c holds no token"), "{told}");
    fs::write(&token, "a-token-of-more-than-24-characters\n").unwrap();
    assert_eq!(check(&path, &[]).status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_table_of_keys_that_others_can_read_is_to_be_sealed_too() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("meters.csv");
    fs::write(&table, "meter,utility,key\n").unwrap();
    restrict(&table, 0o644);
    let path = folder.path().join("kenshin.toml");
    fs::write(&path, format!("[keys]\nmbus_file = {table:?}\n")).unwrap();
    let checked = check(&path, &[]);
    let told = text(&checked.stdout);
    for remedy in ["chmod 600", "kenshin key seal --role mbus"] {
        assert!(told.contains(remedy), "{told}");
    }
}

#[test]
fn warnings_do_not_change_the_exit_code() {
    let variables = [("KENSHIN_LISTEN__TCP", "0.0.0.0:7511")];
    let checked = run(&["config", "check", "--json"], &variables);
    assert_eq!(checked.status.code(), Some(0));
    let outcome: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let warnings = outcome["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|line| line.as_str().unwrap().starts_with("listen.tcp:"))
    );
    assert!(outcome["memory_bound_octets"]["tcp.max_connections"].as_u64() > Some(0));
}

#[test]
fn a_table_of_meters_that_a_server_would_refuse_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let table = "meter,utility,key\n\
                 ELS-12345678-33-03,6761737765726b65,0102030405060708090a0b0c0d0e0f11\n";
    fs::write(at("meters.csv"), table).unwrap();
    let made = run(&["key", "new-master", "--out", &at("master.key")], &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    restrict(Path::new(&at("meters.csv")), 0o600);
    let (meters, sealed, master) = (at("meters.csv"), at("meters.sealed"), at("master.key"));
    let seal = [
        "key",
        "seal",
        "--keys",
        &meters,
        "--role",
        "mbus",
        "--out",
        &sealed,
        "--master-key-file",
        &master,
    ];
    let made = run(&seal, &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let check = |settings: &str| {
        let config = at("kenshin.toml");
        fs::write(&config, format!("[keys]\n{settings}")).unwrap();
        check(Path::new(&config), &[])
    };
    let master = format!("master_key_file = \"{master}\"\n");
    let sealed = format!("mbus_file = \"{sealed}\"\n");
    let usable = check(&format!("{sealed}{master}"));
    assert_eq!(usable.status.code(), Some(0), "{}", text(&usable.stderr));
    for settings in [sealed, format!("mbus_file = \"{meters}\"\n")] {
        let refused = check(&settings);
        assert_eq!(refused.status.code(), Some(1), "{settings}");
        let told = text(&refused.stdout);
        assert!(told.contains("keys.mbus_file: "), "{told}");
    }
}
