use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// An answer that tells what is wrong, as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) has it: `application/problem+json`.
///
/// ```
/// use es_http::Problem;
///
/// let problem = Problem::new(422, "insufficient-funds").detail("the balance is 20").with("balance", 20);
/// assert_eq!(problem.status(), 422);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a problem is an answer: return it"]
pub struct Problem {
    status: StatusCode,
    kind: Cow<'static, str>,
    detail: Option<String>,
    fields: Map<String, Value>,
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem with this status, of this kind: the `type` of the answer is `urn:problem-type:<kind>`, unless the kind is a URI itself.
    ///
    /// # Panics
    ///
    /// If `status` is not one of 400 to 599.
    #[track_caller]
    pub fn new(status: u16, kind: impl Into<Cow<'static, str>>) -> Self {
        let status = match StatusCode::from_u16(status) {
            Ok(status) if status.is_client_error() || status.is_server_error() => status,
            _ => panic!("a problem has a status of 400 to 599, not {status}"),
        };
        Self {
            status,
            kind: kind.into(),
            detail: None,
            fields: Map::new(),
            retry_after: None,
        }
    }

    /// Tells a human what is wrong this time.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a field for programs. `type`, `title`, `status` and `detail` are the problem's own and are not replaced. A value that
    /// JSON cannot hold is `null`.
    pub fn with(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.fields.insert(name.into(), value);
        self
    }

    /// Says that the same request may succeed after so many seconds: `Retry-After`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns the kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = self.fields.clone();
        let uri = if self.kind.contains(':') {
            self.kind.to_string()
        } else {
            format!("urn:problem-type:{}", self.kind)
        };
        body.insert("type".to_owned(), uri.into());
        let title = self
            .kind
            .rsplit([':', '/'])
            .next()
            .unwrap_or_default()
            .replace('-', " ");
        body.insert("title".to_owned(), title.into());
        body.insert("status".to_owned(), self.status().into());
        if let Some(detail) = &self.detail {
            body.insert("detail".to_owned(), detail.as_str().into());
        }
        body.into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.body().to_string();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
