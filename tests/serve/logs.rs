//! The lines of the real server: each can be read, and none holds a secret.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use kenshin::wire::hex::Hex;
use serde_json::Value;

use super::serve::http::get;
use super::serve::running::terminate;
use super::town::{MASTERS, TOKENS, Town, until};

/// Servers that were started.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// Drives frames and polls, good ones and bad ones, and gives what the server wrote.
fn written(town: &Town, format: &str, level: &str, more: &[(&str, &str)]) -> String {
    let path = town.site.dir.join(format!("{format}-{level}.log"));
    let mut variables = vec![
        ("KENSHIN_LOG__FORMAT", format),
        ("KENSHIN_LOG__LEVEL", level),
    ];
    variables.extend_from_slice(more);
    let stderr = File::create(&path).unwrap();
    let server = town.site.start_with(stderr.into(), &variables);
    let mut terminal = town.gas(3);
    // Another run may have used the first counters.
    terminal.counter = terminal.now_utc_s + 100 * RUNS.fetch_add(1, Ordering::Relaxed);
    town.call(town.site.udp, &terminal.routine());
    let alarm = terminal.item(&terminal.alarm());
    town.call(town.site.alarm, &terminal.frame(&[alarm], true));
    let mut bad = terminal.routine();
    *bad.last_mut().unwrap() ^= 1;
    let socket = super::town::socket();
    socket.send_to(&bad, town.site.udp).unwrap();
    socket.send_to(&[0xFF; 30], town.site.udp).unwrap();
    for token in [TOKENS[0], TOKENS[1], "a-token-that-nobody-ever-gave-out"] {
        let header = format!("Authorization: Bearer {token}\r\n");
        get(town.site.http, "/v1/records", &header).unwrap();
    }
    until("the bad frames are counted", || {
        let page = get(town.site.http, "/metrics", "").unwrap().body;
        page.contains("verdict=\"failed_authentication\"} 1\n")
            && page.contains("verdict=\"malformed\"} 1\n")
    });
    assert_eq!(terminate(server), Some(0));
    std::fs::read_to_string(&path).unwrap()
}

fn assert_silent_on_secrets(town: &Town, text: &str, more: &[String]) {
    let mut secrets: Vec<String> = TOKENS.iter().map(|&token| token.to_owned()).collect();
    secrets.push("a-token-that-nobody-ever-gave-out".to_owned());
    let keys = [town.gas(3).secrets(), town.water(3).secrets()].concat();
    let keys = keys.iter().map(Vec::as_slice);
    for key in keys.chain(MASTERS.iter().map(|master| master.as_slice())) {
        secrets.push(Hex(key).to_string());
        // As a debug form of octets would show them.
        let list = key.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        secrets.push(list);
    }
    let texts = MASTERS
        .iter()
        .map(|&master| String::from_utf8(master.to_vec()).unwrap());
    secrets.extend(texts);
    secrets.extend_from_slice(more);
    let text = text.to_lowercase();
    for secret in secrets {
        assert!(
            !text.contains(&secret.to_lowercase()),
            "a line holds {secret}"
        );
    }
}

#[test]
fn lines_in_json_can_each_be_read_and_hold_no_secret_at_any_level() {
    let town = Town::new("");
    for level in ["info", "debug", "trace"] {
        let text = written(&town, "json", level, &[]);
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            for key in ["timestamp", "level", "target", "message"] {
                assert!(line[key].is_string(), "{key}: {line}");
            }
        }
        assert!(text.contains("Listening."), "{text}");
        assert_eq!(text.contains("Refused a frame."), level != "info", "{text}");
        assert_silent_on_secrets(&town, &text, &[]);
    }
}

#[test]
fn lines_of_text_begin_with_time_and_level_and_hold_no_secret() {
    let town = Town::new("");
    let text = written(&town, "text", "debug", &[]);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let time = words.next().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{line}");
        let level = words.next().unwrap();
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        assert!(levels.contains(&level), "{line}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a file");
    assert_silent_on_secrets(&town, &text, &[]);
}

fn kenshin(arguments: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(arguments)
        .status();
    assert!(done.unwrap().success(), "{arguments:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_server_with_sealed_keys_tells_neither_them_nor_the_master_key() {
    let town = Town::new("");
    let master = town.site.dir.join("master.key");
    let sealed = town.site.dir.join("link.sealed");
    let plain = town.site.dir.join("keys.toml");
    kenshin(&["key", "new-master", "--out", text(&master)]);
    let role = [
        "--role",
        "link",
        "--out",
        text(&sealed),
        "--master-key-file",
        text(&master),
    ];
    kenshin(&[&["key", "seal", "--keys", text(&plain)], &role[..]].concat());
    std::fs::remove_file(&plain).unwrap();
    let variables = [
        ("KENSHIN_KEYS__LINK_FILE", text(&sealed)),
        ("KENSHIN_KEYS__MASTER_KEY_FILE", text(&master)),
        ("KENSHIN_KEYS__ALLOW_CLEAR_KEYS", "false"),
    ];
    let written = written(&town, "json", "trace", &variables);
    let master = std::fs::read_to_string(&master).unwrap().trim().to_owned();
    assert!(master.len() >= 64, "it is there to be looked for");
    assert_silent_on_secrets(&town, &written, &[master]);
}
