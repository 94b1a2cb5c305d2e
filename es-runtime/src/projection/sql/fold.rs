use std::sync::Arc;

use async_trait::async_trait;

use super::steps::Step;
use super::{SqlProjection, SqlSchema, SqlStore, SqlTables, Steps, WriteError};
use crate::consumer::Keys;
use crate::projection::fold::{Fold, FoldError};
use crate::projection::source::{Numbered, Sources};
use crate::store::{Advance, CommitError, EventFilter, Lease};
use crate::{RecordedEvent, StoreError};

/// Has the methods of `P` write what events change.
pub(crate) struct SqlFold<S, P: SqlProjection> {
    store: Arc<S>,
    schema: SqlSchema,
    sources: Sources<Box<dyn Step<P::Tx>>>,
    /// What the events that were taken up last write, each with the index of its event.
    steps: Numbered<Box<dyn Step<P::Tx>>>,
}

impl<S: SqlStore<P::Tx>, P: SqlProjection> SqlFold<S, P> {
    pub(crate) fn new(store: Arc<S>) -> Self
    where
        P: SqlTables,
    {
        Self {
            store,
            schema: SqlSchema::of::<P>(),
            sources: Sources::new(P::EVENTS.iter().map(|event| &event.0)),
            steps: Vec::new(),
        }
    }

    async fn run(&mut self, advance: Option<Advance>) -> Result<(), WriteError> {
        let steps = Arc::new(Steps::new(std::mem::take(&mut self.steps)));
        self.store.run_steps(&self.schema, steps, advance).await
    }
}

#[async_trait]
impl<S: SqlStore<P::Tx>, P: SqlProjection> Fold for SqlFold<S, P> {
    fn filter(&self) -> EventFilter {
        self.sources.filter()
    }

    /// Nobody knows what its methods write.
    fn keys(&self, event: &RecordedEvent) -> Keys {
        Keys::of_stream(&event.stream)
    }

    async fn set_up(&self) -> Result<(), StoreError> {
        self.store.create_schema(&self.schema).await
    }

    async fn fold(&mut self, events: &[RecordedEvent]) -> Result<bool, FoldError> {
        self.steps.clear();
        for (index, event) in events.iter().enumerate() {
            let steps = self.sources.changes(event);
            let steps = steps.map_err(|error| FoldError::Poison { index, error })?;
            self.steps.extend(steps.into_iter().map(|step| (index, step)));
        }
        Ok(!self.steps.is_empty())
    }

    async fn write(&mut self, advance: Advance) -> Result<(), WriteError> {
        if self.steps.is_empty() {
            return Ok(self.store.advance(advance).await?);
        }
        advance.check()?;
        self.run(Some(advance)).await
    }

    async fn attempt(&mut self, event: &RecordedEvent) -> Result<(), FoldError> {
        self.fold(std::slice::from_ref(event)).await?;
        match self.run(None).await {
            Ok(()) => Ok(()),
            Err(WriteError::Poison { error, .. }) => Err(FoldError::Poison { index: 0, error }),
            Err(WriteError::Commit(CommitError::Store(error) | CommitError::Indeterminate(error))) => {
                Err(FoldError::Store(error))
            }
            Err(WriteError::Commit(other)) => Err(FoldError::Store(StoreError::new(
                crate::StoreErrorKind::Unavailable,
                other.to_string(),
            ))),
        }
    }

    fn committed(&mut self) {}

    fn reset(&mut self) {
        self.steps.clear();
    }

    async fn begin(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.forget(reader, lease).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.store.forget_schema(&self.schema, reader, lease).await
    }
}
