//! The tables and functions of a store, and the steps that lead to them.
//!
//! A store lives in a schema of its own, `es` unless named otherwise. [`print()`] gives everything as SQL for whoever reviews
//! or runs it by hand, [`apply`] runs what is missing, [`check`] only looks.

use std::fmt::Write as _;

use es_runtime::{StoreError, StoreErrorKind};
use tokio_postgres::{Client, GenericClient};

use crate::error::Problem;

/// The number of the first step. Lower versions were made before the first release, and are refused. Until then, raise it with a
/// change to the first step that a store which is there would miss.
const FIRST: i32 = 10;

/// The version that this build reads and writes: the number of the last step.
const VERSION: i32 = FIRST;

/// The lock that makes appends follow one another. It prevents collisions; the order does not depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lock {
    /// An advisory lock of the transaction. It leaves nothing behind in any table.
    #[default]
    Advisory,
    /// A lock on the one row of the table `log`, for engines and proxies without advisory locks.
    Row,
}

/// The schema in which a store lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    name: String,
    lock: Lock,
}

impl Default for Schema {
    fn default() -> Self {
        Self {
            name: "es".to_owned(),
            lock: Lock::default(),
        }
    }
}

impl Schema {
    /// Returns the schema of that name.
    ///
    /// # Errors
    ///
    /// If PostgreSQL would not take the name as it is (it is empty, longer than 63 bytes, or starts with `pg_`), or if it
    /// holds a NUL, a `'`, a `$` or a `\`, which cannot stand in the functions' bodies. An SQL projection has a schema of its own, which is
    /// named after this one, the projection and its version (`es_totals_v1`): it is refused at the start if that is longer than 63 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        if name.is_empty() || name.len() > 63 || name.starts_with("pg_") || name.contains(['\0', '\'', '$', '\\']) {
            return Err(StoreError::new(
                StoreErrorKind::Rejected,
                format!(
                    "{name:?} cannot name a schema: use 1 to 63 bytes without `'`, `$` and `\\` that do not start with `pg_`"
                ),
            ));
        }
        Ok(Self {
            name,
            lock: Lock::default(),
        })
    }

    /// Sets the lock that makes appends follow one another. Takes effect when [`apply`] runs.
    #[must_use]
    pub fn lock(mut self, lock: Lock) -> Self {
        self.lock = lock;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts the name into SQL that is written for a schema called `es`.
    pub(crate) fn render(&self, sql: &str) -> String {
        if self.name == "es" {
            return sql.to_owned();
        }
        let quoted = format!("\"{}\"", self.name.replace('"', "\"\""));
        sql.replace("\"es\"", &quoted)
            .replace("'es'", &format!("'{}'", self.name))
    }

    /// The steps that lead from an empty schema to the present one: number, name and SQL. Each is one transaction.
    fn steps(&self) -> impl Iterator<Item = (i32, &'static str, String)> {
        (FIRST..)
            .zip([("create", self.create())])
            .map(|(number, (name, sql))| (number, name, self.render(&sql)))
    }

    /// The first step, section by section. A section may use those above it.
    fn create(&self) -> String {
        let lock = match self.lock {
            Lock::Advisory => include_str!("../sql/schema/lock_advisory.sql"),
            Lock::Row => include_str!("../sql/schema/lock_row.sql"),
        };
        [
            include_str!("../sql/schema/log.sql"),
            include_str!("../sql/schema/lock_conditions.sql"),
            lock,
            include_str!("../sql/schema/append.sql"),
            include_str!("../sql/schema/append_in_turn.sql"),
            include_str!("../sql/schema/resolve.sql"),
            include_str!("../sql/schema/states.sql"),
            include_str!("../sql/schema/leases.sql"),
            include_str!("../sql/schema/checkpoints.sql"),
            include_str!("../sql/schema/order_key.sql"),
            include_str!("../sql/schema/rows.sql"),
            include_str!("../sql/schema/inline.sql"),
        ]
        .join("\n")
    }

    /// Creates the schema itself, with the table of the steps taken. Held under a lock with all that follows it in the
    /// transaction.
    fn begin(&self) -> String {
        self.render(include_str!("../sql/schema/begin_step.sql"))
    }

    fn record(&self, number: i32, name: &str) -> String {
        self.render(&format!(
            "INSERT INTO \"es\".schema_steps (step, name) VALUES ({number}, '{name}');"
        ))
    }
}

