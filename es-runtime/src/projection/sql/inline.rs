//! Inline projections: what their methods write is a part of the append.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::steps::Step;
use super::{SqlProjection, SqlSchema, SqlStore, SqlTables, SqlTransaction, Steps};
use crate::consumer::{Cursors, position_of};
use crate::projection::Storage;
use crate::projection::source::{Numbered, Sources};
use crate::projection::standing::Standing;
use crate::projection::{ApplyError, ReadError};
use crate::store::{Append, AppendError, Appended, EventAt, StreamAppend};
use crate::{ExpectedVersion, Position, RecordedEvent, Timestamp, Version};

/// The work of an inline projection on an append: for [`SqlStore::append_with`].
pub struct InlineSteps<T: SqlTransaction> {
    /// The projection of the steps.
    pub projection: Arc<InlineReader>,
    /// The calls of its methods, each with the index of its event among [`Append::events`].
    pub steps: Steps<T>,
}

/// An inline projection, as a reader of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineReader {
    /// Its tables.
    pub schema: SqlSchema,
    /// The name of its checkpoint.
    pub reader: String,
    /// The name of the checkpoint that exists if it has ever caught up with the log.
    pub mark: String,
    /// The categories of the events that it applies: all events of these, and no others.
    pub categories: Vec<String>,
}

/// Why an append with inline projections was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// An inline projection cannot apply an event.
    #[error("an inline projection cannot apply an event")]
    Poison {
        /// The projection: its index among all.
        projection: usize,
        /// The event: its index among those of the append. `None` if it is one of them, but not known which.
        event: Option<usize>,
        /// Why.
        #[source]
        error: ApplyError,
    },
    /// An inline projection has not taken in all that was appended before: it is to catch up first.
    #[error("an inline projection has not taken in all that was appended before")]
    Behind {
        /// The projection: its index among all.
        projection: usize,
    },
    /// As for an append without them.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Appends with the inline projections of a runtime.
#[async_trait]
pub(crate) trait Appends: Any + Send + Sync {
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;
}

/// Adds an inline projection to those that a runtime over store `S` has.
pub(crate) type AddInline<S> = fn(&Arc<S>, &Arc<Standing>, Option<Box<dyn Appends>>) -> Box<dyn Appends>;

/// Adds `P`.
pub(crate) fn add<S: SqlStore<P::Tx>, P: SqlProjection + SqlTables>(
    store: &Arc<S>,
    standing: &Arc<Standing>,
    before: Option<Box<dyn Appends>>,
) -> Box<dyn Appends> {
    let before = before.map(|before| (before as Box<dyn Any>).downcast::<InlineAppends<S, P::Tx>>());
    let mut appends = match before {
        None => Box::new(InlineAppends {
            cursors: Storage::in_store(store).cursors,
            store: Arc::clone(store),
            projections: Vec::new(),
        }),
        Some(Ok(appends)) => appends,
        Some(Err(_)) => panic!(
            "inline projection `{}` takes another transaction than those before it: all of a runtime take the same",
            P::NAME
        ),
    };
    let sources = Sources::new(P::EVENTS.iter().map(|event| &event.0));
    appends.projections.push(Projected {
        reader: Arc::new(InlineReader {
            schema: SqlSchema::of::<P>(),
            reader: standing.reader.clone(),
            mark: standing.mark.clone(),
            categories: sources.categories().map(str::to_owned).collect(),
        }),
        standing: Arc::clone(standing),
        sources,
    });
    appends
}

/// Appends to `S`, with inline projections whose methods take a `T`.
struct InlineAppends<S, T: SqlTransaction> {
    store: Arc<S>,
    cursors: Cursors,
    projections: Vec<Projected<T>>,
}

struct Projected<T: SqlTransaction> {
    reader: Arc<InlineReader>,
    standing: Arc<Standing>,
    sources: Sources<Box<dyn Step<T>>>,
}

impl<T: SqlTransaction> Projected<T> {
    /// Whether an event of the append is of its categories.
    fn takes_in(&self, append: &Append) -> bool {
        let mut parts = append.streams.iter().filter(|part| !part.events.is_empty());
        parts.any(|part| {
            self.reader
                .categories
                .iter()
                .any(|category| category == part.stream.category())
        })
    }

