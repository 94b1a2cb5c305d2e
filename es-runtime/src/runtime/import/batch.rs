use std::collections::HashSet;
use std::num::NonZeroUsize;

use uuid::Uuid;

use super::past::{Events, IsSame};
use crate::store::{Append, StreamAppend};
use crate::{AppendId, ExpectedVersion, Limits, NewEvent, StreamId, Version};

/// The events of one item, or as many of them as have room in a batch.
pub(super) struct Part {
    pub(super) item: u64,
    pub(super) stream: StreamId,
    /// The number of its first event among all events of the import.
    pub(super) first: u64,
    /// The name of that event, and whether it creates the aggregate.
    pub(super) first_event: (&'static str, bool),
    pub(super) events: Vec<NewEvent>,
    pub(super) is_same: IsSame,
    /// The version of the stream behind which it goes, if that was looked up.
    pub(super) behind: Option<Version>,
}

/// Consecutive items that are appended at once.
#[derive(Default)]
pub(super) struct Batch {
    parts: Vec<Part>,
    streams: HashSet<StreamId>,
    events: usize,
    bytes: usize,
}

/// The bounds of what an import holds in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Events in a batch; one in any case.
    pub(super) events: usize,
    /// Bytes of their payloads and metadata.
    pub(super) bytes: usize,
    /// Streams of which is kept how far they are imported. What is forgotten is read from the store.
    pub(super) streams: NonZeroUsize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            events: 1_000,
            bytes: 4 << 20,
            streams: NonZeroUsize::new(100_000).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

impl Most {
    /// So many events, and not more than the store takes.
    pub(super) fn within(self, limits: &Limits) -> Self {
        Self {
            events: self.events.clamp(1, limits.events.max(1)),
            bytes: self.bytes.min(limits.bytes),
            ..self
        }
    }
}

impl Batch {
    /// Adds as many of the item's events as have room, from the first on, and gives back the rest.
    ///
    /// An append stores the events of a stream one behind the other. So that the log has the order of the source, no
    /// stream comes again in a batch behind another one.
    pub(super) fn add(&mut self, item: u64, stream: &StreamId, first: u64, events: &mut Events, most: Most) {
        let comes_again = self.parts.last().is_some_and(|last| last.stream != *stream) && self.streams.contains(stream);
        let Some((name, creates)) = events.first.filter(|_| !comes_again) else {
            return;
        };
        let mut taken = 0;
        for event in &events.new {
            let bytes = size(event);
            let has_room = self.events < most.events && self.bytes + bytes <= most.bytes;
            if !has_room && self.events > 0 {
                break;
            }
            taken += 1;
            self.events += 1;
            self.bytes += bytes;
        }
        if taken == 0 {
            return;
        }
        let rest = events.new.split_off(taken);
        let part = Part {
            item,
            stream: stream.clone(),
            first,
            first_event: (name, creates),
            events: std::mem::replace(&mut events.new, rest),
            is_same: events.is_same,
            behind: None,
        };
        // The rest does not begin with the first event of its item.
        events.first = Some((name, false));
        self.streams.insert(stream.clone());
        self.parts.push(part);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }
}

fn size(event: &NewEvent) -> usize {
    let metadata = if event.metadata.is_empty() {
        0
    } else {
        event.metadata.to_json().len()
    };
    event.payload.len() + metadata
}

/// The parts as one append, whose id is that of its content: at another run of the import it is the same append.
///
/// `known` says of a stream that was not looked up how far it is imported.
pub(super) fn append(import: AppendId, parts: &[Part], known: impl Fn(&StreamId) -> Version) -> Append {
    let mut content = Vec::new();
    let mut streams: Vec<StreamAppend> = Vec::new();
    for part in parts {
        let mut add = |bytes: &[u8]| {
            content.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            content.extend_from_slice(bytes);
        };
        add(part.stream.category().as_bytes());
        add(part.stream.id().as_bytes());
        for event in &part.events {
            add(event.id.0.as_bytes());
            add(event.name.as_bytes());
            add(&event.shape_version.to_be_bytes());
            add(&event.payload);
            add(event.metadata.to_json().as_bytes());
        }
        match streams.last_mut() {
            Some(last) if last.stream == part.stream => last.events.extend_from_slice(&part.events),
            _ => streams.push(StreamAppend {
                stream: part.stream.clone(),
                expected: match part.behind.unwrap_or_else(|| known(&part.stream)) {
                    Version::ZERO => ExpectedVersion::NoStream,
                    version => ExpectedVersion::Exact(version),
                },
                last: None,
                events: part.events.clone(),
            }),
        }
    }
    Append {
        id: AppendId(Uuid::new_v5(&import.0, &content)),
        key: None,
        streams,
    }
}
