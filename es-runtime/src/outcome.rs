//! The types that a handler may return.

use std::convert::Infallible;
use std::error::Error;

use crate::EventSourced;

/// Events of aggregate `A`, in one of the shapes a handler may return: an event, `Option`, tuple, array, `Vec`, `()`.
///
/// `#[aggregate]` writes it for each event that it applies, and for the enum of all. There is no blanket implementation over
/// [`EventOf`](crate::EventOf), so that the compiler names the event that is missing rather than the `Vec` around it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that aggregate `{A}` applies",
    label = "no `#[apply]` method of `{A}` takes `{Self}`",
    note = "if it is an event of `{A}`, add `#[apply] fn …(&mut self, event: {Self})` to the `#[aggregate] impl {A}` block",
    note = "if it is a command, a refusal, or of another aggregate, name the event of `{A}` that happens: one, or an `Option`, a tuple, an array or a `Vec` of events, or `()`"
)]
pub trait IntoEvents<A> {
    /// Adds the events to `out`, in order.
    fn into_events(self, out: &mut Vec<A::Event>)
    where
        A: EventSourced;
}

/// The result of a handler of aggregate `A`: [events](IntoEvents), or a `Result` of events and a refusal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event that aggregate `{A}` applies",
    label = "no `#[apply]` method of `{A}` takes `{Self}`",
    note = "if it is an event of `{A}`, add `#[apply] fn …(&mut self, event: {Self})` to the `#[aggregate] impl {A}` block",
    note = "a handler returns what happens: an event, an `Option`, a tuple, an array or a `Vec` of events, `()`, or a `Result` of one of these"
)]
pub trait Outcome<A> {
    /// Why the command may be refused.
    type Refusal: Error + Send + Sync + 'static;

    /// The events, or the refusal.
    fn into_result(self) -> Result<Vec<A::Event>, Self::Refusal>
    where
        A: EventSourced;
}

/// The refusal `E` of a handler that returns `Result<_, E>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a refusal, because it is not an error",
    label = "not an error",
    note = "return a type of your own that is an error: `#[derive(Debug, thiserror::Error)] enum Refused {{ … }}`, and `Result<…, Refused>`"
)]
pub trait Refusal: Error + Send + Sync + 'static {}

impl<E: Error + Send + Sync + 'static> Refusal for E {}

impl<A: EventSourced, T: IntoEvents<A>, E: Refusal> Outcome<A> for Result<T, E> {
    type Refusal = E;

    fn into_result(self) -> Result<Vec<A::Event>, E> {
        self.map(collect::<A, T>)
    }
}

/// The events of `events` as a list.
pub(crate) fn collect<A: EventSourced, T: IntoEvents<A>>(events: T) -> Vec<A::Event> {
    let mut out = Vec::with_capacity(1);
    events.into_events(&mut out);
    out
}

macro_rules! shape {
    ([$($generics:tt)*] $shape:ty, $this:ident, $out:ident => $body:expr) => {
        impl<A: EventSourced, $($generics)*> IntoEvents<A> for $shape {
            fn into_events(self, $out: &mut Vec<A::Event>) {
                let $this = self;
                $body
            }
        }

        impl<A: EventSourced, $($generics)*> Outcome<A> for $shape {
            type Refusal = Infallible;

            fn into_result(self) -> Result<Vec<A::Event>, Infallible> {
                Ok(collect::<A, _>(self))
            }
        }
    };
}

shape!([] (), _this, _out => ());
shape!([T: IntoEvents<A>] Option<T>, this, out => if let Some(events) = this { events.into_events(out) });
shape!([T: IntoEvents<A>] Vec<T>, this, out => for events in this { events.into_events(out) });
shape!([T: IntoEvents<A>, const N: usize] [T; N], this, out => for events in this { events.into_events(out) });

macro_rules! tuple {
    ($($part:ident)+) => {
        shape!([$($part: IntoEvents<A>),+] ($($part,)+), this, out => {
            #[expect(non_snake_case, reason = "the type parameters name the parts")]
            let ($($part,)+) = this;
            $($part.into_events(out);)+
        });
    };
}

tuple!(T1);
tuple!(T1 T2);
tuple!(T1 T2 T3);
tuple!(T1 T2 T3 T4);
tuple!(T1 T2 T3 T4 T5);
tuple!(T1 T2 T3 T4 T5 T6);
tuple!(T1 T2 T3 T4 T5 T6 T7);
tuple!(T1 T2 T3 T4 T5 T6 T7 T8);
