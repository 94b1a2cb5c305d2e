//! The headers of a message: the binary content mode of CloudEvents on NATS.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md>, and for the escapes
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values>.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use es_runtime::publication::Outgoing;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The characters that a header value has as escapes, besides all that is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The headers of the message, with the id by which the server knows a repetition for a while.
pub(super) fn headers(message: &Outgoing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let escaped = |value: &str| utf8_percent_encode(value, ESCAPED).to_string();
    for (attribute, value) in message.attributes() {
        headers.insert(format!("ce-{attribute}"), escaped(&value));
    }
    headers.insert("content-type", Outgoing::CONTENT_TYPE);
    // One stream may take what several publications make of the same event.
    let id = format!("{}/{}", message.publication, message.id);
    headers.insert(NATS_MESSAGE_ID, escaped(&id));
    headers
}
