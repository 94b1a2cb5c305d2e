//! Appends of which each rests on the one before.

use super::{Append, AppendError, Appended, EventStore};

/// Appends a chain by one call of [`EventStore::append`] after the other, as [`append_chain`](EventStore::append_chain) does unless a
/// store does better. For a store that writes a chain as one: if that fails as a whole, this finds the append that is to blame.
pub async fn append_one_by_one<S>(store: &S, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>>
where
    S: EventStore + ?Sized,
{
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        answers.push(store.append(append).await);
        if has_ended(&answers) {
            break;
        }
    }
    answers
}

/// Whether the last of these answers ends a chain: its append was not stored by the call that it answers.
pub fn has_ended<E>(answers: &[Result<Appended, E>]) -> bool {
    let last = answers.last();
    last.is_some_and(|answer| answer.as_ref().map_or(true, |appended| appended.repeated))
}
