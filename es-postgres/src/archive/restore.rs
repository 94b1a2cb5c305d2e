//! Restores appends: each by the function that appends, at the time at which it was recorded, all in one transaction.

use std::slice;

use deadpool_postgres::Transaction;
use es_runtime::store::{Appended, RecordedAppend, RestoreAppendError};
use es_runtime::{StoreError, StoreErrorKind, Timestamp};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;
use tokio_postgres::Statement;

use crate::PostgresStore;
use crate::batch::{self, Answer, Encoded, Filling};
use crate::error::Problem;
use crate::outcome::{Outcome, Phase, outcome};
use crate::reply::{Answered, Reply, result};
use crate::sessions::Session;

/// The number of calls that are sent before the first is answered.
const AHEAD: usize = 16;

/// Appends that were recorded at one time, in one call.
struct Call {
    recorded_at: Timestamp,
    appends: Vec<Encoded>,
}

pub(super) async fn restore(store: &PostgresStore, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
    let calls = calls(&appends)?;
    let lent = store.inline.lend().await;
    let mut lent = lent.map_err(|problem| problem.while_doing("restore appends"))?;
    let restored = attempt(store, lent.session(), &appends, &calls).await;
    match &restored {
        Ok(()) => {
            if let Some(last) = appends.last() {
                store.wake.appended(last.position);
            }
            store.inline.give_back(lent);
        }
        // The transaction was rolled back before the error was known.
        Err(
            RestoreAppendError::Misplaced { .. }
            | RestoreAppendError::BackInTime { .. }
            | RestoreAppendError::Refused { .. },
        ) => {
            store.inline.give_back(lent);
        }
        Err(_) => {}
    }
    restored
}

/// Puts together what one call can take.
fn calls(appends: &[RecordedAppend]) -> Result<Vec<Call>, RestoreAppendError> {
    let mut calls: Vec<Call> = Vec::new();
    let mut filling = Filling::default();
    for recorded in appends {
        let append = &recorded.append;
        let encoded = Encoded::new(append.clone()).map_err(|error| RestoreAppendError::refused(append.id, error))?;
        let last = calls.last_mut();
        match last.filter(|call| call.recorded_at == recorded.recorded_at) {
            Some(call) if filling.take(slice::from_ref(&encoded)) => call.appends.push(encoded),
            _ => {
                filling = Filling::default();
                filling.take(slice::from_ref(&encoded));
                calls.push(Call {
                    recorded_at: recorded.recorded_at,
                    appends: vec![encoded],
                });
            }
        }
    }
    Ok(calls)
}

async fn attempt(
    store: &PostgresStore,
    session: &mut Session,
    appends: &[RecordedAppend],
    calls: &[Call],
) -> Result<(), RestoreAppendError> {
    let failed = |problem: Problem| RestoreAppendError::from(problem.while_doing("restore appends"));
    let begun = in_time(store, session.client.transaction()).await;
    let transaction = begun.map_err(failed)?;
    let answers = send(store, &transaction, calls).await.map_err(failed)?;
    if let Err(refused) = check(appends, answers) {
        in_time(store, transaction.rollback()).await.map_err(failed)?;
        return Err(refused);
    }
    session.is_committing = true;
    let committed = in_time(store, transaction.commit()).await;
    let result = committed.map_err(|problem| match outcome(&problem, Phase::Sent) {
        Outcome::Indeterminate => {
            store.lane.doubtful.add(session.backend.clone());
            RestoreAppendError::Indeterminate(problem.while_doing("learn whether appends were restored"))
        }
        _ => failed(problem),
    });
    session.is_committing = matches!(result, Err(RestoreAppendError::Indeterminate(_)));
    result?;
    if session.notices.take_unconfirmed() {
        let message = "the appends are stored, but fewer replicas than demanded have confirmed them";
        let error = StoreError::new(StoreErrorKind::Unavailable, message);
        return Err(RestoreAppendError::Indeterminate(error));
    }
    Ok(())
}

/// The answers to all appends, in order.
async fn send(store: &PostgresStore, transaction: &Transaction<'_>, calls: &[Call]) -> Result<Vec<Answer>, Problem> {
    let prepared = in_time(store, transaction.prepare_cached(&store.inline.settings.append));
    let statement = prepared.await?;
    let sent: Vec<_> = calls
        .iter()
        .map(|call| send_one(store, transaction, &statement, call))
        .collect();
    let answers: Vec<Vec<Answer>> = stream::iter(sent).buffered(AHEAD).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

async fn send_one(
    store: &PostgresStore,
    transaction: &Transaction<'_>,
    statement: &Statement,
    call: &Call,
) -> Result<Vec<Answer>, Problem> {
    let chains: Vec<&[Encoded]> = call.appends.iter().map(slice::from_ref).collect();
    let sent = batch::send(&**transaction, statement, &chains, Some(call.recorded_at));
    let answers = timeout(store.patience, sent).await.map_err(|_| silent(store))??;
    Ok(answers.into_iter().flatten().collect())
}

/// Checks that each append was stored as it was recorded.
fn check(appends: &[RecordedAppend], answers: Vec<Answer>) -> Result<(), RestoreAppendError> {
    for (recorded, answer) in appends.iter().zip(answers) {
        let append = &recorded.append;
        let answered = Answered {
            answer,
            unconfirmed: false,
        };
        match result(answered, append).map_err(|error| RestoreAppendError::refused(append.id, error))? {
            Reply::Appended(appended) => recorded.check(&appended)?,
            Reply::Repeated { stored, .. } => {
                recorded.check(&Appended::new(stored, recorded.recorded_at, Vec::new()).again())?;
            }
        }
    }
    Ok(())
}

async fn in_time<T>(
    store: &PostgresStore,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Problem> {
    let answer = timeout(store.patience, answer).await;
    Ok(answer.map_err(|_| silent(store))??)
}

fn silent(store: &PostgresStore) -> Problem {
    let waited = store.patience.as_secs_f32();
    Problem::Silent(format!("the server did not answer within {waited} s"))
}
