//! Inline projections with tables of their own.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;

use super::steps::Step;
use super::{SqlProjection, SqlSchema, SqlStore, SqlTables, SqlTransaction, Steps};
use crate::RecordedEvent;
use crate::projection::inline::{Inline, Projected};
use crate::projection::source::{Numbered, Sources};
use crate::projection::standing::Standing;
use crate::store::{Append, Appended, InlineError, InlineReader, InlineRows};

/// The work of an inline projection on an append: for [`SqlStore::append_with`].
pub struct InlineSteps<T: SqlTransaction> {
    /// The projection.
    pub projection: Arc<InlineReader>,
    /// Its tables.
    pub schema: Arc<SqlSchema>,
    /// The calls of its methods, each with the index of its event among [`Append::events`].
    pub steps: Steps<T>,
}

/// Appends with the inline projections whose methods take one transaction.
#[async_trait]
pub(crate) trait SqlAppends: Any + Send + Sync {
    /// Those that take in an event of the append.
    fn taking(&self, append: &Append) -> Vec<&Standing>;

    /// Appends with the steps of these, and with `rows`.
    async fn append(
        &self,
        append: Append,
        events: &[RecordedEvent],
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError>;
}

/// Adds `P`.
pub(crate) fn add<S: SqlStore<P::Tx>, P: SqlProjection + SqlTables>(
    store: &Arc<S>,
    standing: &Arc<Standing>,
    inline: &mut Option<Inline>,
) {
    let inline = inline.get_or_insert_with(|| Inline::new(Arc::clone(store) as _));
    let before = inline.sql.take();
    let before = before.map(|before| (before as Box<dyn Any>).downcast::<Tables<S, P::Tx>>());
    let mut tables = match before {
        None => Box::new(Tables {
            store: Arc::clone(store),
            projections: Vec::new(),
        }),
        Some(Ok(tables)) => tables,
        Some(Err(_)) => panic!(
            "inline projection `{}` takes another transaction than those before it: all of a runtime take the same",
            P::NAME
        ),
    };
    let sources = Sources::new(P::EVENTS.iter().map(|event| &event.0));
    let categories = sources.categories().map(str::to_owned).collect();
    let of = Of {
        schema: Arc::new(SqlSchema::of::<P>()),
        sources,
    };
    tables.projections.push(Projected::new(standing, categories, of));
    inline.sql = Some(tables);
}

/// Those whose methods take a `T`.
struct Tables<S, T: SqlTransaction> {
    store: Arc<S>,
    projections: Vec<Projected<Of<T>>>,
}

struct Of<T: SqlTransaction> {
    schema: Arc<SqlSchema>,
    sources: Sources<Box<dyn Step<T>>>,
}

impl<T: SqlTransaction> Of<T> {
    /// What its methods do with the events.
    fn steps(&self, projection: usize, events: &[RecordedEvent]) -> Result<Steps<T>, InlineError> {
        let mut steps: Numbered<Box<dyn Step<T>>> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let of_event = self.sources.changes(event).map_err(|error| InlineError::Poison {
                projection,
                event: Some(index),
                error,
            })?;
            steps.extend(of_event.into_iter().map(|step| (index, step)));
        }
        Ok(Steps::new(steps))
    }
}

#[async_trait]
impl<S: SqlStore<T>, T: SqlTransaction> SqlAppends for Tables<S, T> {
    fn taking(&self, append: &Append) -> Vec<&Standing> {
        let all = self.projections.iter();
        let taking = all.filter(|projection| projection.reader.takes_in(append));
        taking.map(|projection| &*projection.standing).collect()
    }

    async fn append(
        &self,
        append: Append,
        events: &[RecordedEvent],
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError> {
        let (mut inline, mut metrics) = (Vec::new(), Vec::new());
        for Projected { reader, standing, work } in &self.projections {
            if !reader.takes_in(&append) {
                continue;
            }
            let steps = work.steps(inline.len(), events)?;
            metrics.push((&standing.metrics, steps.spent.clone()));
            inline.push(InlineSteps {
                projection: Arc::clone(reader),
                schema: Arc::clone(&work.schema),
                steps,
            });
        }
        let appended = self.store.append_with(append, inline, rows).await;
        for (metrics, spent) in metrics {
            metrics.inlined(&spent);
        }
        appended
    }
}
