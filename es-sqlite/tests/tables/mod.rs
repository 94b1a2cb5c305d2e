//! The tables of the suite's SQL projections.

use std::future::ready;
use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use es_conformance::{SqlInline, SqlStep, SqlTables};
use es_runtime::projection::sql::{InlineSteps, SqlSchema, SqlStore, Step, Steps, WriteError};
use es_runtime::store::{Advance, Append, Appended, CommitError, InlineError, Lease, ProjectionStore};
use es_runtime::{Result, StoreError};
use es_sqlite::{SqliteStore, SqliteTransaction};
use futures_util::future::BoxFuture;

pub(crate) struct Tables(pub(crate) SqliteStore);

struct Does {
    step: SqlStep,
    table: String,
}

impl Does {
    fn insert(&self, tx: &mut SqliteTransaction<'_>, number: i64) -> Result<()> {
        tx.execute(&format!("INSERT INTO {} (number) VALUES (?1)", self.table), [number])?;
        Ok(())
    }

    fn run(&self, tx: &mut SqliteTransaction<'_>) -> Result<()> {
        match self.step {
            SqlStep::Insert(number) => self.insert(tx, number),
            SqlStep::InsertAndFail(number) => {
                self.insert(tx, number)?;
                Err(std::fmt::Error.into())
            }
            SqlStep::InsertAndPanic(number) => {
                self.insert(tx, number)?;
                resume_unwind(Box::new("as it is to"))
            }
            SqlStep::Refused => {
                tx.execute("INSERT INTO nowhere VALUES (1)", [])?;
                Ok(())
            }
        }
    }
}

impl Step<SqliteTransaction<'static>> for Does {
    fn run<'a>(&'a self, tx: &'a mut SqliteTransaction<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.run(tx)))
    }
}

fn steps_of(
    schema: &SqlSchema,
    steps: impl IntoIterator<Item = (usize, SqlStep)>,
) -> Steps<SqliteTransaction<'static>> {
    let does = |(event, step)| -> (usize, Box<dyn Step<_>>) {
        let table = schema.name();
        (event, Box::new(Does { step, table }))
    };
    Steps::new(steps.into_iter().map(does).collect())
}

#[async_trait]
impl SqlTables for Tables {
    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(self.0.clone())
    }

    fn statement(&self, version: u32) -> String {
        format!("CREATE TABLE numbers_v{version} (number INTEGER NOT NULL)")
    }

    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        self.0.create_schema(schema).await
    }

    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Vec<SqlStep>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        let steps = steps_of(schema, steps.into_iter().enumerate());
        self.0.run_steps(schema, Arc::new(steps), advance).await
    }

    async fn append_with(&self, append: Append, inline: Vec<SqlInline>) -> Result<Appended, InlineError> {
        let steps = inline.into_iter().map(|inline| InlineSteps {
            steps: steps_of(&inline.schema, inline.steps),
            projection: Arc::new(inline.projection),
            schema: Arc::new(inline.schema),
        });
        self.0.append_with(append, steps.collect(), Vec::new()).await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.forget_schema(schema, reader, lease).await
    }

    async fn numbers(&self, schema: &SqlSchema) -> Option<Vec<i64>> {
        let table = schema.name();
        let read = self.0.query(move |connection| {
            let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
            if connection.query_row(exists, [&table], |row| row.get::<_, i64>(0))? == 0 {
                return Ok(None);
            }
            let mut statement = connection.prepare(&format!("SELECT number FROM {table} ORDER BY number"))?;
            let numbers = statement.query_map([], |row| row.get(0))?;
            numbers.collect::<Result<_, _>>().map(Some)
        });
        read.await.expect("the table is read")
    }
}
