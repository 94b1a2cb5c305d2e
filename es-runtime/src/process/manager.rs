//! The traits of a process manager, which `#[process_manager]` writes.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Due, Failed, Reactions, Todo};
use crate::{AggregateId, BelongsToOneAggregate, Command, CommandOf, EventSourced, Stored};

/// The state of a process manager, which is stored whole in each step. Written by `#[process_manager]` on the struct.
///
/// It is stored in the shape that [`Stored`] describes: the name is the category of its streams, and older shapes are read
/// as those of an event are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process manager",
    label = "not a process manager",
    note = "add `#[process_manager(id = …)]` to the struct or enum `{Self}`, and `#[process_manager]` to its impl block"
)]
pub trait ProcessState: Stored {
    /// The type that identifies an instance.
    type Id: AggregateId;
}

/// Reacts to events, to the answers of its commands and to its timers, by sending commands. Written by
/// `#[process_manager]` on the impl block.
#[diagnostic::on_unimplemented(
    message = "process manager `{Self}` reacts to nothing",
    label = "no `#[process_manager]` impl block",
    note = "add `#[process_manager] impl {Self} {{ … }}` with its `#[on]` methods"
)]
pub trait ProcessManager: ProcessState {
    /// Lists what it reacts to.
    fn reactions(on: &mut Reactions<Self>);
}

/// Says what process manager `Self` does when command `C` fails. Written by `#[process_manager]` for each method that
/// takes a [`Failed<C>`](Failed), and for the commands that one with [`AnyFailed`](super::AnyFailed) hears.
#[diagnostic::on_unimplemented(
    message = "process manager `{Self}` does not say what happens when `{C}` fails",
    label = "nobody hears when it fails",
    note = "add `#[on] fn …(&mut self, failed: Failed<{C}>)` to the `#[process_manager] impl {Self}` block",
    note = "or have a method that takes `AnyFailed` hear it: `#[on({C})] fn …(&mut self, failed: AnyFailed)`"
)]
pub trait HearsFailure<C: Sendable>: ProcessManager {
    /// Reacts to the failure. Returns the next state; `None` ends the instance.
    fn failed(self, failed: Failed<C>, todo: &mut Todo<Self>) -> Option<Self>;
}

/// Says what process manager `Self` does when timer `T` is due. Written by `#[process_manager]` for each method that
/// takes a [`Due<T>`](Due).
#[diagnostic::on_unimplemented(
    message = "process manager `{Self}` does not say what happens when `{T}` is due",
    label = "nobody hears when it is due",
    note = "add `#[on] fn …(&mut self, due: Due<{T}>)` to the `#[process_manager] impl {Self}` block"
)]
pub trait HearsTimer<T: TimerValue>: ProcessManager {
    /// The name under which the timer is stored.
    const TIMER: &'static str;

    /// Reacts to the timer. Returns the next state; `None` ends the instance.
    fn due(self, due: Due<T>, todo: &mut Todo<Self>) -> Option<Self>;
}

/// A command that process manager `P` may send, because it [hears](HearsFailure) when that fails.
pub trait AnsweredBy<P>: Sendable {}

impl<P: HearsFailure<C>, C: Sendable> AnsweredBy<P> for C {}

/// A timer that process manager `P` may set, because it [hears](HearsTimer) when that is due.
pub trait RemindsOf<P>: TimerValue {
    /// The name under which the timer is stored.
    const TIMER: &'static str;
}

impl<P: HearsTimer<T>, T: TimerValue> RemindsOf<P> for T {
    const TIMER: &'static str = P::TIMER;
}

/// A command of some aggregate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command that an aggregate handles",
    label = "no aggregate handles it",
    note = "add `#[command]` to `struct {Self}`, and `#[handle] fn …(&self, command: {Self}) -> …` to the `#[aggregate]` block of its aggregate"
)]
pub trait Sendable:
    Command + BelongsToOneAggregate<Aggregate: EventSourced> + CommandOf<<Self as BelongsToOneAggregate>::Aggregate>
{
}

impl<C> Sendable for C where
    C: Command + BelongsToOneAggregate<Aggregate: EventSourced> + CommandOf<<C as BelongsToOneAggregate>::Aggregate>
{
}

/// The refusal of command `C`.
pub type RefusalOf<C> = <C as CommandOf<<C as BelongsToOneAggregate>::Aggregate>>::Refusal;

/// A value that a timer carries: any that can be stored, such as one with `#[value]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a timer",
    label = "needs serde, `Debug`, `Clone` and `PartialEq`",
    note = "add `#[value]` to `{Self}`, and derive `Debug`, `Clone` and `PartialEq` for it"
)]
pub trait TimerValue: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static> TimerValue for T {}
