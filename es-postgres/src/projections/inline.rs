//! Appends with inline projections: on a connection of their own, projected first, appended last.

use std::slice;

use deadpool_postgres::Transaction;
use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{InlineSteps, WriteError};
use es_runtime::store::{Append, AppendError, Appended, CommitError, InlineError};
use es_runtime::{StoreError, StoreErrorKind};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use super::inline_rows::{Changing, LOCK, WRITE};
use super::rejected;
use super::sql::{BEFORE, Failure, Place, database_error, failed, unheeded};
use super::transaction::PgTransaction;
use crate::PostgresStore;
use crate::batch::{self, Answer, Encoded};
use crate::error::{Problem, is_of_the_server};
use crate::outcome::{Outcome, Phase, outcome};
use crate::reply::{Answered, Reply, failure, pause, result};
use crate::rows::column;
use crate::sessions::Session;

type Steps = InlineSteps<PgTransaction<'static>>;

/// Finds the tables by their plain names from then on, and tells whether the projection is level.
const FIND: &str = "SELECT set_config('search_path', concat_ws(', ', quote_ident($1), nullif($2, '')), true), \
     \"es\".is_level($3, $4, $5, NULL)";
const TAKE_IN: &str = "SELECT \"es\".take_in($1, $2, $3, $4, $5)";

/// An append that was not done.
pub(super) enum Ended {
    /// It was rolled back.
    Refused(InlineError),
    /// It was rolled back because of another transaction, and may be tried again as it is.
    Repeat(Problem),
    /// The same as the first, or nobody knows; and the connection is not used again.
    Broken(InlineError),
}

impl From<AppendError> for Ended {
    fn from(error: AppendError) -> Self {
        Self::Refused(error.into())
    }
}

/// An append with what is written beside it.
pub(super) struct Inline<'a> {
    pub(super) encoded: Encoded,
    pub(super) steps: &'a [Steps],
    /// Where the tables of each of them are.
    pub(super) places: Vec<Place>,
}

impl PostgresStore {
    /// Does it, again where other transactions were in the way.
    pub(super) async fn append_inline(&self, inline: Inline<'_>) -> Result<Appended, InlineError> {
        const ATTEMPTS: u32 = 10;
        let append = &inline.encoded.append;
        for attempt in 1.. {
            let lent = self.inline.lend().await;
            let not_sent = |problem| failure(Outcome::NotCommitted, problem, None, append);
            let mut lent = lent.map_err(not_sent)?;
            let session = lent.session();
            let ended = match self.attempt(session, &inline).await {
                Err(Ended::Refused(poison @ InlineError::Poison { .. })) => {
                    // Perhaps because another writer was first: then that is what the append is told.
                    match self.would_answer(session, &inline.encoded).await {
                        Ok(Answer::Appended(_)) => Err(Ended::Refused(poison)),
                        // Something may be under way on the connection.
                        Err(_) => Err(Ended::Broken(poison)),
                        Ok(answer) => Ok(Answered {
                            answer,
                            unconfirmed: false,
                        }),
                    }
                }
                ended => ended,
            };
            match ended {
                Ok(answered) => {
                    self.inline.give_back(lent);
                    return self.concluded(answered, append).await;
                }
                Err(Ended::Refused(error)) => {
                    self.inline.give_back(lent);
                    return Err(error);
                }
                Err(Ended::Broken(error)) => return Err(error),
                Err(Ended::Repeat(problem)) => {
                    self.inline.give_back(lent);
                    if attempt == ATTEMPTS {
                        let message = "cannot append: other transactions that write the same rows were in the way, again and again; try again later";
                        let error = StoreError::new(StoreErrorKind::Unavailable, message).caused_by(problem);
                        return Err(AppendError::Store(error).into());
                    }
                    tracing::debug!(attempt, "an append collided with another transaction: {problem}");
                    tokio::time::sleep(pause(attempt)).await;
                }
            }
        }
        unreachable!("the last attempt returns");
    }

    async fn concluded(&self, answered: Answered, append: &Append) -> Result<Appended, InlineError> {
        if let Answer::Appended(appended) = &answered.answer
            && let Some(head) = appended.head()
        {
            self.wake.appended(head);
        }
        Ok(match result(answered, append)? {
            Reply::Appended(appended) => appended,
            Reply::Repeated { append, stored } => self.repeated(&append, stored).await?,
        })
    }

