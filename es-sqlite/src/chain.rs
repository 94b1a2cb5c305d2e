//! Appends of which each rests on the one before, in as few transactions as hold them.

use std::iter::Peekable;
use std::vec::IntoIter;

use es_runtime::store::{Append, AppendError, Appended, InlineError, append_one_by_one, has_ended};

use crate::SqliteStore;
use crate::request::{Encoded, Inline, size};
use crate::writer::{BATCH, BATCH_BYTES};

/// See [`EventStore::append_chain`](es_runtime::EventStore::append_chain).
pub(crate) async fn append(store: &SqliteStore, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
    let mut answers = Vec::with_capacity(appends.len());
    let mut appends = appends.into_iter().peekable();
    while appends.peek().is_some() && !has_ended(&answers) {
        answers.extend(append_batch(store, next_batch(&mut appends)).await);
    }
    answers
}

/// Takes the part of the rest of a chain that fits into one transaction.
fn next_batch(appends: &mut Peekable<IntoIter<Append>>) -> Vec<Encoded> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(append) = appends.next_if(|append| {
        bytes += size(append);
        batch.is_empty() || batch.len() < BATCH && bytes <= BATCH_BYTES
    }) {
        batch.push(Encoded::from(append));
    }
    batch
}

async fn append_batch(store: &SqliteStore, batch: Vec<Encoded>) -> Vec<Result<Appended, AppendError>> {
    match store.request_chain(batch, Inline::default()).await {
        Ok(answers) => answers.into_iter().map(|answer| answer.map_err(only_append)).collect(),
        Err(not_done) if not_done.appends.len() > 1 => append_one_by_one(store, not_done.appends).await,
        Err(not_done) => vec![Err(not_done.error.into())],
    }
}

/// The error of an append without projections.
pub(crate) fn only_append(error: InlineError) -> AppendError {
    match error {
        InlineError::Append(error) => error,
        _ => unreachable!("there is no projection to fail"),
    }
}
