//! Inline projections: what their methods write is a part of the append.

mod rows;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sql::SqlAppends;
use super::standing::Standing;
use super::{ApplyError, ReadError, RowProjection, Storage};
use crate::consumer::{Cursors, position_of};
use crate::store::{
    Append, AppendError, Appended, EventAt, InlineError, InlineReader, InlineRows, ProjectionStore, StreamAppend,
};
use crate::{ExpectedVersion, Position, RecordedEvent, Timestamp, Version};
use rows::{FoldOf, Rows};

/// Appends with the inline projections of a runtime.
pub(crate) struct Inline {
    store: Arc<dyn ProjectionStore>,
    cursors: Cursors,
    /// Those with tables of their own.
    pub(super) sql: Option<Box<dyn SqlAppends>>,
    /// Those of rows.
    rows: Vec<Projected<Box<dyn Rows>>>,
}

/// Adds a projection to those of a runtime over store `S` that are inline, if it is one.
pub(crate) type AddInline<S> = fn(&Arc<S>, &Arc<Standing>, &mut Option<Inline>);

/// An inline projection, and what makes the work of an append of it.
pub(super) struct Projected<W> {
    pub(super) reader: Arc<InlineReader>,
    pub(super) standing: Arc<Standing>,
    pub(super) work: W,
}

impl<W> Projected<W> {
    pub(super) fn new(standing: &Arc<Standing>, categories: Vec<String>, work: W) -> Self {
        Self {
            reader: Arc::new(InlineReader {
                reader: standing.reader.clone(),
                mark: standing.mark.clone(),
                categories,
            }),
            standing: Arc::clone(standing),
            work,
        }
    }
}

/// The time that an append waits for an inline projection that is behind: longer than another process needs to take
/// up the work of one that was killed.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inline {
    pub(super) fn new(store: Arc<dyn ProjectionStore>) -> Self {
        Self {
            cursors: Storage::in_store(&store).cursors,
            store,
            sql: None,
            rows: Vec::new(),
        }
    }

    /// Adds a projection of rows.
    pub(super) fn add<P: RowProjection>(&mut self, standing: &Arc<Standing>) {
        let fold = FoldOf::<P>::new();
        self.rows
            .push(Projected::new(standing, fold.categories(), Box::new(fold)));
    }

    /// Appends, with what the projections make of the events.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all of it done or nothing.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let taking = Taking {
            sql: self.sql.as_deref().map_or_else(Vec::new, |sql| sql.taking(&append)),
            rows: self.rows.iter().filter(|rows| rows.reader.takes_in(&append)).collect(),
        };
        if taking.sql.is_empty() && taking.rows.is_empty() {
            return self.cursors.log.append(append).await;
        }
        self.store.limits().check(&append)?;
        let events = as_recorded(&append)?;
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.attempt(&append, &events, &taking).await {
                Ok(appended) => return Ok(appended),
                Err(InlineError::Append(error)) => return Err(error),
                Err(InlineError::Poison {
                    projection,
                    event,
                    error,
                }) => return Err(failed(taking.standing(projection), &events, event, error)),
                Err(InlineError::Behind { projection }) => {
                    self.level(taking.standing(projection), deadline, &mut pause).await?;
                }
            }
        }
    }

    async fn attempt(
        &self,
        append: &Append,
        events: &Arc<[RecordedEvent]>,
        taking: &Taking<'_>,
    ) -> Result<Appended, InlineError> {
        let mut rows = Vec::with_capacity(taking.rows.len());
        for (index, Projected { reader, standing, work }) in taking.rows.iter().enumerate() {
            let fold = work.fold(events).map_err(|(event, error)| InlineError::Poison {
                projection: taking.sql.len() + index,
                event: Some(event),
                error,
            })?;
            rows.push(InlineRows {
                projection: Arc::clone(reader),
                table: standing.table.clone(),
                fold,
            });
        }
        let spent: Vec<_> = rows.iter().map(|rows| rows.fold.spent.clone()).collect();
        let appended = match &self.sql {
            Some(sql) if !taking.sql.is_empty() => sql.append(append.clone(), events, rows).await,
            _ => self.store.append_rows(append.clone(), rows).await,
        };
        for (Projected { standing, .. }, spent) in taking.rows.iter().zip(&spent) {
            standing.metrics.inlined(spent);
        }
        appended
    }

    /// Gives the projection time to apply what was appended without it. Returns when it pays to try again.
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

/// The projections that take in an event of an append, in the order in which the store is given them.
struct Taking<'a> {
    sql: Vec<&'a Standing>,
    rows: Vec<&'a Projected<Box<dyn Rows>>>,
}

impl Taking<'_> {
    fn standing(&self, projection: usize) -> &Standing {
        match self.sql.get(projection) {
            Some(standing) => standing,
            None => &self.rows[projection - self.sql.len()].standing,
        }
    }
}

/// The error of an append of `events`, of which the projection cannot apply one.
fn failed(of: &Standing, events: &[RecordedEvent], event: Option<usize>, error: ApplyError) -> AppendError {
    of.count(&error);
    let at = event.and_then(|event| events.get(event)).map(|event| EventAt {
        stream: event.stream.clone(),
        version: event.version,
        name: event.name.clone(),
    });
    AppendError::ProjectionFailed {
        projection: of.name,
        event: at.map(Box::new),
        source: Box::new(error),
    }
}

/// The events of an append as the methods see them. Positions and times are not known, and not shown: a position here is
/// the number of the event among those of the append.
fn as_recorded(append: &Append) -> Result<Arc<[RecordedEvent]>, AppendError> {
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
            let number = Position(recorded.len() as u64 + 1);
            let event = event.clone();
            recorded.push(event.recorded(stream.clone(), version, number, Timestamp::MIN));
        }
    }
    Ok(recorded.into())
}
