//! Rows that are folded when they are asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;

use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::stream::Peekable;

use super::row::RowProjection;
use super::source::{Change, Sources, contain};
use super::{ApplyError, RowMismatch};
use crate::store::{EventFilter, ReadLog};
use crate::{EventStore, Position, RecordedEvent, StoreError, StreamId, Timestamp, Version};

/// Why rows were not folded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// An event cannot be applied: this build does not know it or cannot read it, it does not fit the row, or its method panics.
    #[error(
        "projection `{projection}` cannot apply event `{name}` of stream `{stream}` at version {version} (position {position})"
    )]
    NotApplied {
        /// The projection's name.
        projection: &'static str,
        /// The event's stream.
        stream: StreamId,
        /// Its number in the stream.
        version: Version,
        /// Its number in the store.
        position: Position,
        /// Its name.
        name: Cow<'static, str>,
        /// The problem.
        #[source]
        source: Box<ApplyError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which rows are folded, from which events.
pub(crate) struct Wanted {
    /// The only row that is wanted.
    pub(crate) key: Option<String>,
    /// The last position.
    pub(crate) to: Position,
    /// The last time of recording.
    pub(crate) until: Timestamp,
    /// The last time at which an event happened.
    pub(crate) occurred: Timestamp,
}

/// The rows by their keys, each with the position of the event that changed it last.
pub(crate) async fn fold_live<P: RowProjection>(
    store: &dyn EventStore,
    wanted: &Wanted,
) -> Result<BTreeMap<String, (P, Position)>, LiveError> {
    let sources = Sources::new(P::EVENTS.iter().map(|event| &event.0));
    // One end for all streams, so that what is shown was so at one moment.
    let to = wanted.to.min(store.head().await?);
    let mut events = Merged::new(store, sources.filters(wanted.key.as_deref()), to);
    let mut rows: BTreeMap<String, (P, Position)> = BTreeMap::new();
    while let Some(event) = events.next().await? {
        if event.recorded_at > wanted.until {
            // Time never goes back along positions.
            break;
        }
        if event.occurred_at() > wanted.occurred {
            continue;
        }
        let fail = |error| fail::<P>(&event, error);
        for Change { key, apply } in sources.changes(&event).map_err(fail)? {
            if wanted.key.as_ref().is_some_and(|wanted| *wanted != key) {
                continue;
            }
            let row = rows.remove(&key).map(|(row, _)| row);
            let mismatch = |mismatch: RowMismatch| ApplyError::Mismatch {
                key: key.clone(),
                mismatch,
            };
            if let Some(row) = contain(|| apply(row).map_err(mismatch)).map_err(fail)? {
                rows.insert(key, (row, event.position));
            }
        }
    }
    Ok(rows)
}

fn fail<P: RowProjection>(event: &RecordedEvent, error: ApplyError) -> LiveError {
    LiveError::NotApplied {
        projection: P::NAME,
        stream: event.stream.clone(),
        version: event.version,
        position: event.position,
        name: event.name.clone(),
        source: Box::new(error),
    }
}

/// Parts of the log, as one in the order of positions.
struct Merged<'a>(Vec<Peekable<BoxStream<'a, Result<RecordedEvent, StoreError>>>>);

impl<'a> Merged<'a> {
    fn new(store: &'a dyn EventStore, parts: Vec<EventFilter>, to: Position) -> Self {
        let read = |part| store.read_log(ReadLog::new().to(to).only(part)).peekable();
        Self(parts.into_iter().map(read).collect())
    }

    async fn next(&mut self) -> Result<Option<RecordedEvent>, StoreError> {
        let mut first = None;
        for (index, part) in self.0.iter_mut().enumerate() {
            let at = match Pin::new(part).peek().await {
                None => continue,
                Some(Ok(event)) => event.position,
                // Before all others, to be told at once.
                Some(Err(_)) => Position::ZERO,
            };
            if first.is_none_or(|(_, lowest)| at < lowest) {
                first = Some((index, at));
            }
        }
        match first {
            None => Ok(None),
            Some((index, _)) => self.0[index].next().await.transpose(),
        }
    }
}
