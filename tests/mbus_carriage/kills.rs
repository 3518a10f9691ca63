//! A server that is killed at any moment: nothing that was answered OK is lost, and nothing is
//! there twice, however often a gateway sends it again.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::world::{World, line};

const DIR: &str = "TEST_CARRIAGE_DIR";
const TELEGRAMS: u32 = 3_000;

/// The server of the test below, in a process of its own.
#[test]
#[ignore = "a part of another test"]
fn a_server_that_waits_to_be_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let world = World::new(Path::new(&dir));
    println!("\nlistens {}", world.tcp);
    std::thread::sleep(Duration::from_secs(120));
}

/// The meter and the counter of a telegram.
fn parts(number: u32) -> (u8, u32) {
    (u8::try_from(number % 200).unwrap(), number / 200 + 1)
}

fn start(dir: &Path) -> (Child, SocketAddr) {
    let name = "kills::a_server_that_waits_to_be_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(address) = line.strip_prefix("listens ") {
            break address.parse().unwrap();
        }
    };
    (child, address)
}

/// Sends what has no OK yet until the server is gone. Gives what was answered OK.
fn gateway(address: SocketAddr, token: &str, left: &[u32]) -> Vec<u32> {
    let mut acknowledged = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address) else {
        return acknowledged;
    };
    let mut text = format!("TOKEN {token}\n");
    text.extend(left.iter().map(|number| {
        let (meter, counter) = parts(*number);
        line(7, meter, counter)
    }));
    let reader = BufReader::new(stream.try_clone().unwrap());
    let sending = std::thread::spawn(move || {
        // The server may be gone.
        stream.write_all(text.as_bytes()).ok();
        stream
    });
    for heard in reader.lines() {
        let Ok(heard) = heard else { break };
        let mut words = heard.split(' ');
        assert_eq!(words.next(), Some("OK"), "{heard}");
        let number: usize = words.next().unwrap().parse().unwrap();
        if let Some(place) = number.checked_sub(1) {
            acknowledged.push(left[place]);
        }
        if acknowledged.len() == left.len() {
            break;
        }
    }
    drop(sending.join().unwrap());
    acknowledged
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_there_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut left: [Vec<u32>; 2] = [(0..TELEGRAMS).collect(), (0..TELEGRAMS).rev().collect()];
    let mut acknowledged = BTreeSet::new();
    let mut kills = 0;
    for round in 0..25_u64 {
        let (mut child, address) = start(dir.path());
        let gateways = ["roof-token", "hill-token"].into_iter().zip(&left);
        let threads: Vec<_> = gateways
            .map(|(token, left)| {
                let left: Vec<u32> = left.iter().take(400).copied().collect();
                std::thread::spawn(move || gateway(address, token, &left))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(10 + round % 7 * 20));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        for (thread, left) in threads.into_iter().zip(&mut left) {
            let answered: BTreeSet<u32> = thread.join().unwrap().into_iter().collect();
            left.retain(|number| !answered.contains(number));
            acknowledged.extend(answered);
        }
        if left.iter().all(Vec::is_empty) {
            break;
        }
    }
    let world = World::new(dir.path());
    let kept = world.kept();
    let kept = kept.iter().map(|one| (one.meter, one.counter.unwrap()));
    let kept: Vec<_> = kept.collect();
    let distinct: BTreeSet<_> = kept.iter().copied().collect();
    assert_eq!(kept.len(), distinct.len(), "one frame a telegram");
    let is_lost = |number: &&u32| !distinct.contains(&parts(**number));
    let lost: Vec<_> = acknowledged.iter().filter(is_lost).collect();
    assert_eq!(lost, Vec::<&u32>::new(), "after {kills} kills");
    assert!(
        acknowledged.len() > 300,
        "{} after {kills} kills",
        acknowledged.len()
    );
}
