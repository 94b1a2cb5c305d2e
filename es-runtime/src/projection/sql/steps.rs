use std::future::ready;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;

use super::{ApplySql, MetaOf, SqlTransaction, When};
use crate::consumer::text_of;
use crate::projection::ApplyError;
use crate::projection::source::{Numbered, contain, own};
use crate::{Applied, BelongsToOneAggregate, Error, Event, EventSourced, RecordedEvent, metrics};

/// The writes of one event. `#[projection]` generates one for each event that a method takes; tests of a store write
/// their own.
pub trait Step<T: SqlTransaction>: Send + Sync {
    /// Writes it. May be run again, after what it wrote was undone.
    fn run<'a>(&'a self, tx: &'a mut T::At<'_>) -> BoxFuture<'a, Result<(), Error>>;
}

struct StepOf<P: ApplySql<E>, E: BelongsToOneAggregate<Aggregate: EventSourced>> {
    event: E,
    meta: MetaOf<P, E>,
    projection: PhantomData<fn() -> P>,
}

impl<P: ApplySql<E>, E: Event + BelongsToOneAggregate<Aggregate: EventSourced>> Step<P::Tx> for StepOf<P, E> {
    fn run<'a>(&'a self, tx: &'a mut <P::Tx as SqlTransaction>::At<'_>) -> BoxFuture<'a, Result<(), Error>> {
        P::apply(tx, self.event.clone(), &self.meta)
    }
}

/// The steps of those events `E` that `recorded` is read as.
pub(super) fn steps<P: ApplySql<E>, E: Event + BelongsToOneAggregate<Aggregate = A> + Applied<A>, A: EventSourced>(
    recorded: &RecordedEvent,
    except: &[&'static str],
) -> Result<Numbered<Box<dyn Step<P::Tx>>>, ApplyError> {
    own::<E, A>(recorded, except)?
        .map(|(number, event)| {
            let meta = P::Rows::meta(recorded).ok_or_else(|| ApplyError::StreamId(recorded.stream.clone()))?;
            let step: Box<dyn Step<P::Tx>> = Box::new(StepOf::<P, E> {
                event,
                meta,
                projection: PhantomData,
            });
            Ok((number, step))
        })
        .collect()
}

/// The writes of some events, in order, in a transaction with lifetimes of `T`.
pub struct Steps<T: SqlTransaction> {
    steps: Numbered<Box<dyn Step<T>>>,
    /// How long they have run.
    pub(super) spent: metrics::Spent,
}

impl<T: SqlTransaction> Steps<T> {
    /// Each with the index of its event.
    pub fn new(steps: Vec<(usize, Box<dyn Step<T>>)>) -> Self {
        Self {
            steps,
            spent: metrics::Spent::new(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the index of the step's event.
    ///
    /// # Panics
    ///
    /// If there is no such step.
    pub fn event(&self, step: usize) -> usize {
        self.steps[step].0
    }

    /// Runs a step: calls the method of its event, and contains what that panics with. With a [`Blocking`](super::Blocking)
    /// transaction the future is ready at once.
    ///
    /// # Errors
    ///
    /// [`Method`](ApplyError::Method) with what the method returned, in which the store looks for errors that pass, and
    /// [`Panicked`](ApplyError::Panicked).
    ///
    /// # Panics
    ///
    /// If there is no such step.
    pub fn run<'a>(&'a self, step: usize, tx: &'a mut T::At<'_>) -> BoxFuture<'a, Result<(), ApplyError>> {
        let (step, timer) = (&self.steps[step].1, metrics::Timer::start());
        // What a method left half done is undone with the transaction.
        match contain(move || Ok(step.run(tx))) {
            Err(panicked) => Box::pin(ready(Err(panicked))),
            Ok(running) => Box::pin(AssertUnwindSafe(running).catch_unwind().map(move |ran| {
                self.spent.add(&timer);
                match ran {
                    Ok(result) => result.map_err(|error| ApplyError::Method(error.0)),
                    Err(panic) => Err(ApplyError::Panicked(text_of(&*panic))),
                }
            })),
        }
    }
}
