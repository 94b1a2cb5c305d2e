use crate::projection::sql::When;
use crate::projection::{ApplyRow, InlineMeta, Meta, Projection, RowEvent, RowKey, RowMismatch};
use crate::{Aggregate, Applied, EventSourced};

pub const fn row_event<P: ApplyRow<E, A>, E: Applied<A>, A: EventSourced>() -> RowEvent<P> {
    RowEvent::of_one_segment::<E, A>()
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

/// The id of the event's stream.
pub fn stream_key<A: Aggregate>(meta: &Meta<A>) -> Vec<String> {
    vec![meta.stream().id().to_owned()]
}

/// The part of an event's meta that is known before it is appended.
pub fn known_before<A: Aggregate>(meta: &Meta<A>) -> &InlineMeta<A> {
    meta
}

pub fn one_key<K: RowKey + ?Sized>(key: &K) -> Vec<String> {
    vec![key.to_string()]
}

pub fn several_keys<K: RowKey>(keys: impl IntoIterator<Item = K>) -> Vec<String> {
    keys.into_iter().map(|key| key.to_string()).collect()
}

/// Applies an event that creates the row.
pub fn create_row<P, E: Applied<A>, A: EventSourced>(
    row: Option<P>,
    event: E,
    apply: impl FnOnce(E) -> P,
) -> Result<Option<P>, RowMismatch> {
    match row {
        Some(_) => Err(RowMismatch::Exists(event.name())),
        None => Ok(Some(apply(event))),
    }
}

/// Applies an event that changes the row.
pub fn change_row<P, E: Applied<A>, A: EventSourced>(
    row: Option<P>,
    event: E,
    apply: impl FnOnce(&mut P, E),
) -> Result<Option<P>, RowMismatch> {
    let mut row = row.ok_or_else(|| RowMismatch::Missing(event.name()))?;
    apply(&mut row, event);
    Ok(Some(row))
}

/// Applies an event that keeps the row or deletes it.
pub fn replace_row<P, E: Applied<A>, A: EventSourced>(
    row: Option<P>,
    event: E,
    apply: impl FnOnce(P, E) -> Option<P>,
) -> Result<Option<P>, RowMismatch> {
    let row = row.ok_or_else(|| RowMismatch::Missing(event.name()))?;
    Ok(apply(row, event))
}

/// Applies an event to the row that there may be.
pub fn upsert_row<P, E: Applied<A>, A: EventSourced>(
    row: Option<P>,
    event: E,
    apply: impl FnOnce(Option<P>, E) -> Option<P>,
) -> Result<Option<P>, RowMismatch> {
    Ok(apply(row, event))
}

/// Fails to compile if the projection is inline: its methods run before the event has a position and a time of recording.
#[track_caller]
pub const fn assert_after_the_append<P: Projection<Rows: When>>() {
    assert!(
        !P::Rows::INLINE,
        "with `inline` take `&InlineMeta<…>`: before it is appended, an event has no position and no time of recording"
    );
}

/// The aggregate of a `Meta<A>` or an `InlineMeta<A>`.
pub trait IsMeta {
    type Aggregate: EventSourced;
}

impl<A: EventSourced> IsMeta for Meta<A> {
    type Aggregate = A;
}

impl<A: EventSourced> IsMeta for InlineMeta<A> {
    type Aggregate = A;
}

pub fn into_row<P>(returned: impl IntoRow<P>) -> Option<P> {
    returned.into_row()
}

/// The result of a method that takes the row if there is one.
#[diagnostic::on_unimplemented(
    message = "an apply with `this: Option<Self>` gives the row back, not `{Self}`",
    label = "gives no row",
    note = "return `Self`, or `Option<Self>` to delete the row or make none"
)]
pub trait IntoRow<P> {
    fn into_row(self) -> Option<P>;
}

impl<P> IntoRow<P> for P {
    fn into_row(self) -> Option<P> {
        Some(self)
    }
}

impl<P> IntoRow<P> for Option<P> {
    fn into_row(self) -> Self {
        self
    }
}
