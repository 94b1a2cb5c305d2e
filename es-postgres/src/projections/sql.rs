//! SQL projections: methods of the user, in a transaction with the checkpoint.

use std::error::Error as _;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Object, Transaction};
use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{InlineSteps, SqlSchema, SqlStore, Steps, WriteError};
use es_runtime::store::{Advance, Append, AppendError, Appended, CommitError, InlineError, InlineRows, Lease};
use es_runtime::{StoreError, StoreErrorKind};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::call::{Answer, COMMIT, Call};
use super::inline::Inline;
use super::transaction::PgTransaction;
use super::{FORGET, lost, rejected};
use crate::PostgresStore;
use crate::batch::Encoded;
use crate::error::{Problem, advice, is_of_the_server, kind_of, postgres_text};
use crate::outcome::{Outcome, Phase, outcome};
use crate::rows::column;

/// The schema of PostgreSQL in which the tables of one version of a projection are.
pub(super) struct Place {
    /// Such as `es_totals_v1`.
    pub(super) name: String,
    /// The comment on the schema, which tells what created it.
    comment: String,
    /// The text before its statements.
    pub(super) mark: String,
}

/// The schema is the projection's, though not created by these statements, if its comment begins so.
pub(super) fn owner(projection: &str, version: u32) -> String {
    format!("tables of projection {projection} version {version}, created by ")
}

/// The reasons that end a transaction before it is done.
pub(super) enum Failure {
    Problem(Problem, Phase),
    Refused(WriteError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Refused(error)
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Problem(problem, phase) => {
                let outcome = outcome(&problem, phase);
                let error = problem.while_doing("write what a projection did");
                Self::Commit(match outcome {
                    Outcome::Indeterminate => CommitError::Indeterminate(error),
                    Outcome::Repeat | Outcome::BadValue | Outcome::NotCommitted => CommitError::Store(error),
                })
            }
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure.into() {
            WriteError::Commit(error) => error,
            other => Self::Store(rejected(other.to_string())),
        }
    }
}