/// Returns all steps as one script, for an empty schema: `psql --single-transaction -f`.
pub fn print(schema: &Schema) -> String {
    let mut script = schema.begin();
    for (number, name, sql) in schema.steps() {
        let record = schema.record(number, name);
        // Writing to a string does not fail.
        let _ = writeln!(script, "\n-- Step {number}: {name}\n\n{sql}\n{record}");
    }
    script
}

/// Fails unless the schema is the one that this build works with. Changes nothing.
///
/// # Errors
///
/// [`Rejected`](StoreErrorKind::Rejected) with what to do, if the schema is missing, older or newer.
pub async fn check(client: &Client, schema: &Schema) -> Result<(), StoreError> {
    let failed = |problem: Problem| problem.while_doing("look at the schema");
    match known(schema, taken(client, schema).await.map_err(failed)?)? {
        VERSION => Ok(()),
        0 => Err(rejected(format!(
            "there is no store in schema `{}`: run es_postgres::schema::apply, or the SQL of es_postgres::schema::print",
            schema.name
        ))),
        older => Err(rejected(format!(
            "the store in schema `{}` has version {older}, this build needs {VERSION}: run es_postgres::schema::apply",
            schema.name
        ))),
    }
}

/// Runs the missing steps. If several processes do it at once, one of them runs each step; a killed process leaves only
/// whole steps behind.
///
/// # Errors
///
/// [`Rejected`](StoreErrorKind::Rejected) if the schema is of a newer build, or of one before the first release, or if the role may
/// not create it.
pub async fn apply(client: &mut Client, schema: &Schema) -> Result<(), StoreError> {
    while next_step(client, schema).await? < VERSION {}
    Ok(())
}

/// Runs one step if one is missing, and returns the version before it.
async fn next_step(client: &mut Client, schema: &Schema) -> Result<i32, StoreError> {
    let failed = |error: tokio_postgres::Error| Problem::from(error).while_doing("set up the schema");
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(&schema.begin()).await.map_err(failed)?;
    let taken = taken(&transaction, schema).await;
    let before = known(
        schema,
        taken.map_err(|problem| problem.while_doing("set up the schema"))?,
    )?;
    let missing = schema.steps().find(|(number, ..)| *number > before);
    if let Some((number, name, sql)) = missing {
        tracing::info!(schema = schema.name, step = name, "setting up the schema");
        transaction.batch_execute(&sql).await.map_err(failed)?;
        transaction
            .batch_execute(&schema.record(number, name))
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(before)
}

/// The version of the store: the last step that was taken; 0 if there is none.
async fn taken(client: &impl GenericClient, schema: &Schema) -> Result<i32, Problem> {
    let exists = client
        .query_one(
            "SELECT to_regclass(format('%I.schema_steps', $1::text)) IS NOT NULL",
            &[&schema.name],
        )
        .await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let steps = schema.render("SELECT coalesce(max(step), 0) FROM \"es\".schema_steps");
    Ok(client.query_one(&steps, &[]).await?.try_get(0)?)
}

/// The version, if this build knows it: there is no store yet, or one of a release up to its own.
fn known(schema: &Schema, version: i32) -> Result<i32, StoreError> {
    let name = &schema.name;
    match version {
        0 | FIRST..=VERSION => Ok(version),
        ..FIRST => Err(rejected(format!(
            "the store in schema `{name}` has version {version}, which a build before the first release made: name another schema, or \
             drop this one if its events are not needed"
        ))),
        _ => Err(rejected(format!(
            "the store in schema `{name}` has version {version}, this build knows no version above {VERSION}: use a newer es-postgres"
        ))),
    }
}

fn rejected(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let schema = Schema::new("a \"b\" ü").unwrap();
        assert_eq!(
            schema.render("SELECT 'es' FROM \"es\".events"),
            "SELECT 'a \"b\" ü' FROM \"a \"\"b\"\" ü\".events"
        );
    }

    #[test]
    fn names_that_postgres_would_change_are_refused() {
        for name in ["", "pg_es", "a\0b", "a'b", "a$$b", "a\\b", &"n".repeat(64)] {
            assert!(Schema::new(name).is_err(), "{name:?}");
        }
    }
}
