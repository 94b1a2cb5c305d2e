//! The lines of an archive as JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::contents::Record;
use super::{Archived, FORMAT};
use crate::store::{Append, Change, IdempotencyKey, RecordedAppend, StateChange, StateKey, StreamAppend};
use crate::{AppendId, EventId, ExpectedVersion, Metadata, NewEvent, Position, StreamId, Timestamp, Version};

/// A line without its seal: one of its fields.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Header>,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    append: Option<AppendLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    state: Option<StateLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// The content of a line.
pub(super) enum Said {
    Start { format: u32 },
    Record(Record),
    End(End),
}

/// The first line. A later format may have more fields.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
}

/// The last line: what the archive holds.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    appends: u64,
    events: u64,
    states: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendLine<'a> {
    id: Uuid,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    key: Option<KeyLine<'a>>,
    #[serde(borrow)]
    streams: Vec<StreamLine<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    fingerprint: Uuid,
}

/// The part of an append that concerns one stream, which was at `version` before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamLine<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    events: Vec<EventLine<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine<'a> {
    id: Uuid,
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: u32,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    metadata: Option<Cow<'a, RawValue>>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateLine<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    sequence: u64,
    change: ChangeLine,
    shape: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    payload: Option<Payload<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChangeLine {
    Create,
    Update,
    Delete,
}

/// The bytes of a payload: as the JSON that they are, if that can stand in a line, else as text or in hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Payload<'a> {
    #[serde(borrow)]
    Json(&'a RawValue),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    #[serde(borrow)]
    Hex(Cow<'a, str>),
}

/// More levels than this are written as text: other programs may not read JSON so deep.
const DEEPEST: usize = 64;

impl<'a> Payload<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Hex(hex(bytes).into());
        };
        let has_room = !text.contains(['\n', '\r']) && crate::store::depth_above(bytes, DEEPEST) <= DEEPEST;
        match serde_json::from_str::<&RawValue>(text) {
            // White space around it would be lost.
            Ok(json) if has_room && json.get().len() == text.len() => Self::Json(json),
            _ => Self::Text(text.into()),
        }
    }

    fn bytes(&self) -> Result<Bytes, String> {
        match self {
            Self::Json(json) => Ok(Bytes::copy_from_slice(json.get().as_bytes())),
            Self::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Self::Hex(hex) => unhex(hex).ok_or_else(|| "a payload is not in hexadecimal digits".to_owned()),
        }
    }
}

impl Line<'_> {
    pub(super) fn start() -> Self {
        Self {
            archive: Some(Header { format: FORMAT }),
            ..Self::default()
        }
    }

    pub(super) fn end(archived: Archived) -> Self {
        Self {
            end: Some(End::of(archived)),
            ..Self::default()
        }
    }

    /// Reads a line, from the brace on that stands in the place of the end of its seal.
    pub(super) fn read(json: &[u8]) -> Result<Said, String> {
        let line: Line<'_> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match line {
            Line {
                archive: Some(Header { format }),
                append: None,
                state: None,
                end: None,
            } => Ok(Said::Start { format }),
            Line {
                archive: None,
                append: Some(append),
                state: None,
                end: None,
            } => Ok(Said::Record(Record::Append(append.recorded()?))),
            Line {
                archive: None,
                append: None,
                state: Some(state),
                end: None,
            } => Ok(Said::Record(Record::State(state.change()?))),
            Line {
                archive: None,
                append: None,
                state: None,
                end: Some(end),
            } => Ok(Said::End(end)),
            _ => Err("it is not one of `archive`, `append`, `state` and `end`".to_owned()),
        }
    }
}

impl<'a> Line<'a> {
    /// Adds it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).unwrap_or_else(|_| unreachable!("names, numbers and texts have a JSON form"));
    }

    pub(super) fn json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        self.write(&mut json);
        json
    }

    pub(super) fn of(record: &'a Record) -> Self {
        match record {
            Record::Append(append) => Self {
                append: Some(AppendLine::of(append)),
                ..Self::default()
            },
            Record::State(state) => Self {
                state: Some(StateLine::of(state)),
                ..Self::default()
            },
        }
    }
}

