//! Parts that several answers have.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

pub(crate) const POSITION: HeaderName = HeaderName::from_static("es-position");
pub(crate) const REPEATED: HeaderName = HeaderName::from_static("es-repeated");

/// A `200` with this JSON.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (content_type, body.into()).into_response()
}

/// The strong `ETag` of a version or position.
pub(crate) fn etag(number: u64) -> HeaderValue {
    let text = format!("\"{number}\"");
    HeaderValue::from_str(&text).unwrap_or_else(|_| unreachable!("digits in quotes are a header's value"))
}

/// Adds the link to the next page, if there is one.
pub(crate) fn link_to(next: Option<&str>, response: &mut Response) {
    let link = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
    response.headers_mut().extend(link.map(|link| (header::LINK, link)));
}