impl PostgresStore {
    /// Asks the tables of SQL projections, such as `es_totals_v1.totals`, or any other, on a connection of the pool.
    ///
    /// # Errors
    ///
    /// Returns the server's answer. A connection that was lost in the pool is replaced once, so a statement that writes
    /// might run twice: use this for queries.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let rows = self.reader.rows(sql, parameters).await;
        rows.map_err(|problem| problem.while_doing("ask a question"))
    }

    fn schema_of(&self, schema: &SqlSchema) -> Result<Place, StoreError> {
        let name = format!("{}_{}", self.schema.name(), schema.name());
        if name.len() > 63 {
            return Err(rejected(format!(
                "{name:?} cannot name the schema of a projection, as it is longer than 63 bytes: choose a shorter name for the projection, or for the \
                 schema `{}` of the store",
                self.schema.name()
            )));
        }
        Ok(Place {
            comment: format!("{}{}", owner(&schema.projection, schema.version), schema.fingerprint()),
            mark: format!("/* {} */ ", schema.name()),
            name,
        })
    }

    /// Does something on a connection.
    pub(super) async fn on_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = self.reader.client().await;
        let mut client = client.map_err(|problem| Failure::Problem(problem, Phase::Connect))?;
        let done = work(&mut client).await;
        if !matches!(&done, Err(Failure::Problem(Problem::Silent(_), _))) {
            client.give_back();
        }
        done
    }

    /// Awaits the server's answer within the time limit.
    pub(super) async fn answered<T>(
        &self,
        phase: Phase,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let answer = self.in_time(phase, answer).await?;
        answer.map_err(|error| Failure::Problem(error.into(), phase))
    }

    pub(super) async fn in_time<T>(&self, phase: Phase, answer: impl Future<Output = T>) -> Result<T, Failure> {
        timeout(self.patience, answer).await.map_err(|_| {
            let waited = self.patience.as_secs_f32();
            let message = format!("the server, or the method of a projection, did not answer within {waited} s");
            Failure::Problem(Problem::Silent(message), phase)
        })
    }

    /// A transaction in which the tables are found by their plain names.
    async fn begin<'c>(&self, client: &'c mut Object, place: &Place) -> Result<Transaction<'c>, Failure> {
        const FIND: &str = "SELECT set_config('search_path', concat_ws(', ', quote_ident($1), nullif(current_setting('search_path'), '')), true)";
        let transaction = self.answered(BEFORE, client.transaction()).await?;
        let find = self.answered(BEFORE, transaction.prepare_cached(FIND)).await?;
        self.answered(BEFORE, transaction.execute(&find, &[&place.name]))
            .await?;
        Ok(transaction)
    }

    async fn create(&self, client: &mut Object, place: &Place, schema: &SqlSchema) -> Result<(), Failure> {
        // Of those that create it at once, the others wait and find it.
        const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('es-postgres/schema/' || $1, 0))";
        const COMMENT: &str =
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1";
        let transaction = self.begin(client, place).await?;
        self.answered(BEFORE, transaction.execute(LOCK, &[&place.name])).await?;
        if let Some(row) = self
            .answered(BEFORE, transaction.query_opt(COMMENT, &[&place.name]))
            .await?
        {
            let comment: String = row.try_get(0).map_err(|error| Failure::Problem(error.into(), BEFORE))?;
            return match comment {
                comment if comment == place.comment => Ok(()),
                comment if comment.starts_with(&owner(&schema.projection, schema.version)) => Err(schema.is_another().into()),
                _ => Err(rejected(format!(
                    "there is a schema `{}` that is not of projection `{}`: drop or rename it, or give the projection another name",
                    place.name, schema.projection
                ))
                .into()),
            };
        }
        let name = place.name.replace('"', "\"\"");
        let create = format!("CREATE SCHEMA \"{name}\"");
        self.answered(BEFORE, transaction.batch_execute(&create)).await?;
        if let Err(failure) = self.answered(BEFORE, transaction.batch_execute(&schema.sql)).await {
            return Err(match failure {
                Failure::Problem(problem, _) if problem.kind() == StoreErrorKind::Rejected => {
                    let message = format!("the schema of projection `{}` is refused: {problem}", schema.projection);
                    rejected(message).caused_by(problem).into()
                }
                failure => failure,
            });
        }
        // It holds the projection's name, which has no quotes, and an id.
        let comment = format!("COMMENT ON SCHEMA \"{name}\" IS '{}'", place.comment);
        self.answered(BEFORE, transaction.batch_execute(&comment)).await?;
        self.answered(Phase::Sent, transaction.commit()).await
    }

    async fn run(
        &self,
        client: &mut Object,
        place: &Place,
        steps: &Steps<PgTransaction<'static>>,
        advance: Option<Advance>,
    ) -> Result<(), Failure> {
        let transaction = self.begin(client, place).await?;
        let applied = self.apply(&transaction, place, steps).await?;
        applied.map_err(|(event, error)| failed(event, error))?;
        let Some(advance) = advance else {
            // Runs the checks of the end now, and then rolls everything back.
            let checked = self
                .answered(BEFORE, transaction.batch_execute("SET CONSTRAINTS ALL IMMEDIATE"))
                .await;
            return checked.map_err(of_an_event);
        };
        let sql = self.schema.render(COMMIT);
        let row = async {
            let statement = transaction.prepare_cached(&sql).await?;
            transaction
                .query_one(&statement, &Call::new(&advance, None, &[]).arguments())
                .await
        };
        let row = self.answered(BEFORE, row).await.map_err(|failure| match failure {
            Failure::Problem(problem, _) if problem.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
                of_an_event(Failure::Problem(problem, BEFORE))
            }
            failure => failure,
        })?;
        Answer::read(&row)?.of(advance, None)?;
        self.answered(Phase::Sent, transaction.commit())
            .await
            .map_err(of_an_event)
    }

    /// Has each step write, one after the other. Else the event that could not be applied.
    pub(super) async fn apply(
        &self,
        transaction: &Transaction<'_>,
        place: &Place,
        steps: &Steps<PgTransaction<'static>>,
    ) -> Result<Result<(), (usize, ApplyError)>, Failure> {
        let mut tx = PgTransaction::new(transaction, &place.mark);
        let mut applied = Ok(());
        for step in 0..steps.len() {
            tx.at(step);
            if let Err(error) = self.in_time(BEFORE, steps.run(step, &mut tx)).await? {
                applied = Err((steps.event(step), error));
                break;
            }
        }
        // An earlier statement in the queue finishes first, and is the reason why the others fail.
        Ok(match self.in_time(BEFORE, tx.finish()).await? {
            Some((step, error)) => Err((steps.event(step), ApplyError::Method(Box::new(error)))),
            None => applied,
        })
    }

    async fn empty(&self, client: &mut Object, place: &Place, reader: &str, lease: &Lease) -> Result<(), Failure> {
        const TABLES: &str = "SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') \
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";
        let transaction = self.begin(client, place).await?;
        // The tables first: whoever appends with them holds these, and then wants the checkpoint.
        let row = self
            .answered(BEFORE, transaction.query_one(TABLES, &[&place.name]))
            .await?;
        let tables: Option<String> = row.try_get(0).map_err(|error| Failure::Problem(error.into(), BEFORE))?;
        if let Some(tables) = tables {
            let truncate = format!("TRUNCATE {tables} RESTART IDENTITY");
            self.answered(BEFORE, transaction.batch_execute(&truncate)).await?;
        }
        let forget = self.schema.render(FORGET);
        let arguments: &[&(dyn ToSql + Sync)] = &[
            &reader,
            &lease.name,
            &lease.owner,
            &column(lease.epoch),
            &None::<String>,
        ];
        let row = self.answered(BEFORE, transaction.query_one(&forget, arguments)).await?;
        if Answer::read(&row)?.outcome == "lost" {
            return Err(lost(lease).into());
        }
        self.answered(Phase::Sent, transaction.commit()).await
    }
}

