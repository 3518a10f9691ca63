//! The three pages of a supervisor.

use std::process::Stdio;

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
