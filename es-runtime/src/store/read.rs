//! Queries of streams and of the log.

use std::borrow::Cow;

use crate::{Position, RecordedEvent, StreamId, Version};

/// The direction in which events are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the oldest to the newest.
    #[default]
    Forwards,
    /// From the newest to the oldest.
    Backwards,
}

macro_rules! range {
    ($name:ident, $number:ident, $noun:literal) => {
        impl $name {
            #[doc = concat!("From this ", $noun, " on, inclusive. A number above `to` reads nothing.")]
            #[must_use]
            pub fn from(mut self, from: impl Into<$number>) -> Self {
                self.from = from.into();
                self
            }

            #[doc = concat!("Up to this ", $noun, ", inclusive.")]
            #[must_use]
            pub fn to(mut self, to: impl Into<$number>) -> Self {
                self.to = to.into();
                self
            }

            /// From the newest to the oldest.
            #[must_use]
            pub fn backwards(mut self) -> Self {
                self.direction = Direction::Backwards;
                self
            }

            /// At most so many events.
            #[must_use]
            pub fn limit(mut self, limit: u64) -> Self {
                self.limit = Some(limit);
                self
            }

            /// Returns whether the bounds exclude every event.
            pub fn is_empty(&self) -> bool {
                self.from > self.to || self.limit == Some(0)
            }
        }
    };
}

/// A query for the events of a stream: all, unless bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadStream {
    /// The stream.
    pub stream: StreamId,
    /// The lowest version to read.
    pub from: Version,
    /// The highest version to read.
    pub to: Version,
    /// The direction.
    pub direction: Direction,
    /// The most events to read; the range is applied first.
    pub limit: Option<u64>,
}

impl ReadStream {
    /// All events of `stream`, forwards.
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            from: Version::ZERO,
            to: Version::MAX,
            direction: Direction::Forwards,
            limit: None,
        }
    }
}

impl ReadStream {
    /// Returns whether the event matches the query, apart from the limit. For stores.
    pub fn wants(&self, event: &RecordedEvent) -> bool {
        event.stream == self.stream && (self.from..=self.to).contains(&event.version)
    }
}

range!(ReadStream, Version, "version");

/// A query for the events of the store: all, unless bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLog {
    /// The lowest position to read.
    pub from: Position,
    /// The highest position to read.
    pub to: Position,
    /// The direction.
    pub direction: Direction,
    /// The most events to read, after the filter; the range is applied first.
    pub limit: Option<u64>,
    /// The filter; all events if `None`.
    pub only: Option<EventFilter>,
}

impl ReadLog {
    /// Reads only the events that pass the filter. The store itself leaves out the others.
    #[must_use]
    pub fn only(mut self, filter: EventFilter) -> Self {
        self.only = Some(filter);
        self
    }

    /// All events of the store, forwards.
    #[expect(
        clippy::new_without_default,
        reason = "as for `ReadStream`, whose stream has no default"
    )]
    pub fn new() -> Self {
        Self {
            from: Position::ZERO,
            to: Position::MAX,
            direction: Direction::Forwards,
            limit: None,
            only: None,
        }
    }
}

impl ReadLog {
    /// Returns whether the event matches the query, apart from the limit. For stores.
    pub fn wants(&self, event: &RecordedEvent) -> bool {
        (self.from..=self.to).contains(&event.position) && self.only.as_ref().is_none_or(|only| only.matches(event))
    }
}

range!(ReadLog, Position, "position");

/// A filter for events of the log.
///
/// ```
/// # use es_runtime::{StreamId, store::EventFilter};
/// # let alice = StreamId::new("account", "alice");
/// let of_alice = EventFilter::Stream(alice);
/// let all_transfers = EventFilter::category("transfer");
/// let money = EventFilter::events("account", ["deposited", "withdrawn"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    /// The events of one stream.
    Stream(StreamId),
    /// The events that pass any of these filters; none if there are no filters.
    Categories(Vec<CategoryFilter>),
}

/// A filter for events of one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryFilter {
    /// The category of their streams.
    pub category: Cow<'static, str>,
    /// Their names; any name if `None`.
    pub names: Option<Vec<Cow<'static, str>>>,
}

impl EventFilter {
    /// All events of the streams of a category.
    pub fn category(category: impl Into<Cow<'static, str>>) -> Self {
        Self::Categories(vec![CategoryFilter {
            category: category.into(),
            names: None,
        }])
    }

    /// The events of these names, of the streams of a category.
    pub fn events<N: Into<Cow<'static, str>>>(
        category: impl Into<Cow<'static, str>>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        Self::Categories(vec![CategoryFilter {
            category: category.into(),
            names: Some(names.into_iter().map(Into::into).collect()),
        }])
    }

    /// Returns whether the event passes.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::Stream(stream) => event.stream == *stream,
            Self::Categories(categories) => categories.iter().any(|category| category.matches(event)),
        }
    }
}

impl CategoryFilter {
    fn matches(&self, event: &RecordedEvent) -> bool {
        event.stream.category() == self.category && self.names.as_ref().is_none_or(|names| names.contains(&event.name))
    }
}

/// A query for streams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListStreams {
    /// The category.
    pub category: String,
    /// Only ids above this one, in the order of their bytes.
    pub after: Option<String>,
    /// The most items to return.
    pub limit: Option<u64>,
}

impl ListStreams {
    /// All streams of `category`.
    pub fn new(category: impl Into<String>) -> Self {
        Self {
            category: category.into(),
            after: None,
            limit: None,
        }
    }

    /// Only ids above `id`: where the page before ended.
    #[must_use]
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.after = Some(id.into());
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// A stream of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub stream: StreamId,
    /// The version of its last event.
    pub version: Version,
}
