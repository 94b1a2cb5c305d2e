//! Whole appends, read back and stored again as they were: the part of a store's contract that archives are made of.

mod checked;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

pub(super) use checked::CheckedArchive;

use super::{Append, AppendError, Appended, IdempotencyKey, StoreError, StoreErrorKind, StreamAppend, StreamAppended};
use crate::{AppendId, ExpectedVersion, NewEvent, Position, RecordedEvent, Timestamp, Version};

/// Gives out whole appends, and stores them again as they were recorded. Object safe, like
/// [`EventStore`](super::EventStore).
///
/// Implementations need not check their input: [`archive_store`](super::EventStore::archive_store) of
/// [`Checked`](super::Checked) does.
#[async_trait]
pub trait ArchiveStore: Send + Sync + 'static {
    /// Reads every append that was stored before the read began, in the order of the log. Appends without events follow the event at their
    /// [position](RecordedAppend::position), in the order of their ids.
    ///
    /// An event that is stored without an append, because another program wrote it, is an append of its own with the id of the event.
    ///
    /// Memory is bounded, whatever the length of the log. Dropping the stream at any point is safe.
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>>;

    /// Stores appends at the end of the log as they were recorded: all of them or none, each at its position and with its time. The ids and
    /// keys of the appends are known afterwards, as if they had been [appended](super::EventStore::append) here.
    ///
    /// # Errors
    ///
    /// [`RestoreAppendError::Indeterminate`] if the outcome is unknown: read [`appends`](Self::appends) again. After every other error nothing is
    /// stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all of the appends stored, or none.
    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError>;
}

/// An append as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAppend {
    /// The append. The expected version of each of its streams is the exact one that the stream was at.
    pub append: Append,
    /// The time at which it was recorded.
    pub recorded_at: Timestamp,
    /// The position of its last event, or of the store's head at that time if it has none.
    pub position: Position,
}

impl RecordedAppend {
    /// Puts an append together from its result and its events, in the order of their positions. For stores.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](StoreErrorKind::Corrupt) if the events are not those of the result.
    pub fn new(
        appended: Appended,
        key: Option<IdempotencyKey>,
        events: Vec<RecordedEvent>,
    ) -> Result<Self, StoreError> {
        let (id, recorded_at) = (appended.id, appended.recorded_at);
        let damaged = |what: &dyn std::fmt::Display| {
            let message = format!("append {id} cannot be put together from its events: {what}");
            StoreError::new(StoreErrorKind::Corrupt, message)
        };
        let position = appended.head().ok_or_else(|| damaged(&"it concerns no stream"))?;
        if let Some(other) = events.iter().find(|event| event.recorded_at != recorded_at) {
            return Err(damaged(&format_args!(
                "the event at position {} was recorded at {}, the append at {recorded_at}",
                other.position, other.recorded_at
            )));
        }
        if events.last().is_some_and(|last| last.position != position) {
            return Err(damaged(&format_args!(
                "position {position} is not that of its last event"
            )));
        }
        let mut events = events.into_iter();
        let mut streams = Vec::with_capacity(appended.streams.len());
        for part in &appended.streams {
            let own: Vec<RecordedEvent> = events.by_ref().take(part.events).collect();
            streams.push(stream_append(part, own).map_err(|what| damaged(&what))?);
        }
        if let Some(more) = events.next() {
            return Err(damaged(&format_args!(
                "the event at position {} is too many",
                more.position
            )));
        }
        Ok(Self {
            append: Append { id, key, streams },
            recorded_at,
            position,
        })
    }

    /// Returns an event that belongs to no append as an append of its own. For stores.
    pub fn of_event(event: RecordedEvent) -> Self {
        Self {
            recorded_at: event.recorded_at,
            position: event.position,
            append: Append {
                id: AppendId(event.id.0),
                key: None,
                streams: vec![StreamAppend {
                    stream: event.stream.clone(),
                    expected: before(event.version, 1),
                    last: None,
                    events: vec![given(event)],
                }],
            },
        }
    }

