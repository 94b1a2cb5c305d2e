//! Checks that what a store reads stands where it must.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;

use super::{Direction, EventFilter, ReadLog, ReadStream, StoreError, StoreErrorKind};
use crate::{Position, RecordedEvent, StoredEvent, StreamId, Version};

/// How a store gives out positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// 1, 2, 3 …: a position that is missing between two others is an event that was lost.
    Gapless,
    /// Each is higher than the one before.
    Rising,
}

/// An event that stands in a stream and in the log.
pub trait Placed {
    /// Its number in the stream.
    fn version(&self) -> Version;

    /// Its number in the store.
    fn position(&self) -> Position;
}

impl Placed for RecordedEvent {
    fn version(&self) -> Version {
        self.version
    }

    fn position(&self) -> Position {
        self.position
    }
}

impl Placed for StoredEvent {
    fn version(&self) -> Version {
        self.version
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// Passes on what `query` reads of a stream, as long as its versions follow one another without a gap and its positions rise with
/// them. Ends with [`Corrupt`](StoreErrorKind::Corrupt) where they do not.
pub(super) fn stream_in_order<'a, E: Placed + 'a>(
    query: &ReadStream,
    events: impl Stream<Item = Result<E, StoreError>> + Send + 'a,
) -> BoxStream<'a, Result<E, StoreError>> {
    let mut versions = Numbers::new("version", query.direction);
    versions.is_gapless = true;
    versions.start = Some(query.from.0.max(1));
    versions.high = query.to.0;
    versions.limit = query.limit;
    Box::pin(InOrder {
        events: Box::pin(events),
        stream: Some(query.stream.clone()),
        versions: Some(versions),
        positions: Numbers::new("position", query.direction),
        has_ended: false,
    })
}

/// Passes on what `query` reads of the log, as long as its positions rise strictly and, if the store gives them out without gaps,
/// none is missing. Ends with [`Corrupt`](StoreErrorKind::Corrupt) where they do not.
pub(super) fn log_in_order<'a>(
    query: &ReadLog,
    numbering: Positions,
    events: impl Stream<Item = Result<RecordedEvent, StoreError>> + Send + 'a,
) -> BoxStream<'a, Result<RecordedEvent, StoreError>> {
    let mut positions = Numbers::new("position", query.direction);
    positions.is_gapless = numbering == Positions::Gapless && query.only.is_none();
    positions.start = Some(query.from.0.max(1));
    positions.high = query.to.0;
    positions.limit = query.limit;
    let stream = match &query.only {
        Some(EventFilter::Stream(stream)) => Some(stream.clone()),
        _ => None,
    };
    let versions = stream.as_ref().map(|_| {
        let mut versions = Numbers::new("version", query.direction);
        versions.is_gapless = true;
        // Where the stream stands at a position further on is not known.
        versions.start = (query.from.0 <= 1).then_some(1);
        versions.limit = query.limit;
        versions
    });
    Box::pin(InOrder {
        events: Box::pin(events),
        stream,
        versions,
        positions,
        has_ended: false,
    })
}

/// Events on their way to the reader, who gets none after the first that is out of order.
struct InOrder<S> {
    events: Pin<Box<S>>,
    /// Whose events they are, if they are all of one stream.
    stream: Option<StreamId>,
    versions: Option<Numbers>,
    positions: Numbers,
    has_ended: bool,
}

impl<S> InOrder<S> {
    fn check(&mut self, event: &impl Placed) -> Result<(), StoreError> {
        let version = event.version().0;
        let versions = self
            .versions
            .as_mut()
            .map_or(Ok(()), |versions| versions.check(version));
        let placed = versions.and_then(|()| self.positions.check(event.position().0));
        placed.map_err(|what| self.corrupt(&what))
    }

    fn check_end(&self) -> Result<(), StoreError> {
        let versions = self.versions.as_ref().map_or(Ok(()), Numbers::check_end);
        let ended = versions.and_then(|()| self.positions.check_end());
        ended.map_err(|what| self.corrupt(&what))
    }

    fn corrupt(&self, what: &str) -> StoreError {
        let whose = match &self.stream {
            Some(stream) => format!("stream `{stream}`"),
            None => "the log".to_owned(),
        };
        let message = format!(
            "{whose} cannot be read in order: {what}. Events are missing or damaged: stop, keep a copy, and look at it"
        );
        StoreError::new(StoreErrorKind::Corrupt, message)
    }
}

impl<E: Placed, S: Stream<Item = Result<E, StoreError>>> Stream for InOrder<S> {
    type Item = Result<E, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = match ready!(self.events.as_mut().poll_next(context)) {
            Some(Ok(event)) => Some(self.check(&event).map(|()| event)),
            Some(Err(error)) => Some(Err(error)),
            None => self.check_end().err().map(Err),
        };
        self.has_ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// Numbers that come in order, or are found not to.
struct Numbers {
    noun: &'static str,
    direction: Direction,
    /// Whether none may be missing between two others.
    is_gapless: bool,
    /// The lowest number of the range that is read. If none is missing, it is there if any is.
    start: Option<u64>,
    /// The highest that may come.
    high: u64,
    /// How many are read at most.
    limit: Option<u64>,
    last: Option<u64>,
    count: u64,
}

impl Numbers {
    fn new(noun: &'static str, direction: Direction) -> Self {
        Self {
            noun,
            direction,
            is_gapless: false,
            start: None,
            high: u64::MAX,
            limit: None,
            last: None,
            count: 0,
        }
    }

    /// The lowest and the highest number that may come next.
    fn next(&self) -> (u64, u64) {
        let low = self.start.unwrap_or(1);
        match (self.direction, self.last) {
            (Direction::Forwards, None) if self.is_gapless && self.start.is_some() => (low, low),
            (_, None) => (low, self.high),
            (Direction::Forwards, Some(last)) if self.is_gapless => (last.saturating_add(1), last.saturating_add(1)),
            (Direction::Forwards, Some(last)) => (last.saturating_add(1), self.high),
            (Direction::Backwards, Some(last)) if self.is_gapless => (low.max(last - 1), last - 1),
            (Direction::Backwards, Some(last)) => (low, last - 1),
        }
    }

    fn check(&mut self, number: u64) -> Result<(), String> {
        let (low, high) = self.next();
        if (low..=high.min(self.high)).contains(&number) {
            self.last = Some(number);
            self.count += 1;
            return Ok(());
        }
        let noun = self.noun;
        let after = self.last.map_or(String::new(), |last| format!(" after {last}"));
        Err(if low == high {
            format!("{noun} {number} came{after}, where {low} comes next")
        } else {
            format!("{noun} {number} came{after}, which is out of place")
        })
    }

    /// A read backwards that ends before its range does has lost the rest. One forwards ends where there is no more.
    fn check_end(&self) -> Result<(), String> {
        let (Direction::Backwards, true, Some(start), Some(last)) =
            (self.direction, self.is_gapless, self.start, self.last)
        else {
            return Ok(());
        };
        if last <= start || self.limit.is_some_and(|limit| self.count >= limit) {
            return Ok(());
        }
        Err(format!(
            "nothing came after {} {last}, where {} comes next",
            self.noun,
            last - 1
        ))
    }
}
