//! The real binary.

use std::process::Command;

fn template_says(line: &str) -> bool {
    let out = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(["config", "template"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let section = text.split("[mbus]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    section.lines().any(|one| one == line)
}

#[test]
fn nothing_listens_for_gateways_unless_an_address_is_set() {
    for line in ["#udp = \"off\"", "#tcp = \"off\"", "#tls = \"off\""] {
        assert!(template_says(line), "{line}");
    }
}
