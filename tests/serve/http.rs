//! HTTP by hand, so that a test sees every octet; and the three pages of a supervisor.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::serve::running::{signal, terminate};
use super::town::{Town, until};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str, headers: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets)?;
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| std::io::Error::other("no answer"))?;
    let head = String::from_utf8_lossy(&octets[..end]).to_lowercase();
    let mut body = octets.split_off(end + 4);
    if head.contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Ok(Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: String::from_utf8(body).unwrap(),
    })
}

/// The octets of a chunked body, which must have its end.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let at = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&body[..at]).unwrap(), 16).unwrap();
        if len == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[at + 2..at + 2 + len]);
        body = &body[at + 4 + len..];
    }
}

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
    assert_eq!(get(town.site.http, "/readyz", "").unwrap().status, 200);
    signal(server.id(), Signal::SIGTERM);
    until("it says that it drains", || {
        let ready = get(town.site.http, "/readyz", "");
        ready.is_ok_and(|ready| ready.status == 503 && ready.body.contains("draining"))
    });
    let alive = get(town.site.http, "/healthz", "").unwrap();
    assert_eq!(alive.status, 200);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    drop(held);
}
