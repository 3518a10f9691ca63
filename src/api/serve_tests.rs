use std::net::SocketAddr;

use axum::body::Body;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

const SHORT: Duration = Duration::from_millis(300);
/// Long enough for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

async fn rig(limits: HttpLimits) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let large = || async { Body::from(vec![b'x'; 64 << 20]) };
    let poll = |Extension(Stopping(stop)): Extension<Stopping>| async move {
        tokio::select! {
            () = stop.cancelled() => "the server stops",
            () = sleep(SHORT * 3) => "nothing came",
        }
    };
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/large", get(large))
        .route("/poll", get(poll))
        .route("/stuck", get(async || sleep(PATIENCE * 10).await));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router, limits, stop.clone()));
    Rig {
        address,
        stop,
        serving,
    }
}

async fn connect(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.address).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// What comes next; nothing at the end of the connection.
async fn next(stream: &mut TcpStream) -> String {
    let mut octets = vec![0; 4_096];
    let len = timeout(PATIENCE, stream.read(&mut octets)).await.unwrap();
    String::from_utf8_lossy(&octets[..len.unwrap_or(0)]).into_owned()
}

#[tokio::test]
async fn a_head_that_dribbles_is_cut() {
    let rig = rig(HttpLimits {
        head: SHORT,
        ..HttpLimits::default()
    })
    .await;
    let mut slow = connect(&rig).await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let dribbling = async {
        while slow.write_all(b"a: b\r\n").await.is_ok() {
            sleep(SHORT / 6).await;
        }
    };
    timeout(PATIENCE, dribbling).await.expect("it is cut");
}

#[tokio::test]
async fn a_connection_that_is_idle_after_an_answer_ends() {
    let rig = rig(HttpLimits {
        head: SHORT,
        ..HttpLimits::default()
    })
    .await;
    let mut idle = connect(&rig).await;
    for _ in 0..2 {
        ask(&mut idle, "/").await;
        assert!(next(&mut idle).await.ends_with("here"));
    }
    assert_eq!(next(&mut idle).await, "");
}

#[tokio::test]
async fn a_head_beyond_its_size_is_refused() {
    let rig = rig(HttpLimits {
        head_octets: 8_192,
        ..HttpLimits::default()
    })
    .await;
    let mut large = connect(&rig).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}", "b".repeat(20_000));
    // The refusal may come before all is sent.
    large.write_all(head.as_bytes()).await.ok();
    let answer = next(&mut large).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_beyond_the_cap_waits_until_one_ends() {
    let rig = rig(HttpLimits {
        connections_max: 2,
        ..HttpLimits::default()
    })
    .await;
    let (mut first, mut second) = (connect(&rig).await, connect(&rig).await);
    for stream in [&mut first, &mut second] {
        ask(stream, "/").await;
        assert!(next(stream).await.ends_with("here"));
    }
    let mut third = connect(&rig).await;
    ask(&mut third, "/").await;
    assert!(timeout(SHORT, third.readable()).await.is_err(), "it waits");
    drop(first);
    assert!(next(&mut third).await.ends_with("here"));
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_and_its_place_is_free() {
    let rig = rig(HttpLimits {
        connections_max: 1,
        unread: SHORT,
        ..HttpLimits::default()
    })
    .await;
    let mut deaf = connect(&rig).await;
    ask(&mut deaf, "/large").await;
    let mut other = connect(&rig).await;
    ask(&mut other, "/").await;
    assert!(next(&mut other).await.ends_with("here"));
}

#[tokio::test]
async fn a_long_poll_waits_to_its_end_beyond_the_deadline_of_heads() {
    let rig = rig(HttpLimits {
        head: SHORT,
        unread: SHORT,
        ..HttpLimits::default()
    })
    .await;
    let mut polling = connect(&rig).await;
    ask(&mut polling, "/poll").await;
    assert!(next(&mut polling).await.ends_with("nothing came"));
}

#[tokio::test]
async fn a_stop_ends_long_polls_with_an_answer_and_cuts_what_is_stuck() {
    let rig = rig(HttpLimits::default()).await;
    let (mut polling, mut stuck) = (connect(&rig).await, connect(&rig).await);
    ask(&mut polling, "/poll").await;
    ask(&mut stuck, "/stuck").await;
    sleep(SHORT / 3).await;
    rig.stop.cancel();
    assert!(next(&mut polling).await.ends_with("the server stops"));
    assert_eq!(next(&mut polling).await, "");
    assert_eq!(next(&mut stuck).await, "");
    timeout(STOP_MAX, rig.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[tokio::test]
async fn an_old_connection_ends_after_its_answer() {
    let rig = rig(HttpLimits {
        age: SHORT,
        ..HttpLimits::default()
    })
    .await;
    let mut old = connect(&rig).await;
    ask(&mut old, "/poll").await;
    assert!(next(&mut old).await.ends_with("nothing came"));
    assert_eq!(next(&mut old).await, "");
}
