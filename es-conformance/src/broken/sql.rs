//! Faults in tables that methods of the user write.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::projection::Unprojectable;
use es_runtime::projection::sql::{SqlSchema, WriteError};
use es_runtime::projection::store::{Commit, CommitError, Lease, ProjectionStore};
use es_runtime::{Clock, EventStore, MemoryStore, StoreError, StoreErrorKind};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Capability, Fixture, SqlStep, SqlTables};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    AnyStatements,
    StepsFirst,
    KeepsStepsBefore,
    KeepsRows,
}

/// Tables of numbers in memory, beside a store: by name, with what they were created by.
#[derive(Clone)]
struct Tables {
    store: MemoryStore,
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
        Some(Arc::new(self.store.clone().with_clock(clock)))
    }

    async fn open_sql(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn SqlTables>> {
        let store = self.store.clone().with_clock(clock);
        Some(Arc::new(Self { store, ..self.clone() }))
    }
}

#[async_trait]
impl SqlTables for Tables {
    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(self.store.clone())
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
        commit: Option<Commit>,
    ) -> Result<(), WriteError> {
        let mut tables = self.created.lock().await;
        let missing = || StoreError::new(StoreErrorKind::Rejected, "there is no such table");
        let table = tables.get_mut(&schema.name()).ok_or_else(missing)?;
        let mut numbers = table.numbers.clone();
        for (index, step) in steps.into_iter().enumerate() {
            let error = match step {
                SqlStep::Insert(number) => {
                    numbers.push(number);
                    continue;
                }
                SqlStep::InsertAndPanic(_) => Unprojectable::Panicked("as it was to".to_owned()),
                SqlStep::InsertAndFail(_) | SqlStep::Refused => Unprojectable::Method("it fails".into()),
            };
            if self.fault == Fault::KeepsStepsBefore {
                table.numbers = numbers;
            }
            return Err(WriteError::Poison {
                index: Some(index),
                error,
            });
        }
        let Some(commit) = commit else { return Ok(()) };
        if self.fault == Fault::StepsFirst {
            table.numbers.clone_from(&numbers);
        }
        self.store.commit(commit).await?;
        table.numbers = numbers;
        Ok(())
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let mut tables = self.created.lock().await;
        self.store.forget(reader, None, lease).await?;
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
