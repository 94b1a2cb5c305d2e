use std::borrow::Cow;
use std::fmt::{self, Debug};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, EventSourced};

/// A request addressed to one aggregate instance. Written by `#[command]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "add `#[command]` to `struct {Self}`"
)]
pub trait Command: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Its name in traces and for commands that arrive as data.
    const NAME: &'static str;

    /// Checks what the command says of itself, before any event is loaded. `#[command(validate)]` calls the inherent
    /// method `validate` of the struct. Named otherwise, so that a missing one is an error and not a call of this method.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns the JSON Schema (draft 2020-12) of its content; `None` if an implementation by hand does not tell.
    #[cfg(feature = "schema")]
    fn schema() -> Option<serde_json::Value> {
        None
    }
}

/// A value that a command must not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is invalid: {reason}")]
pub struct Invalid {
    /// The field, as the sender knows it.
    pub field: Cow<'static, str>,
    /// The problem, and the values that are allowed.
    pub reason: Cow<'static, str>,
}

impl Invalid {
    /// `field` must not have its value because of `reason`.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// Decides this command for aggregate `A`. Written by `#[aggregate]` for each `#[handle]` method.
#[diagnostic::on_unimplemented(
    message = "aggregate `{A}` does not handle command `{Self}`",
    label = "no `#[handle]` method of `{A}` takes `{Self}`",
    note = "add `#[handle] fn …(&self, command: {Self}) -> …` to the `#[aggregate] impl {A}` block, or send it to the aggregate it belongs to"
)]
pub trait CommandOf<A>: Command {
    /// The state that the stream must be in: [`New`], [`Existing`] or [`Either`].
    type On: Target;

    /// Why the command may be refused; [`Infallible`](std::convert::Infallible) if it cannot be.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// Decides the command: the events that happen, or why it is refused. Pure, because it is run again on a conflict.
    fn handle(
        self,
        state: <Self::On as Target>::State<'_, A>,
        context: &Context,
    ) -> Result<Vec<A::Event>, Self::Refusal>
    where
        A: EventSourced;

    /// Decides the command on the loaded state, which is `None` if the stream is empty.
    ///
    /// # Errors
    ///
    /// If the stream is not what the command needs, or the handler refuses.
    fn decide(self, state: Option<&A>, context: &Context) -> Result<Vec<A::Event>, Declined<Self::Refusal>>
    where
        A: EventSourced,
    {
        let state = Self::On::state(state).map_err(Declined::WrongTarget)?;
        self.handle(state, context).map_err(Declined::Refused)
    }
}

/// Why a command was not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declined<R> {
    /// The stream is not what the command needs; the handler was not called.
    WrongTarget(WrongTarget),
    /// The handler refused.
    Refused(R),
}

/// The requirement of a command on the stream that it is sent to, and the form in which its handler gets the state.
pub trait Target {
    /// The same as data.
    const KIND: TargetKind;

    /// The state that the handler gets.
    type State<'a, A: 'a>;

    /// Turns the loaded state into the handler's.
    fn state<A>(state: Option<&A>) -> Result<Self::State<'_, A>, WrongTarget>;
}

/// The requirement of a command on its stream, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// It must be empty: [`New`].
    New,
    /// It must have events: [`Existing`].
    Existing,
    /// It may have events or not: [`Either`].
    Either,
}

/// The command creates the aggregate: its handler has no receiver.
#[derive(Debug)]
pub enum New {}

/// The command needs an existing aggregate: its handler takes `&self`.
#[derive(Debug)]
pub enum Existing {}

/// The command creates the aggregate or changes it: its handler takes `this: Option<&Self>`.
#[derive(Debug)]
pub enum Either {}

/// The stream is not what the command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongTarget {
    /// It exists, and the command creates it.
    AlreadyExists,
    /// It does not exist.
    NotFound,
}

impl fmt::Display for WrongTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyExists => "the aggregate exists already",
            Self::NotFound => "the aggregate does not exist",
        })
    }
}

impl std::error::Error for WrongTarget {}

impl Target for New {
    const KIND: TargetKind = TargetKind::New;

    type State<'a, A: 'a> = ();

    fn state<A>(state: Option<&A>) -> Result<(), WrongTarget> {
        state.map_or(Ok(()), |_| Err(WrongTarget::AlreadyExists))
    }
}

impl Target for Existing {
    const KIND: TargetKind = TargetKind::Existing;

    type State<'a, A: 'a> = &'a A;

    fn state<A>(state: Option<&A>) -> Result<&A, WrongTarget> {
        state.ok_or(WrongTarget::NotFound)
    }
}

impl Target for Either {
    const KIND: TargetKind = TargetKind::Either;

    type State<'a, A: 'a> = Option<&'a A>;

    fn state<A>(state: Option<&A>) -> Result<Option<&A>, WrongTarget> {
        Ok(state)
    }
}