/// The commit was not sent yet: what fails now is not written.
pub(super) const BEFORE: Phase = Phase::Connect;

/// A method failed. An error of the database that passes is no fault of the event.
pub(super) fn failed(event: usize, error: ApplyError) -> Failure {
    let code = match &error {
        ApplyError::Method(error) => database_error(&**error),
        _ => None,
    };
    match code {
        Some(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            // A method before has passed over the error of a statement.
            poison(None, unheeded())
        }
        Some(error) if passes(error) => {
            let message = format!(
                "the method of a projection failed: {}{}",
                postgres_text(error),
                advice(error.code())
            );
            StoreError::new(kind_of(error.code()), message).into()
        }
        _ => poison(Some(event), error),
    }
}

/// Returns whether the failure passes by itself: neither the statement is to blame, nor what the method makes of its
/// rows.
fn passes(error: &Error) -> bool {
    match error.code() {
        Some(code) => is_of_the_server(Some(code)),
        None => {
            error.is_closed()
                || error
                    .source()
                    .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        }
    }
}

/// The error of the database among the causes of what a method returned.
pub(super) fn database_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Blames the event for a refusal at the end, which one of the methods caused.
fn of_an_event(failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem, _) if problem.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            poison(None, unheeded())
        }
        // Only the answer that a transaction was rolled back tells that it was.
        Failure::Problem(problem, phase)
            if !is_of_the_server(problem.code()) && outcome(&problem, phase) != Outcome::Indeterminate =>
        {
            poison(None, ApplyError::Method(Box::new(problem)))
        }
        failure => failure,
    }
}

fn poison(index: Option<usize>, error: ApplyError) -> Failure {
    WriteError::Poison { index, error }.into()
}

pub(super) fn unheeded() -> ApplyError {
    ApplyError::Method("a statement has failed, and the method went on: return its error".into())
}

#[async_trait]
impl SqlStore<PgTransaction<'static>> for PostgresStore {
    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        let place = self.schema_of(schema)?;
        let created = self
            .on_connection(async |client: &mut Object| self.create(client, &place, schema).await)
            .await;
        created.map_err(|failure| match failure {
            Failure::Problem(problem, _) => problem.while_doing("create the schema of a projection"),
            Failure::Refused(WriteError::Commit(CommitError::Store(error))) => error,
            Failure::Refused(other) => rejected(other.to_string()),
        })
    }

    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Arc<Steps<PgTransaction<'static>>>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        let place = self.schema_of(schema)?;
        let ran = self.on_connection(async |client: &mut Object| self.run(client, &place, &steps, advance).await);
        Ok(ran.await?)
    }

    async fn append_with(
        &self,
        append: Append,
        steps: Vec<InlineSteps<PgTransaction<'static>>>,
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError> {
        let places = steps.iter().map(|of| self.schema_of(&of.schema));
        let inline = Inline {
            places: places.collect::<Result<_, _>>().map_err(AppendError::from)?,
            steps: &steps,
            encoded: Encoded::with_rows(append, rows)?,
        };
        self.append_inline(inline).await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let place = self.schema_of(schema)?;
        let emptied = self.on_connection(async |client: &mut Object| self.empty(client, &place, reader, lease).await);
        Ok(emptied.await?)
    }
}
