//! The tables of the suite's SQL projections.

use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use es_conformance::{SqlInline, SqlStep, SqlTables};
use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::projection::sql::{InlineSteps, SqlSchema, SqlStore, Step, Steps, WriteError};
use es_runtime::store::{Advance, Append, Appended, CommitError, InlineError, Lease, ProjectionStore};
use es_runtime::{Result, StoreError};
use futures_util::future::BoxFuture;

pub(crate) struct Tables(pub(crate) PostgresStore);

struct Does(SqlStep);

async fn insert(tx: &mut PgTransaction<'_>, number: i64) -> Result<()> {
    tx.execute("INSERT INTO numbers (number) VALUES ($1)", &[&number])
        .await?;
    Ok(())
}

impl Step<PgTransaction<'static>> for Does {
    fn run<'a>(&'a self, tx: &'a mut PgTransaction<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match self.0 {
                SqlStep::Insert(number) => insert(tx, number).await,
                SqlStep::InsertAndFail(number) => {
                    insert(tx, number).await?;
                    Err(std::fmt::Error.into())
                }
                SqlStep::InsertAndPanic(number) => {
                    insert(tx, number).await?;
                    resume_unwind(Box::new("as it is to"))
                }
                SqlStep::Refused => {
                    tx.execute("INSERT INTO nowhere VALUES (1)", &[]).await?;
                    Ok(())
                }
            }
        })
    }
}

fn steps_of(steps: impl IntoIterator<Item = (usize, SqlStep)>) -> Steps<PgTransaction<'static>> {
    let does = |(event, step)| -> (usize, Box<dyn Step<_>>) { (event, Box::new(Does(step))) };
    Steps::new(steps.into_iter().map(does).collect())
}

#[async_trait]
impl SqlTables for Tables {
    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(self.0.clone())
    }

    fn statement(&self, _: u32) -> String {
        "CREATE TABLE numbers (number bigint NOT NULL)".to_owned()
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
        let steps = steps_of(steps.into_iter().enumerate());
        self.0.run_steps(schema, Arc::new(steps), advance).await
    }

    async fn append_with(&self, append: Append, inline: Vec<SqlInline>) -> Result<Appended, InlineError> {
        let steps = inline.into_iter().map(|inline| InlineSteps {
            steps: steps_of(inline.steps),
            projection: Arc::new(inline.projection),
            schema: Arc::new(inline.schema),
        });
        self.0.append_with(append, steps.collect(), Vec::new()).await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.forget_schema(schema, reader, lease).await
    }

    async fn numbers(&self, schema: &SqlSchema) -> Option<Vec<i64>> {
        let table = format!("es_{}.numbers", schema.name());
        let exists = self.0.query("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
        if !exists.expect("the table is looked for")[0].get::<_, bool>(0) {
            return None;
        }
        let numbers = format!("SELECT number FROM {table} ORDER BY number");
        let rows = self.0.query(&numbers, &[]).await.expect("the table is read");
        Some(rows.iter().map(|row| row.get(0)).collect())
    }
}
