//! HTTP by hand, so that a test sees every octet; and the three pages of a supervisor.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use super::serve::running::terminate;
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
