//! Consumers of the real server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use kenshin::keyring::UtilityId;
use serde_json::Value;

use super::serve::http::{Answer, get};
use super::serve::running::terminate;
use super::town::{GAS, TOKENS, Town, WATER, until};

struct Page {
    records: Vec<Value>,
    cursor: String,
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn ask(town: &Town, query: &str, token: &str) -> Answer {
    get(
        town.site.http,
        &format!("/v1/records{query}"),
        &bearer(token),
    )
    .unwrap()
}

fn pull(town: &Town, query: &str, token: &str) -> Page {
    let answer = ask(town, query, token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("transfer-encoding: chunked"));
    let lines = answer.body.lines();
    let mut records: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = records.pop().unwrap();
    Page {
        records,
        cursor: last["cursor"].as_str().unwrap().to_owned(),
    }
}

fn ids(page: &Page) -> Vec<&str> {
    let ids = page.records.iter();
    ids.map(|record| record["id"].as_str().unwrap()).collect()
}

#[test]
fn what_a_consumer_acknowledged_is_kept_through_a_kill_and_nothing_else_is_passed() {
    let town = Town::new("");
    let mut server = town.site.start(Stdio::null());
    let mut terminal = town.gas(0);
    for _ in 0..3 {
        town.call(town.site.udp, &terminal.routine());
    }
    let first = pull(&town, "?max=2", TOKENS[0]);
    assert_eq!(first.records.len(), 2);
    let second = pull(&town, &format!("?max=1&after={}", first.cursor), TOKENS[0]);
    assert_eq!(second.records.len(), 1);
    server.kill().unwrap();
    server.wait().unwrap();
    let server = town.site.start(Stdio::null());
    // The answer to the second poll was never acknowledged, that to the first was.
    let again = pull(&town, "", TOKENS[0]);
    assert_eq!(ids(&again), ids(&second));
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_consumer_never_sees_the_records_of_another_utility() {
    let town = Town::new("");
    let server = town.site.start(Stdio::null());
    let (mut gas, mut water) = (town.gas(1), town.water(1));
    for _ in 0..2 {
        town.call(town.site.udp, &gas.routine());
        town.call(town.site.alarm, &water.routine());
    }
    for (token, own, other) in [(TOKENS[0], GAS, WATER), (TOKENS[1], WATER, GAS)] {
        let page = pull(&town, "", token);
        assert_eq!(page.records.len(), 2);
        let own = UtilityId::new(own).to_string();
        assert!(page.records.iter().all(|record| record["utility"] == own));
        assert!(
            !ask(&town, "", token)
                .body
                .contains(&UtilityId::new(other).to_string())
        );
    }
    // Nor does a cursor of one open the records of the other.
    let cursor = pull(&town, "", TOKENS[0]).cursor;
    let stolen = ask(&town, &format!("?after={cursor}"), TOKENS[1]);
    assert_eq!(stolen.status, 400);
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn wrong_tokens_are_refused_alike_however_much_of_them_is_right() {
    let town = Town::new("");
    let server = town.site.start(Stdio::null());
    let right = TOKENS[0];
    let last_wrong = format!("{}X", &right[..right.len() - 1]);
    let first_wrong = format!("X{}", &right[1..]);
    let wrong = [
        String::new(),
        bearer(&last_wrong),
        bearer(&first_wrong),
        bearer(&right[..right.len() - 1]),
        bearer(&format!("{right}X")),
        bearer("short"),
        format!("Authorization: Basic {right}\r\n"),
    ];
    let body_of = |headers: &String| {
        let answer = get(town.site.http, "/v1/records?after=1-1-1", headers).unwrap();
        assert_eq!(answer.status, 401);
        answer.body
    };
    let bodies: Vec<String> = wrong.iter().map(body_of).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert!(!bodies[0].contains("cloud"), "names of consumers are told");
    assert_eq!(terminate(server), Some(0));
}

#[test]
fn a_poll_that_waits_gets_a_new_record_at_once() {
    let town = Town::new("");
    let server = town.site.start(Stdio::null());
    let mut terminal = town.gas(2);
    town.call(town.site.udp, &terminal.routine());
    let cursor = pull(&town, "", TOKENS[0]).cursor;
    let query = format!("?wait_s=50&after={cursor}");
    std::thread::scope(|scope| {
        let began = Instant::now();
        let poll = scope.spawn(|| pull(&town, &query, TOKENS[0]));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!poll.is_finished(), "it waits while there is nothing");
        town.call(town.site.alarm, &terminal.routine());
        assert_eq!(poll.join().unwrap().records.len(), 1);
        assert!(began.elapsed() < Duration::from_secs(40));
    });
    until("the sink of files has both", || {
        let files = std::fs::read_dir(town.site.records()).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.lines().count()).sum::<usize>() == 2
    });
    assert_eq!(terminate(server), Some(0));
}
