//! One request, and what its headers say.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::FromRequest as _;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use es_runtime::runtime::AnyRequest;
use es_runtime::{Position, Runtime, Version};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Problem;
use crate::app::App;
use crate::errors::{malformed, outdated};

const AFTER: &str = "es-after";
const KEY: &str = "idempotency-key";
const CORRELATION: &str = "x-correlation-id";
const TRACEPARENT: &str = "traceparent";

/// The headers that an answer repeats.
const ECHOED: [&str; 2] = [CORRELATION, TRACEPARENT];

/// A request to be answered.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) actor: Option<String>,
    pub(crate) parts: Parts,
    pub(crate) body: Body,
}

impl Call {
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.app.runtime
    }

    /// The part of the path with this index, decoded.
    pub(crate) fn segment(&self, index: usize) -> Result<String, Problem> {
        let segment = self.parts.uri.path().split('/').nth(index + 1).unwrap_or_default();
        let decoded = percent_decode_str(segment).decode_utf8().ok();
        // No id, key or name holds a NUL, and not every database can be asked for one.
        let decoded = decoded.filter(|text| !text.contains('\0'));
        decoded
            .map(Into::into)
            .ok_or_else(|| malformed("path", "behind its percent signs it is UTF-8 without NUL"))
    }

    /// The text of a header that may stand once.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.parts.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(malformed(name, "it stands more than once"));
        }
        let text = value.to_str().ok().filter(|text| text.len() <= 255);
        text.map(|text| Some(text.trim()))
            .ok_or_else(|| malformed(name, "it is up to 255 visible ASCII characters"))
    }

    /// The options of a command.
    pub(crate) fn request(&self) -> Result<AnyRequest, Problem> {
        let mut request = AnyRequest::new();
        if let Some(version) = self.expected()? {
            request = request.expect_version(version);
        }
        if let Some(key) = self.key()? {
            request = request.idempotency_key(key);
        }
        if let Some(actor) = &self.actor {
            request = request.actor(actor);
        }
        if let Some(id) = self.header(CORRELATION)? {
            request = request.correlation(id);
        }
        if let Some(traceparent) = self.header(TRACEPARENT)? {
            request = request.traceparent(traceparent);
        }
        Ok(request)
    }

    /// The version that the sender demands.
    fn expected(&self) -> Result<Option<Version>, Problem> {
        let (matching, none) = (self.header("if-match")?, self.header("if-none-match")?);
        match (matching, none) {
            (None, None) => Ok(None),
            (None, Some("*")) => Ok(Some(Version::ZERO)),
            (None, Some(_)) => Err(malformed("If-None-Match", "for a command it is `*`: only a new one")),
            (Some(_), Some(_)) => Err(malformed("If-Match", "it stands beside `If-None-Match`")),
            (Some(tag), None) => {
                let inner = tag.strip_prefix("W/").unwrap_or(tag);
                let inner = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
                let inner = inner.filter(|inner| !inner.contains('"'));
                let inner = inner.ok_or_else(|| malformed("If-Match", "it is one `ETag`, such as `\"7\"`"))?;
                // An `ETag` that is none of ours, or a weak one, is that of no version.
                let version = inner.parse().ok().filter(|version| tag == format!("\"{version}\""));
                version
                    .map(|version: u64| Some(Version(version)))
                    .ok_or_else(|| outdated(None))
            }
        }
    }

    /// The idempotency key of the request in the scope of its actor, as one in the whole store.
    pub(crate) fn key(&self) -> Result<Option<String>, Problem> {
        let Some(key) = self.header(KEY)? else {
            if self.app.requires_keys {
                return Err(malformed("Idempotency-Key", "each command needs one"));
            }
            return Ok(None);
        };
        // A string of RFC 9651, or just so.
        let key = key
            .strip_prefix('"')
            .and_then(|key| key.strip_suffix('"'))
            .unwrap_or(key);
        if key.is_empty() {
            return Err(malformed("Idempotency-Key", "it is empty"));
        }
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        Ok(Some(match &self.actor {
            Some(actor) => format!("http/{}/{}", part(actor), part(key)),
            None => format!("http/{}", part(key)),
        }))
    }

    /// The position whose effects the answer must show.
    pub(crate) fn after(&self) -> Result<Option<Position>, Problem> {
        let Some(text) = self.header(AFTER)? else {
            return Ok(None);
        };
        let position = text
            .parse()
            .map(Position)
            .ok()
            .filter(|position| *position <= Position::MAX);
        position
            .map(Some)
            .ok_or_else(|| malformed("ES-After", "it is a position, such as 8123"))
    }

    /// The JSON of the request; empty if there is no body.
    pub(crate) async fn json(self) -> Result<Bytes, Problem> {
        let is_json = self.parts.headers.get(header::CONTENT_TYPE).is_some_and(is_json);
        let body = Bytes::from_request(Request::from_parts(self.parts, self.body), &()).await;
        let body = body.map_err(|rejection| {
            let rejection = rejection.into_response();
            match rejection.status().as_u16() {
                413 => Problem::new(413, "too-large").detail("the body is too large"),
                _ => Problem::new(400, "malformed").detail("the body could not be read"),
            }
        })?;
        // Browsers send other types without asking: that would let every site send commands.
        if !body.is_empty() && !is_json {
            return Err(
                Problem::new(415, "unsupported-media-type").detail("a body is `Content-Type: application/json`")
            );
        }
        Ok(body)
    }
}

fn is_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

/// The headers of a request that its answer repeats.
pub(crate) struct Echo(Vec<(HeaderName, HeaderValue)>);

impl Echo {
    pub(crate) fn of(parts: &Parts) -> Self {
        let echoed = ECHOED.iter().filter_map(|name| {
            let value = parts.headers.get(*name)?;
            Some((HeaderName::from_static(name), value.clone()))
        });
        Self(echoed.collect())
    }

    pub(crate) fn onto(self, mut response: Response) -> Response {
        response.headers_mut().extend(self.0);
        response
    }
}