    async fn attempt(&self, session: &mut Session, inline: &Inline<'_>) -> Result<Answered, Ended> {
        let append = &inline.encoded.append;
        let before = |failure: Failure| before_commit(failure, append);
        let begun = self.answered(BEFORE, session.client.transaction()).await;
        let transaction = begun.map_err(|failure| match failure {
            // It was lost while nobody used it.
            Failure::Problem(problem, _) if problem.is_disconnect() => Ended::Repeat(problem),
            failure => before(failure),
        })?;
        for (projection, place) in inline.places.iter().enumerate() {
            let search_path = &session.search_path;
            self.project(&transaction, search_path, projection, place, inline)
                .await?;
        }
        let rows = &inline.encoded.rows;
        let mut changing = Changing::of(rows.iter());
        self.lock_rows(&transaction, &mut changing, &inline.encoded).await?;
        let answer = self.call_append(&transaction, &inline.encoded).await.map_err(before)?;
        let Answer::Appended(appended) = &answer else {
            // The work of the methods is rolled back.
            let rolled_back = self.answered(BEFORE, transaction.rollback()).await;
            rolled_back.map_err(before)?;
            return Ok(Answered {
                answer,
                unconfirmed: false,
            });
        };
        changing
            .fold(rows, inline.steps.len(), appended)
            .map_err(Ended::Refused)?;
        let last = column(appended.head().unwrap_or_default().0);
        let first = last - i64::try_from(append.events().count()).unwrap_or(i64::MAX) + 1;
        for (projection, InlineSteps { projection: reader, .. }) in inline.steps.iter().enumerate() {
            let taken_in = async {
                let statement = transaction.prepare_cached(&self.schema.render(TAKE_IN)).await?;
                let row = transaction
                    .query_one(
                        &statement,
                        &[&reader.reader, &reader.mark, &reader.categories, &first, &last],
                    )
                    .await?;
                row.try_get::<_, bool>(0)
            };
            if !self.answered(BEFORE, taken_in).await.map_err(before)? {
                return Err(Ended::Refused(InlineError::Behind { projection }));
            }
        }
        self.write_rows(&transaction, &changing, &inline.encoded).await?;
        session.is_committing = true;
        let committed = self.answered(Phase::Sent, transaction.commit()).await;
        session.is_committing = matches!(&committed, Err(Failure::Problem(problem, phase)) if outcome(problem, *phase) == Outcome::Indeterminate);
        match committed {
            Ok(()) => Ok(Answered {
                answer,
                unconfirmed: session.notices.take_unconfirmed(),
            }),
            Err(failure) => Err(self.at_commit(failure, session, append)),
        }
    }

    /// Runs the steps of one projection.
    async fn project(
        &self,
        transaction: &Transaction<'_>,
        search_path: &String,
        projection: usize,
        place: &Place,
        inline: &Inline<'_>,
    ) -> Result<(), Ended> {
        let before = |failure: Failure| before_commit(failure, &inline.encoded.append);
        let InlineSteps {
            projection: reader,
            steps,
            ..
        } = &inline.steps[projection];
        let find = async {
            let statement = transaction.prepare_cached(&self.schema.render(FIND)).await?;
            let row = transaction
                .query_one(
                    &statement,
                    &[
                        &place.name,
                        search_path,
                        &reader.reader,
                        &reader.mark,
                        &reader.categories,
                    ],
                )
                .await?;
            row.try_get::<_, bool>(1)
        };
        if !self.answered(BEFORE, find).await.map_err(before)? {
            return Err(Ended::Refused(InlineError::Behind { projection }));
        }
        if steps.is_empty() {
            return Ok(());
        }
        let applied = self.apply(transaction, place, steps).await.map_err(before)?;
        applied.map_err(|(event, error)| of_a_method(projection, event, error))?;
        // Runs the checks that would otherwise wait for the commit, where the user's code would hold the lock.
        let checked = transaction.batch_execute("SET CONSTRAINTS ALL IMMEDIATE");
        self.answered(BEFORE, checked)
            .await
            .map_err(|failure| of_all_methods(projection, failure, &inline.encoded.append))
    }

    /// Locks the rows that the append changes, and the log.
    async fn lock_rows(
        &self,
        transaction: &Transaction<'_>,
        changing: &mut Changing<'_>,
        encoded: &Encoded,
    ) -> Result<(), Ended> {
        if encoded.rows.is_empty() {
            return Ok(());
        }
        let before = |failure| before_commit(failure, &encoded.append);
        let locking = async {
            let lock = transaction.prepare_cached(&self.schema.render(LOCK)).await;
            Ok::<_, Error>(changing.lock(&**transaction, &lock?).await)
        };
        let Err(not_locked) = self.answered(BEFORE, locking).await.map_err(before)? else {
            return Ok(());
        };
        let blamed = not_locked.blames(&encoded.rows).map(Ended::Refused);
        Err(blamed.unwrap_or_else(|| before(Failure::Problem(not_locked.problem, BEFORE))))
    }

