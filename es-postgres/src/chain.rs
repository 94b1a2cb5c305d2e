//! Appends of which each rests on the one before, in as few calls as hold them.

use std::vec::IntoIter;

use es_runtime::store::{Append, AppendError, Appended, InlineError, append_one_by_one, has_ended};

use crate::PostgresStore;
use crate::batch::{Encoded, Filling};
use crate::reply::NotDone;

/// See [`EventStore::append_chain`](es_runtime::EventStore::append_chain).
pub(crate) async fn append(store: &PostgresStore, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
    let mut answers = Vec::with_capacity(appends.len());
    let mut rest = Rest {
        appends: appends.into_iter(),
        held_back: None,
    };
    while !has_ended(&answers) {
        let (batch, invalid) = rest.next_batch();
        let is_end = batch.is_empty();
        if !is_end {
            answers.extend(append_batch(store, batch).await);
        }
        if !has_ended(&answers) {
            answers.extend(invalid.map(Err));
        }
        if is_end {
            break;
        }
    }
    answers
}

/// The part of a chain that was not sent yet.
struct Rest {
    appends: IntoIter<Append>,
    /// An append that did not fit into the batch.
    held_back: Option<Encoded>,
}

impl Rest {
    /// Takes the appends for one call, none at the end. With an error if the append behind them can never be stored.
    fn next_batch(&mut self) -> (Vec<Encoded>, Option<AppendError>) {
        let mut filling = Filling::default();
        let mut batch = Vec::new();
        loop {
            let next = match self.held_back.take() {
                Some(encoded) => encoded,
                None => match self.appends.next().map(Encoded::new) {
                    None => return (batch, None),
                    Some(Err(error)) => return (batch, Some(error)),
                    Some(Ok(encoded)) => encoded,
                },
            };
            if !filling.take(std::slice::from_ref(&next)) {
                self.held_back = Some(next);
                return (batch, None);
            }
            batch.push(next);
        }
    }
}

async fn append_batch(store: &PostgresStore, batch: Vec<Encoded>) -> Vec<Result<Appended, AppendError>> {
    match store.lane.append_chain(batch).await {
        Err(NotDone(appends)) => append_one_by_one(store, appends).await,
        Ok(replies) => {
            let mut answers = Vec::with_capacity(replies.len());
            for reply in replies {
                answers.push(store.answer(reply).await.map_err(only_append));
            }
            answers
        }
    }
}

/// The error of an append without projections.
pub(crate) fn only_append(error: InlineError) -> AppendError {
    match error {
        InlineError::Append(error) => error,
        _ => unreachable!("there is no projection to fail"),
    }
}
