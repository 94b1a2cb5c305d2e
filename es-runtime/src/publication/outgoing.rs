use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Position, StreamId, Timestamp};

/// A message on its way to a broker, with what a sink tells of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The id of the event that it is made of, and its number among the messages of that event, from 0:
    /// `0194…/0`. The same event gives the same id again, in every process and after every restart.
    pub id: String,
    /// The name of its type.
    pub name: &'static str,
    /// The version of its shape.
    pub shape_version: u32,
    /// The key within which messages are in order: the id of the event's stream unless the publication says otherwise.
    pub key: String,
    /// The publication and its version: `accounts@1`. Together with the id it is unique among all that a store publishes.
    pub publication: Arc<str>,
    /// The publication's [source](super::PublicationInfo::SOURCE).
    pub source: &'static str,
    /// The stream of the event.
    pub stream: StreamId,
    /// The position of the event in the log: it grows within a key, but for messages that are repeated.
    pub position: Position,
    /// The time at which the event happened.
    pub time: Timestamp,
    /// The message as JSON.
    pub payload: Bytes,
    /// The trace to which the event belongs.
    pub traceparent: Option<String>,
}

impl Outgoing {
    /// The media type of the payload.
    pub const CONTENT_TYPE: &str = "application/json";

    /// Returns the context attributes of [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md), without
    /// the prefix that a protocol's binding gives them and without `datacontenttype`, for which a binding has a header of its own:
    /// `specversion`, `id`, `source`, `type`, `subject`, `time`, `dataschema`, and the extensions `partitionkey`, `sequence` and
    /// `traceparent`.
    ///
    /// The sequence is the event's position in 20 digits, as the extension compares text.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let attributes = [
            ("specversion", Cow::Borrowed("1.0")),
            ("id", Cow::Borrowed(&*self.id)),
            ("source", Cow::Borrowed(self.source)),
            ("type", Cow::Borrowed(self.name)),
            ("subject", Cow::Borrowed(self.stream.id())),
            ("time", Cow::Owned(self.time.to_string())),
            (
                "dataschema",
                Cow::Owned(format!("{}/{}", self.name, self.shape_version)),
            ),
            ("partitionkey", Cow::Borrowed(&*self.key)),
            ("sequence", Cow::Owned(format!("{:020}", self.position.0))),
        ];
        let traceparent = self.traceparent.as_deref();
        attributes
            .into_iter()
            .chain(traceparent.map(|id| ("traceparent", Cow::Borrowed(id))))
    }
}
