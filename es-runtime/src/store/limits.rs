use super::{Append, AppendError};
use crate::StreamId;

/// How many levels of nested arrays and objects can be read back.
pub(crate) const DEPTH: usize = 127;

/// How large the parts of an append may be. Checked before any I/O; the edge itself is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one event's payload.
    pub payload: usize,
    /// Bytes of one event's metadata in JSON.
    pub metadata: usize,
    /// Levels of nested arrays and objects in a payload. Deeper ones could be stored but not be read.
    pub payload_depth: usize,
    /// Levels of nested arrays and objects in one event's metadata in JSON, of which two are around each free-form entry. Deeper ones could
    /// be stored but not be read.
    pub metadata_depth: usize,
    /// Streams in one append, those that are only read among them.
    pub streams: usize,
    /// Events in one append.
    pub events: usize,
    /// Bytes of all payloads and metadata in one append.
    pub bytes: usize,
    /// Bytes of a stream's category.
    pub category: usize,
    /// Bytes of a stream's id.
    pub stream_id: usize,
    /// Bytes of an event's name.
    pub event_name: usize,
    /// Bytes of an idempotency key.
    pub idempotency_key: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload: 1 << 20,
            metadata: 64 << 10,
            payload_depth: DEPTH,
            metadata_depth: DEPTH,
            streams: 10_000,
            events: 10_000,
            bytes: 16 << 20,
            category: 128,
            stream_id: 512,
            event_name: 128,
            idempotency_key: 512,
        }
    }
}

/// A part of an append is larger than the store's [`Limits`] allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is too large: {actual} {unit}, the limit is {limit}")]
pub struct LimitExceeded {
    /// Which part, such as ``the payload of event `opened` ``.
    pub what: String,
    /// What is counted: `bytes`, `events`, `levels`, `streams`.
    pub unit: &'static str,
    /// How many are allowed.
    pub limit: usize,
    /// How many there were.
    pub actual: usize,
}

impl Limits {
    /// Checks what every store checks before any I/O: that the append is well formed, and within these limits.
    ///
    /// # Errors
    ///
    /// [`AppendError::Invalid`], [`AppendError::DuplicateEventId`] or [`AppendError::LimitExceeded`], for the first
    /// thing found.
    pub fn check(&self, append: &Append) -> Result<(), AppendError> {
        let events: usize = append.streams.iter().map(|part| part.events.len()).sum();
        if append.streams.is_empty() || (events == 0 && append.key.is_none()) {
            return Err(AppendError::invalid("an append needs at least one event"));
        }
        within("the append", "streams", self.streams, append.streams.len())?;
        within("the append", "events", self.events, events)?;
        if let Some(key) = &append.key {
            if key.key.is_empty() {
                return Err(AppendError::invalid("an idempotency key must not be empty"));
            }
            without_nul("the idempotency key", &key.key)?;
            within("the idempotency key", "bytes", self.idempotency_key, key.key.len())?;
        }
        for part in &append.streams {
            self.check_stream(&part.stream)?;
        }
        if append.streams.len() > 1 {
            unique_streams(append)?;
        }
        let mut bytes = 0;
        for event in append.events() {
            if event.name.is_empty() {
                return Err(AppendError::invalid("an event's name must not be empty"));
            }
            without_nul("an event's name", &event.name)?;
            if i32::try_from(event.shape_version).is_err() {
                return Err(AppendError::invalid(format!(
                    "event `{}` has shape version {}, the largest is {}",
                    event.name,
                    event.shape_version,
                    i32::MAX
                )));
            }
            within("an event's name", "bytes", self.event_name, event.name.len())?;
            within(
                format_args!("the payload of event `{}`", event.name),
                "bytes",
                self.payload,
                event.payload.len(),
            )?;
            let depth = depth_above(&event.payload, self.payload_depth);
            within(
                format_args!("the payload of event `{}`", event.name),
                "levels",
                self.payload_depth,
                depth,
            )?;
            bytes += event.payload.len();
            if !event.metadata.is_empty() {
                // First, as the stored form of a value that is too deep cannot be made.
                within(
                    format_args!("the metadata of event `{}`", event.name),
                    "levels",
                    self.metadata_depth,
                    event.metadata.depth(),
                )?;
                let metadata = event.metadata.to_json().len();
                within(
                    format_args!("the metadata of event `{}`", event.name),
                    "bytes",
                    self.metadata,
                    metadata,
                )?;
                bytes += metadata;
            }
        }
        within("the append", "bytes", self.bytes, bytes)?;
        if events > 1 { unique_event_ids(append) } else { Ok(()) }
    }

    fn check_stream(&self, stream: &StreamId) -> Result<(), AppendError> {
        if stream.category().is_empty() || stream.id().is_empty() {
            return Err(AppendError::invalid(format!(
                "stream `{stream}` needs a category and an id"
            )));
        }
        without_nul("the stream's category", stream.category())?;
        without_nul("the stream's id", stream.id())?;
        within("the stream's category", "bytes", self.category, stream.category().len())?;
        within("the stream's id", "bytes", self.stream_id, stream.id().len())
    }
}

fn within(what: impl std::fmt::Display, unit: &'static str, limit: usize, actual: usize) -> Result<(), AppendError> {
    if actual <= limit {
        return Ok(());
    }
    Err(AppendError::LimitExceeded(LimitExceeded {
        what: what.to_string(),
        unit,
        limit,
        actual,
    }))
}

/// Not every database can keep a NUL in a text.
fn without_nul(what: &str, text: &str) -> Result<(), AppendError> {
    if text.contains('\0') {
        return Err(AppendError::invalid(format!(
            "{what} {text:?} holds a NUL: leave it out"
        )));
    }
    Ok(())
}

fn unique_streams(append: &Append) -> Result<(), AppendError> {
    let mut streams: Vec<_> = append.streams.iter().map(|part| &part.stream).collect();
    streams.sort_unstable();
    match streams.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(AppendError::invalid(format!(
            "stream `{}` is named twice in one append",
            pair[0]
        ))),
        None => Ok(()),
    }
}

fn unique_event_ids(append: &Append) -> Result<(), AppendError> {
    let mut ids: Vec<_> = append.events().map(|event| event.id).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(AppendError::DuplicateEventId(pair[0])),
        None => Ok(()),
    }
}

/// How deep the JSON text nests, or 0 if it is too short to nest deeper than `limit`.
pub(crate) fn depth_above(json: &[u8], limit: usize) -> usize {
    if json.len() < 2 * (limit + 1) {
        return 0;
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
