use crate::projection::{ApplyRow, Meta, Misfit, Projection, RowEvent, RowKey};
use crate::{Aggregate, BelongsToOneAggregate, Event, EventOf, EventSourced};

pub const fn row_event<P: ApplyRow<E>, E: Event + BelongsToOneAggregate<Aggregate: EventSourced>>() -> RowEvent<P> {
    RowEvent::of_one_segment::<E>()
}

/// Fails to compile if the projection is partitioned: two segments might write the row of a key that an event names.
#[track_caller]
pub const fn assert_one_segment<P: Projection>() {
    assert!(
        P::SEGMENTS == 1,
        "two of the projection's segments might write this row at once, as its key is not the id of the event's stream: remove `key = …` \
         or `keys = …`, or remove `segments = …` from the struct"
    );
}

pub fn own_event<A: EventSourced, E: EventOf<A>>(event: A::Event) -> Option<E> {
    E::from_event(event)
}

/// The id of the event's stream.
pub fn stream_key<A: Aggregate>(meta: &Meta<A>) -> Vec<String> {
    vec![meta.stream().id().to_owned()]
}

pub fn one_key<K: RowKey + ?Sized>(key: &K) -> Vec<String> {
    vec![key.to_string()]
}

pub fn several_keys<K: RowKey>(keys: impl IntoIterator<Item = K>) -> Vec<String> {
    keys.into_iter().map(|key| key.to_string()).collect()
}

/// Applies an event that creates the row.
pub fn create_row<P, E: Event>(row: Option<P>, event: E, apply: impl FnOnce(E) -> P) -> Result<Option<P>, Misfit> {
    match row {
        Some(_) => Err(Misfit::Exists(E::NAME)),
        None => Ok(Some(apply(event))),
    }
}

/// Applies an event that changes the row.
pub fn change_row<P, E: Event>(row: Option<P>, event: E, apply: impl FnOnce(&mut P, E)) -> Result<Option<P>, Misfit> {
    let mut row = row.ok_or(Misfit::Missing(E::NAME))?;
    apply(&mut row, event);
    Ok(Some(row))
}

/// Applies an event that keeps the row or deletes it.
pub fn replace_row<P, E: Event>(
    row: Option<P>,
    event: E,
    apply: impl FnOnce(P, E) -> Option<P>,
) -> Result<Option<P>, Misfit> {
    Ok(apply(row.ok_or(Misfit::Missing(E::NAME))?, event))
}
