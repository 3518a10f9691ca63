//! Starts that fail and servers that are dropped, in a process that goes on.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use kenshin::app::boot::lock;
use kenshin::app::followers::FollowError;
use kenshin::app::{Server, StartError};
use kenshin::config::Config;
use kenshin::keyring::LinkKeyring;
use kenshin::store::fs::RealFs;
use kenshin::time::{Clock, SystemClock};

use super::town::{Town, until};

/// Files in a folder that this process has open.
fn open_in(folder: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = all.filter_map(|one| std::fs::read_link(one.unwrap().path()).ok());
    targets.filter(|path| path.starts_with(folder)).count()
}

#[test]
fn a_start_that_fails_or_a_server_that_is_dropped_leaves_nothing_at_work() {
    let town = Town::new("");
    let data = town.site.dir.join("data");
    let text = std::fs::read_to_string(town.site.dir.join("kenshin.toml")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let start = |text: &str| {
        let config = Config::parse(text, []).unwrap();
        Server::start(&config, LinkKeyring::new(), &clock, runtime.handle())
    };
    let is_left = || {
        until("all files are closed", || open_in(&data) == 0);
        drop(lock(&RealFs, &data).unwrap());
    };
    let taken = TcpListener::bind(town.site.http).unwrap();
    let refused = start(&text).map(|_| ());
    assert!(
        matches!(refused, Err(StartError::Http { .. })),
        "{refused:?}"
    );
    is_left();
    drop(taken);
    let nowhere = town.site.dir.join("no.token");
    let consumer = format!(
        "[[consumer]]\nname = \"late\"\nutility = \"6761737761746572\"\ntoken_file = \"{}\"\n",
        nowhere.display()
    );
    let refused = start(&(text.clone() + &consumer)).map(|_| ());
    let is_token = matches!(
        &refused,
        Err(StartError::Follow(FollowError::TokenFile { .. }))
    );
    assert!(is_token, "{refused:?}");
    is_left();
    let server = start(&text).unwrap();
    assert!(open_in(&data) > 0);
    assert!(lock(&RealFs, &data).is_err(), "a server has the folder");
    drop(server);
    is_left();
    drop(start(&text).unwrap());
}
