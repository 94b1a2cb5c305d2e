//! Faults in tables that methods of the user write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{SqlSchema, WriteError};
use es_runtime::store::{
    Advance, Append, AppendError, Appended, CursorStore, InlineError, InlineReader, ReadLog, RowStore,
};
use es_runtime::store::{CheckpointError, CommitError, Lease, ProjectionStore, RowTable};
use es_runtime::{Clock, EventStore, MemoryStore, Position, RecordedEvent, StoreError, StoreErrorKind};
use futures_util::TryStreamExt as _;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::projections::LONG;
use crate::wrap::{Wrap, WrapProjections, Wrapped};
use crate::{Capability, Fixture, SqlInline, SqlStep, SqlTables};

/// The mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    AnyStatements,
    StepsFirst,
    KeepsStepsBefore,
    KeepsRows,
    KeepsEventsOfPoison,
    KeepsStepsOfConflicts,
    CountsRepetitions,
    NeverBehind,
    StaysBehind,
    KeepsDropped,
}

/// Tables of numbers in memory, beside a store: by name, with what they were created by.
#[derive(Clone)]
struct Tables {
    store: MemoryStore,
    /// Locked while an append with inline projections is under way.
    created: Arc<Mutex<BTreeMap<String, Table>>>,
    fault: Fault,
}

#[derive(Clone)]
struct Table {
    created_by: Uuid,
    numbers: Vec<i64>,
}

fn tables(fault: Fault) -> Box<dyn Fixture> {
    Box::new(Tables {
        store: MemoryStore::new(),
        created: Arc::default(),
        fault,
    })
}

pub(super) fn honest() -> Box<dyn Fixture> {
    tables(Fault::None)
}

pub(super) fn creates_tables_of_any_statements() -> Box<dyn Fixture> {
    tables(Fault::AnyStatements)
}

pub(super) fn writes_steps_first() -> Box<dyn Fixture> {
    tables(Fault::StepsFirst)
}

pub(super) fn keeps_the_steps_before() -> Box<dyn Fixture> {
    tables(Fault::KeepsStepsBefore)
}

pub(super) fn forgets_the_checkpoint_only() -> Box<dyn Fixture> {
    tables(Fault::KeepsRows)
}

pub(super) fn keeps_the_events_of_a_poison() -> Box<dyn Fixture> {
    tables(Fault::KeepsEventsOfPoison)
}

pub(super) fn keeps_the_steps_of_a_conflict() -> Box<dyn Fixture> {
    tables(Fault::KeepsStepsOfConflicts)
}

pub(super) fn counts_repetitions() -> Box<dyn Fixture> {
    tables(Fault::CountsRepetitions)
}

pub(super) fn never_finds_itself_behind() -> Box<dyn Fixture> {
    tables(Fault::NeverBehind)
}

pub(super) fn keeps_dropped_tables() -> Box<dyn Fixture> {
    tables(Fault::KeepsDropped)
}

pub(super) fn leaves_the_checkpoint_behind() -> Box<dyn Fixture> {
    tables(Fault::StaysBehind)
}

#[async_trait]
impl Fixture for Tables {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::MultiStream,
            Capability::AnyPayload,
            Capability::TxProjections,
            Capability::SqlProjections,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.store.clone().with_clock(clock))
    }

    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        let store = self.store.clone().with_clock(clock);
        Some(Self { store, ..self.clone() }.with_drops())
    }

    async fn open_sql(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn SqlTables>> {
        let store = self.store.clone().with_clock(clock);
        Some(Arc::new(Self { store, ..self.clone() }))
    }
}

#[async_trait]
impl SqlTables for Tables {
    fn projections(&self) -> Arc<dyn ProjectionStore> {
        self.with_drops()
    }