impl End {
    pub(super) fn of(archived: Archived) -> Self {
        Self {
            appends: archived.appends,
            events: archived.events,
            states: archived.states,
        }
    }
}

impl<'a> AppendLine<'a> {
    fn of(recorded: &'a RecordedAppend) -> Self {
        let Append { id, key, streams } = &recorded.append;
        Self {
            id: id.0,
            at: recorded.recorded_at,
            key: key.as_ref().map(|IdempotencyKey { key, fingerprint }| KeyLine {
                key: key.into(),
                fingerprint: *fingerprint,
            }),
            streams: streams.iter().map(StreamLine::of).collect(),
        }
    }

    /// The append, at no position yet.
    fn recorded(self) -> Result<RecordedAppend, String> {
        let streams = self.streams.into_iter().map(StreamLine::part);
        Ok(RecordedAppend {
            append: Append {
                id: AppendId(self.id),
                key: self.key.map(|KeyLine { key, fingerprint }| IdempotencyKey {
                    key: key.into_owned(),
                    fingerprint,
                }),
                streams: streams.collect::<Result<_, _>>()?,
            },
            recorded_at: self.at,
            position: Position::ZERO,
        })
    }
}

impl<'a> StreamLine<'a> {
    fn of(part: &'a StreamAppend) -> Self {
        let version = match part.expected {
            ExpectedVersion::Exact(version) => version,
            _ => Version::ZERO,
        };
        Self {
            category: part.stream.category().into(),
            id: part.stream.id().into(),
            version: version.0,
            events: part.events.iter().map(EventLine::of).collect(),
        }
    }

    fn part(self) -> Result<StreamAppend, String> {
        let events = self.events.into_iter().map(EventLine::event);
        Ok(StreamAppend {
            stream: StreamId::new(self.category.into_owned(), &*self.id),
            expected: ExpectedVersion::Exact(Version(self.version)),
            last: None,
            events: events.collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> EventLine<'a> {
    fn of(event: &'a NewEvent) -> Self {
        let metadata = (!event.metadata.is_empty()).then(|| {
            let json = RawValue::from_string(event.metadata.to_json());
            Cow::Owned(json.unwrap_or_else(|_| unreachable!("the stored form of metadata is JSON")))
        });
        Self {
            id: event.id.0,
            name: (&*event.name).into(),
            shape: event.shape_version,
            metadata,
            payload: Payload::of(&event.payload),
        }
    }

    fn event(self) -> Result<NewEvent, String> {
        let metadata = self.metadata.map(|json| Metadata::from_json(json.get().as_bytes()));
        Ok(NewEvent {
            id: EventId(self.id),
            name: self.name.into_owned().into(),
            shape_version: self.shape,
            payload: self.payload.bytes()?,
            metadata: metadata
                .transpose()
                .map_err(|error| error.to_string())?
                .unwrap_or_default(),
        })
    }
}

impl<'a> StateLine<'a> {
    fn of(state: &'a StateChange) -> Self {
        let StateKey { namespace, kind, id } = &state.key;
        Self {
            namespace: (&**namespace).into(),
            kind: (&**kind).into(),
            id: id.into(),
            sequence: state.sequence,
            change: match state.change {
                Change::Create => ChangeLine::Create,
                Change::Update => ChangeLine::Update,
                Change::Delete => ChangeLine::Delete,
            },
            shape: state.shape,
            payload: state.payload.as_deref().map(Payload::of),
        }
    }

    fn change(self) -> Result<StateChange, String> {
        Ok(StateChange {
            key: StateKey::new(self.namespace, self.kind.into_owned(), self.id),
            sequence: self.sequence,
            change: match self.change {
                ChangeLine::Create => Change::Create,
                ChangeLine::Update => Change::Update,
                ChangeLine::Delete => Change::Delete,
            },
            shape: self.shape,
            payload: self.payload.map(|payload| payload.bytes()).transpose()?,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn unhex(hex: &str) -> Option<Bytes> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
            }
            _ => None,
        })
        .collect()
}
