//! The three pages of a supervisor.

use std::net::TcpStream;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::serve::http::get;
use super::serve::running::terminate;
use super::town::{Town, until};

#[test]
fn a_server_says_that_it_lives_that_it_is_ready_and_what_it_counts() {
    let town = Town::new("");
    let server = town.site.start(Stdio::null());
    let page = |target: &str| get(town.site.http, target, "").unwrap();
    let health = page("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = page("/readyz");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body, r#"{"ready":true,"reasons":[]}"#);
    let metrics = page("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .head
            .contains("content-type: application/openmetrics-text")
    );
    assert!(metrics.body.ends_with("# EOF\n"));
    assert_eq!(page("/v1/terminals").status, 404);
    assert_eq!(terminate(server), Some(0));
    until("the port is closed", || {
        get(town.site.http, "/healthz", "").is_err()
    });
}

#[test]
fn a_server_that_stops_says_over_http_that_it_drains_until_its_sessions_have_ended() {
    let town = Town::new("");
    let mut server = town.site.start(Stdio::null());
    // It does not end its half of the connection, and so the drain waits for it.
    let held = TcpStream::connect(town.site.tcp).unwrap();
    // The system has it from now on; the server once it has accepted it.
    until("the server holds the connection", || {
        let metrics = get(town.site.http, "/metrics", "").unwrap();
        metrics
            .body
            .lines()
            .any(|line| line == "kenshin_tcp_connections 1")
    });
    assert_eq!(get(town.site.http, "/readyz", "").unwrap().status, 200);
    server.signal(Signal::SIGTERM);
    until("it says that it drains", || {
        let ready = get(town.site.http, "/readyz", "");
        ready.is_ok_and(|ready| ready.status == 503 && ready.body.contains("draining"))
    });
    let alive = get(town.site.http, "/healthz", "").unwrap();
    assert_eq!(alive.status, 200);
    assert_eq!(server.ended(), Some(0));
    drop(held);
}
