//! The versions of a projection: those that have a table of rows, or a schema with tables of their own, and how one is dropped.

use deadpool_postgres::Object;
use es_runtime::store::{Lease, RowTable};
use tokio_postgres::error::{DbError, SqlState};

use super::call::Answer;
use super::sql::{BEFORE, Failure, owner};
use super::{Arguments, lost, rejected};
use crate::PostgresStore;
use crate::error::Problem;
use crate::outcome::Phase;
use crate::rows::column;

/// The names of what a version may have, those of tables of other projections among them: `totals_v1`.
const NAMES: &str = "SELECT c.relname::text FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'es' AND c.relkind = 'r' AND starts_with(c.relname::text, $1) \
     UNION SELECT substr(n.nspname::text, length('es') + 2) FROM pg_catalog.pg_namespace AS n \
     WHERE starts_with(n.nspname::text, 'es' || '_' || $1) \
       AND starts_with(obj_description(n.oid, 'pg_namespace'), 'tables of projection ' || $1 || ' version ')";
const DROP: &str = "SELECT \"es\".drop_rows($1, $2, $3, $4, $5), NULL::bigint";

impl PostgresStore {
    /// What [`NAMES`] says.
    pub(super) async fn names_of_versions(&self, projection: &str) -> Result<Vec<String>, Problem> {
        let rows = self.reader.rows(&self.schema.render(NAMES), &[&projection]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Drops the table of rows and the schema of this version, as far as they are there, and forgets the readers: all of it or nothing.
    pub(super) async fn drop_of(
        &self,
        client: &mut Object,
        table: &RowTable,
        readers: &[String],
        lease: &Lease,
    ) -> Result<(), Failure> {
        let transaction = self.answered(BEFORE, client.transaction()).await?;
        let schema = format!("{}_{}", self.schema.name(), table.name());
        // Before the checkpoint, as whoever writes to the tables does.
        if let Some(drop) = self.drop_schema(&transaction, &schema, table).await? {
            let dropped = self.answered(BEFORE, transaction.batch_execute(&drop)).await;
            dropped.map_err(|failure| stays(failure, &schema, table))?;
        }
        let sql = self.schema.render(DROP);
        let arguments: Arguments<'_> = &[&readers, &lease.name, &lease.owner, &column(lease.epoch), &table.name()];
        let row = self.answered(BEFORE, transaction.query_one(&sql, arguments)).await?;
        if Answer::read(&row)?.outcome == "lost" {
            return Err(lost(lease).into());
        }
        self.answered(Phase::Sent, transaction.commit()).await
    }

    /// The statements that drop the schema, if it is there and was made for this version. Nothing is dropped along with what is named,
    /// so that it fails if anything else depends on it, or is in it.
    async fn drop_schema(
        &self,
        transaction: &deadpool_postgres::Transaction<'_>,
        schema: &str,
        table: &RowTable,
    ) -> Result<Option<String>, Failure> {
        const STATEMENTS: &str = "SELECT string_agg(d.statement, '; ' ORDER BY d.rank) FROM ( \
                 SELECT k.rank, format('DROP %s %s', k.kind, string_agg(format('%I.%I', n.nspname, c.relname), ', ')) \
                   FROM pg_catalog.pg_namespace AS n \
                   JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid \
                   JOIN (VALUES ('m', 1, 'MATERIALIZED VIEW'), ('v', 2, 'VIEW'), ('r', 3, 'TABLE'), ('p', 3, 'TABLE'), \
                                ('S', 4, 'SEQUENCE IF EXISTS')) AS k (relkind, rank, kind) ON k.relkind = c.relkind::text \
                  WHERE n.nspname = $1 GROUP BY k.rank, k.kind \
                 UNION ALL SELECT 5, format('DROP SCHEMA %I', $1::text) \
             ) AS d (rank, statement) \
             WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace AS n \
                            WHERE n.nspname = $1 AND starts_with(obj_description(n.oid, 'pg_namespace'), $2))";
        let owner = owner(&table.projection, table.version);
        let row = self
            .answered(BEFORE, transaction.query_one(STATEMENTS, &[&schema, &owner]))
            .await?;
        row.try_get(0).map_err(|error| Failure::Problem(error.into(), BEFORE))
    }
}

/// Why the schema stays.
fn stays(failure: Failure, schema: &str, table: &RowTable) -> Failure {
    match failure {
        Failure::Problem(Problem::Postgres(error), _)
            if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) =>
        {
            let RowTable {
                projection, version, ..
            } = table;
            let detail = error.as_db_error().and_then(DbError::detail).unwrap_or_default();
            let message = format!(
                "cannot drop schema `{schema}` of projection `{projection}` version {version}: drop first what depends on its tables, or was put beside them ({detail})"
            );
            rejected(message).caused_by(Problem::Postgres(error)).into()
        }
        failure => failure,
    }
}