    /// What its methods do with the events.
    fn steps(&self, events: &[RecordedEvent]) -> Result<Steps<T>, (usize, ApplyError)> {
        let mut steps: Numbered<Box<dyn Step<T>>> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let of_event = self.sources.changes(event).map_err(|error| (index, error))?;
            steps.extend(of_event.into_iter().map(|step| (index, step)));
        }
        Ok(Steps::new(steps))
    }

    /// The error of an append of `events`, of which it cannot apply one.
    fn failed(&self, events: &[RecordedEvent], event: Option<usize>, error: ApplyError) -> AppendError {
        self.standing.count(&error);
        let at = event.and_then(|event| events.get(event)).map(|event| EventAt {
            stream: event.stream.clone(),
            version: event.version,
            name: event.name.clone(),
        });
        AppendError::ProjectionFailed {
            projection: self.standing.name,
            event: at.map(Box::new),
            source: Box::new(error),
        }
    }
}

/// How long an append waits for an inline projection that is behind: longer than it takes until another process takes up what one
/// that was killed has left.
const PATIENCE: Duration = Duration::from_secs(10);

impl<S: SqlStore<T>, T: SqlTransaction> InlineAppends<S, T> {
    /// Gives the projection time to take in what was appended without it: so long that it pays to look again.
    async fn level(&self, behind: &Standing, deadline: Instant, pause: &mut Duration) -> Result<(), AppendError> {
        let lagging = |source: ReadError| AppendError::ProjectionBehind {
            projection: behind.name,
            source: Box::new(source),
        };
        let head = self.cursors.log.head().await?;
        loop {
            let at = self.cursors.checkpoint(&behind.reader).await;
            let at = position_of(at.map_err(|error| lagging(error.into()))?);
            if let Some(hold) = behind.held(&*self.cursors.store, at).await? {
                return Err(lagging(hold.of(behind.name)));
            }
            behind.check_runs().map_err(|error| lagging(error.into()))?;
            if Instant::now() >= deadline {
                return Err(lagging(ReadError::Timeout {
                    projection: behind.name,
                    after: head,
                    at,
                    waited: PATIENCE,
                }));
            }
            sleep_until(deadline.min(Instant::now() + *pause)).await;
            *pause = (*pause * 2).min(Duration::from_millis(100));
            // It may be there, and not be marked yet.
            if at >= head {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl<S: SqlStore<T>, T: SqlTransaction> Appends for InlineAppends<S, T> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let taking: Vec<_> = self
            .projections
            .iter()
            .filter(|projection| projection.takes_in(&append))
            .collect();
        if taking.is_empty() {
            return self.cursors.log.append(append).await;
        }
        self.store.limits().check(&append)?;
        let events = as_recorded(&append)?;
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            let mut inline = Vec::with_capacity(taking.len());
            for projection in &taking {
                let steps = projection.steps(&events);
                inline.push(InlineSteps {
                    projection: Arc::clone(&projection.reader),
                    steps: steps.map_err(|(event, error)| projection.failed(&events, Some(event), error))?,
                });
            }
            let spent: Vec<_> = inline.iter().map(|of| of.steps.spent.clone()).collect();
            let appended = self.store.append_with(append.clone(), inline).await;
            for (projection, spent) in taking.iter().zip(&spent) {
                projection.standing.metrics.inlined(spent);
            }
            match appended {
                Ok(appended) => return Ok(appended),
                Err(InlineError::Append(error)) => return Err(error),
                Err(InlineError::Poison {
                    projection,
                    event,
                    error,
                }) => {
                    return Err(taking[projection].failed(&events, event, error));
                }
                Err(InlineError::Behind { projection }) => {
                    self.level(&taking[projection].standing, deadline, &mut pause).await?;
                }
            }
        }
    }
}

/// The events of an append as the methods are told of them. Their positions and times are not known, and are not told.
fn as_recorded(append: &Append) -> Result<Vec<RecordedEvent>, AppendError> {
    let mut recorded = Vec::new();
    for StreamAppend {
        stream,
        expected,
        events,
        ..
    } in &append.streams
    {
        let mut version = match expected {
            _ if events.is_empty() => continue,
            ExpectedVersion::NoStream => Version::ZERO,
            ExpectedVersion::Exact(version) => *version,
            ExpectedVersion::Any | ExpectedVersion::Exists => {
                return Err(AppendError::invalid(format!(
                    "an inline projection takes in stream `{stream}`: expect an exact version"
                )));
            }
        };
        for event in events {
            version = version.next();
            let event = event.clone();
            recorded.push(event.recorded(stream.clone(), version, Position::ZERO, Timestamp::MIN));
        }
    }
    Ok(recorded)
}
