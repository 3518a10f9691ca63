//! Pulling over HTTP, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kenshin::api::pull::{Consumer, router};
use kenshin::api::serve::{self, HttpLimits};
use kenshin::api::token::Token;
use kenshin::forward::{Attachment, Begin, Sinks};
use kenshin::keyring::UtilityId;
use kenshin::model::Zone;
use kenshin::store::fs::SimFs;
use kenshin::store::log::CommitLog;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::http;
use super::world::{
    GAS, WATER, add, alarm, damage, durable_cursors, everyday, ids, log_on, parse_lines,
    plaintext_of,
};

const GAS_TOKEN: &str = "gas-token-of-32-characters-or-so";
const WATER_TOKEN: &str = "water-token-of-32-characters-oh";

struct Server {
    fs: SimFs,
    sinks: Arc<Sinks>,
    log: Arc<CommitLog>,
    address: SocketAddr,
    stop: CancellationToken,
}

struct Answer {
    status: u16,
    head: String,
    records: Vec<Value>,
    cursor: String,
    more: bool,
    body: String,
}

async fn serve() -> Server {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let sinks = Arc::new(Sinks::new(Arc::clone(&log), &durable_cursors(&log)));
    let consumer = |name, token: &str, utility: UtilityId| {
        let attachment = Attachment {
            kind: "pull",
            utility: Some(utility),
        };
        let sink = sinks.attach(name, attachment, Begin::Start).unwrap();
        Consumer::new(Token::parse(token.as_bytes()).unwrap(), utility, sink)
    };
    let consumers = vec![
        consumer("gas", GAS_TOKEN, GAS),
        consumer("water", WATER_TOKEN, WATER),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(Arc::clone(&sinks), Zone::JAPAN, consumers);
    let stop = CancellationToken::new();
    let limits = HttpLimits::default();
    tokio::spawn(serve::serve(listener, routes, limits, stop.clone()));
    Server {
        fs,
        sinks,
        log,
        address,
        stop,
    }
}

impl Server {
    async fn raw(&self, query: &str, authorization: &str) -> http::Answer {
        let (address, target) = (self.address, format!("/v1/records{query}"));
        let headers = authorization.to_owned();
        let asked = spawn_blocking(move || http::get(address, &target, &headers));
        asked.await.unwrap().unwrap()
    }

    async fn get(&self, query: &str, token: &str) -> Answer {
        let header = format!("Authorization: Bearer {token}\r\n");
        let http::Answer { status, head, body } = self.raw(query, &header).await;
        let mut lines = if status == 200 {
            parse_lines(body.as_bytes())
        } else {
            Vec::new()
        };
        let last = lines.pop().unwrap_or_default();
        Answer {
            status,
            head,
            records: lines,
            cursor: last["cursor"].as_str().unwrap_or_default().to_owned(),
            more: last["more"].as_bool().unwrap_or_default(),
            body,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_of_a_consumer_nothing_is_told() {
    let server = serve().await;
    add(&server.log, GAS, &everyday());
    let almost = &GAS_TOKEN[..GAS_TOKEN.len() - 1];
    let wrong = [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: Basic {GAS_TOKEN}\r\n"),
        format!("Authorization: Bearer {almost}\r\n"),
        format!("Authorization: Bearer {GAS_TOKEN}x\r\n"),
        format!("Authorization: Bearer {}\r\n", "y".repeat(4_000)),
    ];
    for header in wrong {
        let http::Answer { status, head, body } = server.raw("", &header).await;
        assert_eq!(status, 401, "{header}");
        assert!(head.contains("application/problem+json") && head.contains("no-store"));
        assert!(head.contains("www-authenticate: bearer"));
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_the_records_of_its_utility_alone() {
    let server = serve().await;
    for _ in 0..3 {
        add(&server.log, GAS, &everyday());
        add(&server.log, WATER, &plaintext_of(" record_health"));
    }
    let gas = server.get("", GAS_TOKEN).await;
    assert!(gas.head.contains("transfer-encoding: chunked") && gas.head.contains("no-store"));
    assert_eq!(gas.records.len(), 3);
    let other = GAS.to_string();
    assert!(gas.records.iter().all(|record| record["utility"] == other));
    let water = server.get("", WATER_TOKEN).await;
    assert_eq!(water.records.len(), 3);
    assert!(!water.body.contains(&other));
    // And its cursor is no other's.
    let stolen = server
        .get(&format!("?after={}", gas.cursor), WATER_TOKEN)
        .await;
    assert_eq!(stolen.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_durable_and_what_is_not_comes_again() {
    let server = serve().await;
    for _ in 0..4 {
        add(&server.log, GAS, &everyday());
    }
    let first = server.get("?max=2", GAS_TOKEN).await;
    assert_eq!((first.records.len(), first.more), (2, true));
    let again = server.get("?max=2", GAS_TOKEN).await;
    assert_eq!(ids(&again.records), ids(&first.records));
    let before = durable_cursors(&server.log)["gas"];
    let query = format!("?max=2&after={}", first.cursor);
    let second = server.get(&query, GAS_TOKEN).await;
    assert_eq!(second.records.len(), 2);
    assert_ne!(second.records[0]["position"], first.records[0]["position"]);
    let after = durable_cursors(&server.log)["gas"];
    assert!(after.bulk > before.bulk);
    // An old cursor asks for old records, and takes nothing back.
    assert_eq!(server.get(&query, GAS_TOKEN).await.records, second.records);
    assert_eq!(durable_cursors(&server.log)["gas"], after);
    let last = server
        .get(&format!("?after={}", second.cursor), GAS_TOKEN)
        .await;
    assert_eq!((last.records.len(), last.more), (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_acknowledged_apart() {
    let server = serve().await;
    add(&server.log, GAS, &everyday());
    add(&server.log, GAS, &alarm());
    let alarms = server.get("?lane=alarm", GAS_TOKEN).await;
    assert_eq!(alarms.records.len(), 1);
    assert_eq!(alarms.records[0]["lane"], "alarm");
    let query = format!("?lane=alarm&after={}", alarms.cursor);
    assert!(server.get(&query, GAS_TOKEN).await.records.is_empty());
    let rest = server.get("", GAS_TOKEN).await;
    assert_eq!(rest.records.len(), 1);
    assert_eq!(rest.records[0]["lane"], "bulk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_wakes_up_for_a_record_and_not_for_anothers() {
    let server = Arc::new(serve().await);
    let polling = Arc::clone(&server);
    let poll = tokio::spawn(async move { polling.get("?wait_s=30", GAS_TOKEN).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = Arc::clone(&server.log);
    add(&log, WATER, &everyday());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!poll.is_finished());
    add(&log, GAS, &everyday());
    let answer = tokio::time::timeout(Duration::from_secs(10), poll)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.records.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_waits_looks_at_a_busy_log_some_times_a_second_with_one_open_file() {
    let server = Arc::new(serve().await);
    add(&server.log, WATER, &everyday());
    let polling = Arc::clone(&server);
    let poll = tokio::spawn(async move { polling.get("?wait_s=30", GAS_TOKEN).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = server.fs.counts();
    let (plaintext, began) = (everyday(), Instant::now());
    while began.elapsed() < Duration::from_secs(1) {
        add(&server.log, WATER, &plaintext);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let after = server.fs.counts();
    add(&server.log, GAS, &plaintext);
    let answer = poll.await.unwrap();
    assert_eq!(answer.records.len(), 1);
    assert_eq!(after.opens, before.opens, "the log was opened again");
    let reads = after.reads - before.reads;
    assert!((5..50).contains(&reads), "{reads} reads in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_a_consumer_are_limited_and_one_that_waited_in_vain_ends_empty() {
    let server = Arc::new(serve().await);
    let polls: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.get("?wait_s=2", GAS_TOKEN).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fifth = server.get("", GAS_TOKEN).await;
    assert_eq!(fifth.status, 429);
    assert!(fifth.head.contains("retry-after"));
    assert_eq!(server.get("", WATER_TOKEN).await.status, 200);
    for poll in polls {
        let answer = poll.await.unwrap();
        assert_eq!(
            (answer.status, answer.records.len(), answer.more),
            (200, 0, false)
        );
        assert!(!answer.cursor.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_waits_when_the_server_stops_ends_empty_and_whole() {
    let server = Arc::new(serve().await);
    let polling = Arc::clone(&server);
    let poll = tokio::spawn(async move { polling.get("?wait_s=60", GAS_TOKEN).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.cancel();
    let answer = tokio::time::timeout(Duration::from_secs(2), poll)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((answer.status, answer.records.len()), (200, 0));
    assert!(!answer.cursor.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_told() {
    let server = serve().await;
    for query in [
        "?max=0",
        "?max=20001",
        "?wait_s=61",
        "?lane=fast",
        "?after=0-0-0",
        "?after=ffffffffffff-0-00000000",
        "?afterr=1",
        "?max=-1",
    ] {
        let answer = server.get(query, GAS_TOKEN).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.head.contains("application/problem+json"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_in_pieces_and_loses_nothing() {
    let server = serve().await;
    let plaintext = everyday();
    for _ in 0..1_500 {
        add(&server.log, GAS, &plaintext);
    }
    let answer = server.get("?max=20000", GAS_TOKEN).await;
    assert_eq!((answer.records.len(), answer.more), (1_500, false));
    let positions: Vec<u64> = answer
        .records
        .iter()
        .map(|record| record["position"].as_u64().unwrap())
        .collect();
    assert!(positions.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_damage_is_given_and_can_be_acknowledged() {
    let server = serve().await;
    let positions: Vec<_> = (0..6).map(|_| add(&server.log, GAS, &everyday())).collect();
    damage(&server.fs, positions[3]);
    let before = server.get("", GAS_TOKEN).await;
    assert_eq!((before.status, before.records.len()), (200, 3));
    assert!(before.more);
    let after = server
        .get(&format!("?after={}", before.cursor), GAS_TOKEN)
        .await;
    assert_eq!(after.status, 503);
    assert_eq!(server.sinks.list()[0].kept, positions[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_writes_nothing_while_there_are_no_records() {
    let server = serve().await;
    add(&server.log, GAS, &everyday());
    let mut cursor = server.get("", GAS_TOKEN).await.cursor;
    cursor = server
        .get(&format!("?after={cursor}"), GAS_TOKEN)
        .await
        .cursor;
    let end = server.log.durable_end();
    for _ in 0..20 {
        let answer = server.get(&format!("?after={cursor}"), GAS_TOKEN).await;
        assert_eq!((answer.status, answer.records.len()), (200, 0));
        cursor = answer.cursor;
    }
    assert_eq!(server.log.durable_end(), end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_not_given_out_acknowledges_nothing() {
    let server = serve().await;
    for _ in 0..3 {
        add(&server.log, GAS, &everyday());
    }
    let given = server.get("?max=1", GAS_TOKEN).await.cursor;
    let (_, seal) = given.rsplit_once('-').unwrap();
    let end = server.log.durable_end().get();
    let guessed = format!("?after={end:x}-{end:x}-{seal}");
    assert_eq!(server.get(&guessed, GAS_TOKEN).await.status, 400);
    assert_eq!(server.get("", GAS_TOKEN).await.records.len(), 3);
}
