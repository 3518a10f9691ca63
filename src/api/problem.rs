//! Errors as RFC 9457 describes them.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

/// A refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            header: None,
        }
    }

    /// 400: something in the request is wrong.
    #[must_use]
    pub fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request is wrong.", detail)
    }

    /// 401: no consumer has this token. Says nothing of what consumers there are.
    #[must_use]
    pub fn unknown_token() -> Self {
        let detail = "send the header `Authorization: Bearer <token of a consumer>`";
        Self {
            header: Some((WWW_AUTHENTICATE, "Bearer")),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "No consumer has this token.",
                detail,
            )
        }
    }

    /// 410: the log has forgotten what is asked for.
    #[must_use]
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "These records are gone.", detail)
    }

    /// 429: the consumer polls too often at once.
    #[must_use]
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self {
            header: Some((RETRY_AFTER, "1")),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests at once.",
                detail,
            )
        }
    }

    /// 503: the server cannot do it now. The cause is for its log, not for the consumer.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            header: Some((RETRY_AFTER, "10")),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now.", detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
