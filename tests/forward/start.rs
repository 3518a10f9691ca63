//! Sinks and consumers of a configuration that cannot stand beside each other.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use kenshin::app::boot::{Booted, boot};
use kenshin::app::followers::{Attached, FollowError};
use kenshin::config::Config;
use kenshin::keyring::LinkKeyring;
use kenshin::store::fs::SimFs;
use kenshin::store::log::LogOptions;

fn booted() -> Booted {
    let fs = Arc::new(SimFs::new());
    let options = LogOptions::default();
    boot(fs, Path::new("data"), options, 1, LinkKeyring::new()).unwrap()
}

#[test]
fn two_sinks_of_one_folder_are_refused_at_the_start_under_whatever_names() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    std::fs::create_dir(&dir).unwrap();
    let link = root.path().join("link");
    symlink(&dir, &link).unwrap();
    for (first, second) in [
        (dir.clone(), link.clone()),
        (dir.join("a"), link.join("a")),
        (dir.join("x/../b"), dir.join("b")),
    ] {
        std::fs::create_dir_all(dir.join("x")).unwrap();
        let sink = |name: &str, dir: &Path| {
            let dir = dir.display();
            format!("[[sink]]\nname = \"{name}\"\ntype = \"ndjson\"\ndir = \"{dir}\"\n")
        };
        let text = sink("first", &first) + &sink("second", &second);
        let config = Config::parse(&text, []).unwrap();
        let refused = Attached::new(&config, &booted());
        let is_told = matches!(&refused, Err(FollowError::SameFolder { name, other })
            if name == "second" && other == "first");
        assert!(is_told, "{first:?} {second:?} {refused:?}");
    }
}

#[test]
fn two_consumers_of_one_token_are_refused_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let consumer = |name: &str, token: &str| {
        let file = root.path().join(name);
        std::fs::write(&file, token).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, mode).unwrap();
        format!(
            "[[consumer]]\nname = \"{name}\"\nutility = \"6761737761746572\"\n\
             token_file = \"{}\"\n",
            file.display()
        )
    };
    let token = "a".repeat(32);
    let text = consumer("first", &token) + &consumer("second", &format!("{token}\n"));
    let config = Config::parse(&text, []).unwrap();
    let booted = booted();
    let refused = Attached::new(&config, &booted).map(|_| ());
    let is_told = matches!(&refused, Err(FollowError::SameToken { name, other })
        if name == "second" && other == "first");
    assert!(is_told, "{refused:?}");
}