    fn statement(&self, version: u32) -> String {
        format!("CREATE TABLE numbers_v{version} (number INTEGER)")
    }

    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        if schema.sql.contains("TABEL") {
            return Err(StoreError::new(StoreErrorKind::Rejected, "it is misspelt"));
        }
        let new = Table {
            created_by: schema.fingerprint(),
            numbers: Vec::new(),
        };
        let mut tables = self.created.lock().await;
        let table = tables.entry(schema.name()).or_insert_with(|| new.clone());
        if table.created_by == new.created_by || self.fault == Fault::AnyStatements {
            Ok(())
        } else {
            Err(schema.is_another())
        }
    }

    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Vec<SqlStep>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        let mut tables = self.created.lock().await;
        let missing = || StoreError::new(StoreErrorKind::Rejected, "there is no such table");
        let table = tables.get_mut(&schema.name()).ok_or_else(missing)?;
        let mut numbers = table.numbers.clone();
        if let Err((index, error)) = run(steps.into_iter().enumerate(), &mut numbers) {
            if self.fault == Fault::KeepsStepsBefore {
                table.numbers = numbers;
            }
            return Err(WriteError::Poison {
                index: Some(index),
                error,
            });
        }
        let Some(advance) = advance else { return Ok(()) };
        if self.fault == Fault::StepsFirst {
            table.numbers.clone_from(&numbers);
        }
        self.store.advance(advance).await?;
        table.numbers = numbers;
        Ok(())
    }

    async fn append_with(&self, append: Append, inline: Vec<SqlInline>) -> Result<Appended, InlineError> {
        let mut tables = self.created.lock().await;
        for (index, SqlInline { projection, .. }) in inline.iter().enumerate() {
            if self.fault != Fault::NeverBehind && !self.is_level(projection).await? {
                return Err(InlineError::Behind { projection: index });
            }
        }
        let mut written = tables.clone();
        let mut ran = Ok(());
        for (projection, SqlInline { schema, steps, .. }) in inline.iter().enumerate() {
            let Some(table) = written.get_mut(&schema.name()) else {
                continue;
            };
            ran = run(steps.iter().copied(), &mut table.numbers).map_err(|(event, error)| InlineError::Poison {
                projection,
                event: Some(event),
                error,
            });
            if ran.is_err() {
                break;
            }
        }
        if self.fault == Fault::KeepsStepsOfConflicts {
            tables.clone_from(&written);
        }
        let before = self.store.head().await.map_err(AppendError::from)?;
        let appended = self.store.append(append).await?;
        if appended.repeated && self.fault != Fault::CountsRepetitions {
            return Ok(appended);
        }
        if ran.is_err() && self.fault != Fault::KeepsEventsOfPoison {
            self.store.rewind(before);
        }
        ran?;
        *tables = written;
        if self.fault != Fault::StaysBehind {
            for SqlInline { projection, .. } in &inline {
                let to = appended.head().unwrap_or_default();
                self.move_to(projection, to).await.map_err(AppendError::from)?;
            }
        }
        Ok(appended)
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let mut tables = self.created.lock().await;
        self.store.forget(reader, lease).await?;
        if let Some(table) = tables.get_mut(&schema.name())
            && self.fault != Fault::KeepsRows
        {
            table.numbers.clear();
        }
        Ok(())
    }

    async fn numbers(&self, schema: &SqlSchema) -> Option<Vec<i64>> {
        let table = self.created.lock().await.get(&schema.name())?.clone();
        let mut numbers = table.numbers;
        numbers.sort_unstable();
        Some(numbers)
    }
}

/// Does what the steps do to the numbers of a table, up to the first that fails.
fn run(steps: impl IntoIterator<Item = (usize, SqlStep)>, numbers: &mut Vec<i64>) -> Result<(), (usize, ApplyError)> {
    for (index, step) in steps {
        let error = match step {
            SqlStep::Insert(number) => {
                numbers.push(number);
                continue;
            }
            SqlStep::InsertAndPanic(_) => ApplyError::Panicked("as it was to".to_owned()),
            SqlStep::InsertAndFail(_) | SqlStep::Refused => ApplyError::Method("it fails".into()),
        };
        return Err((index, error));
    }
    Ok(())
}

impl Wrap for Tables {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }
}

#[async_trait]
impl WrapProjections for Tables {
    fn projections(&self) -> &dyn ProjectionStore {
        &self.store
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        let mut tables = self.created.lock().await;
        self.store.drop_table(table, readers, lease).await?;
        if self.fault != Fault::KeepsDropped {
            tables.remove(&table.name());
        }
        Ok(())
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        let tables = self.created.lock().await;
        let own = tables.keys().filter_map(|name| RowTable::version_of(projection, name));
        let of_rows = self.store.versions(projection).await?;
        Ok(own.chain(of_rows).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

impl Tables {
    /// As a store that keeps projections, and drops these tables too.
    fn with_drops(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(Wrapped(Arc::new(self.clone())))
    }

    /// Returns whether the projection has taken in all events of its categories.
    async fn is_level(&self, projection: &InlineReader) -> Result<bool, AppendError> {
        let checkpoint = async |reader| match self.store.checkpoint(reader).await {
            Ok(checkpoint) => Ok(checkpoint.map(|checkpoint| checkpoint.position)),
            Err(CheckpointError::Store(error)) => Err(AppendError::from(error)),
            Err(_) => Ok(None),
        };
        if checkpoint(&projection.mark).await?.is_none() {
            return Ok(false);
        }
        let at = checkpoint(&projection.reader).await?.unwrap_or_default();
        let rest: Vec<_> = self
            .store
            .read_log(ReadLog::new().from(at.next()))
            .try_collect()
            .await?;
        let is_of = |event: &RecordedEvent| projection.categories.iter().any(|own| own == event.stream.category());
        Ok(!rest.iter().any(is_of))
    }

    /// Moves the checkpoint of the projection.
    async fn move_to(&self, projection: &InlineReader, to: Position) -> Result<(), StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::new(StoreErrorKind::Unavailable, error.to_string());
        let lease = self.store.acquire("appends", "appends", LONG).await?;
        let lease = lease.ok_or_else(|| failed(&"the lease of the appends is free"))?;
        let from = self
            .store
            .checkpoint(&projection.reader)
            .await
            .map_err(|error| failed(&error))?;
        let from = from.map_or(Position::ZERO, |checkpoint| checkpoint.position);
        let advance = Advance {
            reader: projection.reader.clone(),
            ..crate::projections::moves(&lease, from, to)
        };
        self.store.advance(advance).await.map_err(|error| failed(&error))
    }
}