    /// Checks that the append was stored just as it was recorded. For stores, before they commit.
    ///
    /// # Errors
    ///
    /// [`RestoreAppendError`] if it was not.
    pub fn check(&self, appended: &Appended) -> Result<(), RestoreAppendError> {
        if appended.repeated {
            let is_same = appended.id == self.append.id;
            return Err(self.repeated(if is_same { "id" } else { "idempotency key" }));
        }
        self.check_position(appended.head().unwrap_or_default())?;
        self.check_time(appended.recorded_at)
    }

    /// Checks that the position that it gets is its own.
    pub(crate) fn check_position(&self, actual: Position) -> Result<(), RestoreAppendError> {
        if actual == self.position {
            return Ok(());
        }
        Err(RestoreAppendError::Misplaced {
            append: self.append.id,
            expected: self.position,
            actual,
        })
    }

    /// Checks that its time is not before `last`.
    pub(crate) fn check_time(&self, last: Timestamp) -> Result<(), RestoreAppendError> {
        if last <= self.recorded_at {
            return Ok(());
        }
        Err(RestoreAppendError::BackInTime {
            append: self.append.id,
            recorded_at: self.recorded_at,
            last,
        })
    }

    /// The error of an append of which `what` is stored already.
    pub(crate) fn repeated(&self, what: &str) -> RestoreAppendError {
        let refused = AppendError::invalid(format!("its {what} is stored already"));
        RestoreAppendError::refused(self.append.id, refused)
    }

    /// Returns the number of its events.
    pub fn events(&self) -> u64 {
        self.append.streams.iter().map(|part| part.events.len() as u64).sum()
    }
}

/// The part of an append that concerns one stream, from its result.
fn stream_append(part: &StreamAppended, events: Vec<RecordedEvent>) -> Result<StreamAppend, String> {
    let StreamAppended { stream, version, .. } = part;
    let versions = (version.0 + 1).saturating_sub(part.events as u64)..=version.0;
    let is_right = |(event, version): (&RecordedEvent, u64)| event.stream == *stream && event.version.0 == version;
    if events.len() != part.events || !events.iter().zip(versions).all(is_right) {
        return Err(format!(
            "it has {} events of `{stream}`, up to version {version}, which are not where they were stored",
            part.events
        ));
    }
    Ok(StreamAppend {
        stream: stream.clone(),
        expected: before(*version, part.events as u64),
        last: None,
        events: events.into_iter().map(given).collect(),
    })
}

/// The expected version of an append that leads to `version` with so many events.
fn before(version: Version, events: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version(version.0.saturating_sub(events)))
}

/// The event as it was given to the store.
fn given(event: RecordedEvent) -> NewEvent {
    NewEvent {
        id: event.id,
        name: event.name,
        shape_version: event.shape_version,
        payload: event.payload,
        metadata: event.metadata,
    }
}

/// Why appends were not restored, or are not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreAppendError {
    /// The log does not end where the append belongs: it holds other events, or somebody else writes to the store.
    #[error("append {append} belongs at position {expected}, and would be stored at {actual}")]
    Misplaced {
        /// The append.
        append: AppendId,
        /// Its position.
        expected: Position,
        /// The position that it would have got.
        actual: Position,
    },
    /// The append was recorded before the last event of the log.
    #[error("append {append} was recorded at {recorded_at}, but the event before it at {last}")]
    BackInTime {
        /// The append.
        append: AppendId,
        /// Its time.
        recorded_at: Timestamp,
        /// The time of the last event.
        last: Timestamp,
    },
    /// The store refuses the append, as it would refuse it from a writer.
    #[error("append {append} is refused")]
    Refused {
        /// The append.
        append: AppendId,
        /// The reason.
        #[source]
        source: Box<AppendError>,
    },
    /// It is not known whether the appends were stored: read what is there.
    #[error("it is not known whether the appends were restored")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RestoreAppendError {
    /// The error of an append that was refused. For stores.
    pub fn refused(append: AppendId, source: AppendError) -> Self {
        let source = Box::new(source);
        match *source {
            AppendError::Store(error) => Self::Store(error),
            AppendError::Indeterminate { source, .. } => Self::Indeterminate(source),
            _ => Self::Refused { append, source },
        }
    }
}
