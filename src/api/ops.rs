//! What a supervisor and a metrics collector ask: `/healthz`, `/readyz` and `/metrics`.
//!
//! `/healthz` says that the process lives and answers, nothing more: a supervisor that restarts on
//! it must not restart a server that is read-only for a full disk, since that would not help.
//! `/readyz` says whether terminals are served: 200, or 503 with the reasons. None of them needs a
//! token, and none tells anything of a terminal.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::telemetry::{Levels, Metrics};

/// The media type of OpenMetrics in text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A reason for not serving terminals.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unready {
    /// What is not ready, such as `log` or `sessions`.
    pub part: &'static str,
    /// Why, for operators.
    pub reason: String,
}

/// Whoever knows how the server is. Asked at each request, so it must not block.
pub trait HealthSource: Send + Sync + 'static {
    /// Why terminals are not served; nothing if sessions are accepted and the log can be written.
    fn unready(&self) -> Vec<Unready>;

    /// The present state in numbers.
    fn levels(&self) -> Levels;
}

/// The answer to `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Unready>,
}

#[derive(Clone)]
struct Ops {
    health: Arc<dyn HealthSource>,
    metrics: Arc<Metrics>,
}

/// The routes of this module.
pub fn router(health: Arc<dyn HealthSource>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(Ops { health, metrics })
}

async fn readyz(State(ops): State<Ops>) -> Response {
    let reasons = ops.health.unready();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, reasons })).into_response()
}

async fn render(State(ops): State<Ops>) -> Response {
    match ops.metrics.render(&ops.health.levels()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[derive(Default)]
    struct Scripted {
        unready: Mutex<Vec<Unready>>,
    }

    impl HealthSource for Scripted {
        fn unready(&self) -> Vec<Unready> {
            self.unready.lock().clone()
        }

        fn levels(&self) -> Levels {
            Levels {
                hot_terminals: 12,
                ..Levels::default()
            }
        }
    }

    /// Sends one request to the router, and returns the whole answer.
    async fn ask(health: &Arc<Scripted>, path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(health.clone(), Arc::new(Metrics::new(["cloud"])));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serving.abort();
        answer
    }

    #[tokio::test]
    async fn a_server_that_is_not_ready_says_why_and_still_lives() {
        let health = Arc::new(Scripted::default());
        let answer = ask(&health, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.ends_with(r#"{"ready":true,"reasons":[]}"#),
            "{answer}"
        );

        *health.unready.lock() = vec![Unready {
            part: "log",
            reason: "the disk is full".to_owned(),
        }];
        let answer = ask(&health, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let reasons = r#"[{"part":"log","reason":"the disk is full"}]"#;
        assert!(answer.contains(reasons), "{answer}");
        let answer = ask(&health, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_with_the_present_levels() {
        let answer = ask(&Arc::new(Scripted::default()), "/metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text"));
        assert!(answer.contains("\nkenshin_hot_terminals 12\n"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }
}
