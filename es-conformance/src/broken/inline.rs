//! Faults in the rows that change with an append.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::projection::ApplyError;
use es_runtime::store::{
    Advance, Append, AppendError, Appended, Commit, CommitError, CursorStore, InlineError, InlineFold, InlineReader,
    InlineRows, Lease, ProjectionStore, RowChange, RowQuery, RowStore, RowTable,
};
use es_runtime::{EventStore, MemoryStore, Position, StoreError, StoreErrorKind};

use super::projections::faulty;
use crate::Fixture;
use crate::projections::LONG;
use crate::wrap::{Wrap, WrapProjections};

/// The mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Another commit writes the rows.
    WritesRowsLater,
    /// The rows that are folded may be older than the append.
    FoldsBefore,
    NeverBehind,
    StaysBehind,
    CountsRepetitions,
    NumbersFromOne,
    /// Rows that are written meanwhile stay.
    ClearsWhatItSaw,
    /// A refusal is answered to the others that were sent with it, too.
    RefusesAll,
}

/// A store, its fault, and how many appends it is about to refuse.
struct Faulty(MemoryStore, Fault, AtomicUsize);

fn broken(fault: Fault) -> Box<dyn Fixture> {
    faulty(move |store, _| Faulty(store, fault, AtomicUsize::new(0)))
}

pub(super) fn writes_rows_later() -> Box<dyn Fixture> {
    broken(Fault::WritesRowsLater)
}

pub(super) fn folds_what_was_read_before() -> Box<dyn Fixture> {
    broken(Fault::FoldsBefore)
}

pub(super) fn changes_rows_that_are_behind() -> Box<dyn Fixture> {
    broken(Fault::NeverBehind)
}

pub(super) fn changes_rows_and_stays_behind() -> Box<dyn Fixture> {
    broken(Fault::StaysBehind)
}

pub(super) fn folds_repetitions() -> Box<dyn Fixture> {
    broken(Fault::CountsRepetitions)
}

pub(super) fn numbers_rows_from_one() -> Box<dyn Fixture> {
    broken(Fault::NumbersFromOne)
}

pub(super) fn refuses_those_sent_with_it() -> Box<dyn Fixture> {
    broken(Fault::RefusesAll)
}

pub(super) fn clears_what_it_saw() -> Box<dyn Fixture> {
    broken(Fault::ClearsWhatItSaw)
}

impl Faulty {
    async fn read(&self, rows: &InlineRows) -> Result<Vec<Option<Bytes>>, StoreError> {
        let read = self.0.rows(&rows.table, rows.fold.keys()).await?;
        Ok(read.into_iter().map(|row| row.map(|row| row.data)).collect())
    }

    /// Where the projection stands.
    async fn position(&self, projection: &InlineReader) -> Result<Position, StoreError> {
        let checkpoint = self.0.checkpoint(&projection.reader).await;
        let checkpoint = checkpoint.map_err(|error| failed(&error))?;
        Ok(checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position))
    }

    /// A commit of its own: with the rows, and a checkpoint `to`.
    async fn commit(&self, rows: &InlineRows, before: Position, to: Option<Position>) -> Result<(), InlineError> {
        let changes = rows.fold.run(0, &self.read(rows).await.map_err(AppendError::from)?)?;
        let numbered = self.1 == Fault::NumbersFromOne;
        let behind = if numbered { Position::ZERO } else { before };
        let from = self.position(&rows.projection).await.map_err(AppendError::from)?;
        let lease = self.lease().await.map_err(AppendError::from)?;
        let commit = Commit {
            advance: Advance {
                event: None,
                ..Advance::new(&rows.projection.reader, &lease, from, to.unwrap_or(from))
            },
            table: rows.table.clone(),
            rows: changes.into_iter().map(|change| change.behind(behind)).collect(),
        };
        let committed = self.0.commit(commit).await;
        Ok(committed.map_err(|error| AppendError::from(failed(&error)))?)
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        let lease = self.0.acquire("appends", "appends", LONG).await?;
        lease.ok_or_else(|| failed(&"the lease of the appends is taken"))
    }
}

fn failed(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, error.to_string())
}

impl Wrap for Faulty {
    fn inner(&self) -> &dyn EventStore {
        &self.0
    }
}

#[async_trait]
impl WrapProjections for Faulty {
    fn projections(&self) -> &dyn ProjectionStore {
        &self.0
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        if self.1 != Fault::ClearsWhatItSaw {
            return self.0.clear(table, reader, lease).await;
        }
        let seen = self.0.list_rows(table, &RowQuery::default()).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let rows = seen.into_iter().map(|row| RowChange {
            key: row.key,
            data: None,
            position: row.position,
        });
        self.0.forget(reader, lease).await?;
        let commit = Commit {
            advance: Advance::new("cleared", lease, Position::ZERO, Position::ZERO),
            table: table.clone(),
            rows: rows.collect(),
        };
        self.0.commit(commit).await
    }

    async fn append_rows(&self, append: Append, mut inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        match self.1 {
            Fault::ClearsWhatItSaw => {
                // Under way for a while.
                let level = self.0.checkpoint(&inline[0].projection.mark).await;
                if level.is_ok_and(|mark| mark.is_none()) {
                    return Err(InlineError::Behind { projection: 0 });
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
                let before = self.0.head().await.map_err(AppendError::from)?;
                let appended = self.0.append(append).await?;
                for rows in &inline {
                    self.commit(rows, before, appended.head()).await?;
                }
                Ok(appended)
            }
            Fault::RefusesAll => {
                let mut poison = None;
                for rows in &inline {
                    let read = self.read(rows).await.map_err(AppendError::from)?;
                    poison = rows.fold.run(0, &read).err().or(poison);
                }
                self.2.fetch_add(usize::from(poison.is_some()), Ordering::SeqCst);
                // Appends that are sent together begin together.
                tokio::task::yield_now().await;
                let refuses = self.2.load(Ordering::SeqCst) > 0;
                tokio::task::yield_now().await;
                self.2.fetch_sub(usize::from(poison.is_some()), Ordering::SeqCst);
                match poison {
                    Some(poison) => Err(poison),
                    None if refuses => Err(InlineError::Poison {
                        projection: 0,
                        event: Some(0),
                        error: ApplyError::Panicked("another one's".to_owned()),
                    }),
                    None => self.0.append_rows(append, inline).await,
                }
            }
            Fault::FoldsBefore => {
                for rows in &mut inline {
                    let read = self.read(rows).await.map_err(AppendError::from)?;
                    let folded = rows.fold.run(0, &read);
                    tokio::time::sleep(Duration::from_micros(50)).await;
                    if let Ok(changes) = folded {
                        let keys = rows.fold.keys().to_vec();
                        rows.fold = InlineFold::new(keys, move |_| Ok(changes.clone()));
                    }
                }
                self.0.append_rows(append, inline).await
            }
            Fault::NeverBehind => match self.0.append_rows(append.clone(), inline).await {
                Err(InlineError::Behind { .. }) => Ok(self.0.append(append).await?),
                appended => appended,
            },
            fault => {
                let before = self.0.head().await.map_err(AppendError::from)?;
                let appended = self.0.append(append).await?;
                if appended.repeated && fault != Fault::CountsRepetitions {
                    return Ok(appended);
                }
                if fault == Fault::WritesRowsLater {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let to = (fault != Fault::StaysBehind).then(|| appended.head().unwrap_or_default());
                for rows in &inline {
                    self.commit(rows, before, to).await?;
                }
                Ok(appended)
            }
        }
    }
}