    async fn write_rows(
        &self,
        transaction: &Transaction<'_>,
        changing: &Changing<'_>,
        encoded: &Encoded,
    ) -> Result<(), Ended> {
        if encoded.rows.is_empty() {
            return Ok(());
        }
        let before = |failure| before_commit(failure, &encoded.append);
        let writing = async {
            let write = transaction.prepare_cached(&self.schema.render(WRITE)).await;
            Ok::<_, Error>(changing.write(&**transaction, &write?).await)
        };
        let written = self.answered(BEFORE, writing).await.map_err(before)?;
        written.map_err(|problem| before(Failure::Problem(problem, BEFORE)))
    }

    async fn call_append(&self, transaction: &Transaction<'_>, encoded: &Encoded) -> Result<Answer, Failure> {
        let answers = async {
            let statement = transaction.prepare_cached(&self.inline.settings.append).await?;
            let alone = [slice::from_ref(encoded)];
            batch::send(&**transaction, &statement, &alone, self.inline.settings.now()).await
        };
        let answers = self
            .in_time(BEFORE, answers)
            .await?
            .map_err(|problem| Failure::Problem(problem, BEFORE))?;
        let nothing = || Failure::Problem(Problem::Damaged("append() answered nothing".to_owned()), BEFORE);
        answers.into_iter().flatten().next().ok_or_else(nothing)
    }

    /// Returns the answer that the append would get without its projections.
    async fn would_answer(&self, session: &mut Session, encoded: &Encoded) -> Result<Answer, Failure> {
        let transaction = self.answered(BEFORE, session.client.transaction()).await?;
        let answer = self.call_append(&transaction, encoded).await?;
        self.answered(BEFORE, transaction.rollback()).await?;
        Ok(answer)
    }

    /// The commit was sent, and failed.
    fn at_commit(&self, failed: Failure, session: &Session, append: &Append) -> Ended {
        let (problem, phase) = match failed {
            Failure::Problem(problem, phase) => (problem, phase),
            Failure::Refused(error) => return Ended::Refused(refused(error)),
        };
        match outcome(&problem, phase) {
            Outcome::Repeat => Ended::Repeat(problem),
            // The server may be at it still.
            Outcome::Indeterminate => {
                self.lane.doubtful.add(session.backend.clone());
                Ended::Broken(failure(Outcome::Indeterminate, problem, None, append).into())
            }
            outcome => failure(outcome, problem, None, append).into(),
        }
    }
}

/// A failure before the commit was sent: all is rolled back.
pub(super) fn before_commit(failed: Failure, append: &Append) -> Ended {
    let problem = match failed {
        Failure::Problem(problem, _) => problem,
        Failure::Refused(error) => return Ended::Refused(refused(error)),
    };
    match outcome(&problem, Phase::Sent) {
        Outcome::Repeat => Ended::Repeat(problem),
        Outcome::Indeterminate => Ended::Broken(failure(Outcome::NotCommitted, problem, None, append).into()),
        outcome => failure(outcome, problem, None, append).into(),
    }
}

/// A method failed.
fn of_a_method(projection: usize, event: usize, error: ApplyError) -> Ended {
    let code = match &error {
        ApplyError::Method(error) => database_error(&**error),
        _ => None,
    };
    let collided = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    if let Some(error) = code
        && error.code().is_some_and(|code| collided.contains(code))
    {
        return Ended::Repeat(Problem::Refused(crate::error::postgres_text(error)));
    }
    if let Some(error) = code
        && is_lost(error)
    {
        let message = format!(
            "the method of a projection failed: {}",
            crate::error::postgres_text(error)
        );
        let error = StoreError::new(StoreErrorKind::Unavailable, message);
        return Ended::Broken(AppendError::Store(error).into());
    }
    match failed(event, error) {
        Failure::Refused(WriteError::Poison { index, error }) => poison(projection, index, error),
        Failure::Refused(error) => Ended::Refused(refused(error)),
        Failure::Problem(problem, _) => Ended::Refused(AppendError::Store(problem.while_doing("append")).into()),
    }
}

/// Returns whether the connection is lost, or about to be.
fn is_lost(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    error.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// A refusal of the combined work of all methods.
fn of_all_methods(projection: usize, failed: Failure, append: &Append) -> Ended {
    match failed {
        Failure::Problem(problem, _) if problem.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            poison(projection, None, unheeded())
        }
        Failure::Problem(problem, _) if !is_of_the_server(problem.code()) => {
            poison(projection, None, ApplyError::Method(Box::new(problem)))
        }
        failed => before_commit(failed, append),
    }
}

fn poison(projection: usize, event: Option<usize>, error: ApplyError) -> Ended {
    Ended::Refused(InlineError::Poison {
        projection,
        event,
        error,
    })
}

fn refused(error: WriteError) -> InlineError {
    let error = match error {
        WriteError::Commit(CommitError::Store(error)) => error,
        other => rejected(other.to_string()),
    };
    AppendError::Store(error).into()
}
