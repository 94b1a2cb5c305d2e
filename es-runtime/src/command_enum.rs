use std::any::TypeId;
use std::error::Error;
use std::fmt;

use serde::Deserializer;

use crate::runtime::AnyState;
use crate::{Command, CommandOf, EventSourced, Target, TargetKind};

/// An aggregate whose commands may arrive as data. Written by `#[aggregate]`.
#[diagnostic::on_unimplemented(
    message = "the commands of `{Self}` cannot arrive as data",
    label = "no `#[aggregate]` impl block",
    note = "add `#[aggregate] impl {Self} {{ … }}` with its `#[handle]` and `#[apply]` methods"
)]
pub trait Commanded: EventSourced {
    /// Every command of the aggregate: an enum with one variant for each.
    type Command: CommandEnum + CommandOf<Self, Refusal = AnyRefusal>;

    /// Shows the state to people and programs that do not know its type.
    fn show(&self) -> AnyState;
}

/// A command of an aggregate, as data.
#[derive(Debug, Clone, Copy)]
pub struct CommandInfo {
    /// Its name, unique within the aggregate.
    pub name: &'static str,
    /// The state that the stream must be in.
    pub target: TargetKind,
    refusal: fn() -> TypeId,
    #[cfg(feature = "schema")]
    schema: fn() -> Option<serde_json::Value>,
}

impl CommandInfo {
    /// Returns what command `C` of aggregate `A` is.
    pub const fn of<A: EventSourced, C: CommandOf<A>>() -> Self {
        Self {
            name: C::NAME,
            target: <C::On as Target>::KIND,
            refusal: TypeId::of::<C::Refusal>,
            #[cfg(feature = "schema")]
            schema: C::schema,
        }
    }

    /// Returns the JSON Schema (draft 2020-12) of the command's content; `None` if an implementation by hand does not tell.
    #[cfg(feature = "schema")]
    pub fn schema(&self) -> Option<serde_json::Value> {
        (self.schema)()
    }

    /// Returns whether the command is refused with an `E`.
    pub fn is_refused_with<E: 'static>(&self) -> bool {
        (self.refusal)() == TypeId::of::<E>()
    }
}

/// All commands of an aggregate as one enum, for commands that arrive as data: the `AccountCommand` that `#[aggregate]`
/// generates.
///
/// It is a command itself, and is read as `{"deposit": {"amount": 5}}`.
pub trait CommandEnum: Command {
    /// The names of the commands, in the order of the `#[handle]` methods.
    const COMMANDS: &'static [&'static str];

    /// The commands, in the order of [`COMMANDS`](Self::COMMANDS).
    const INFOS: &'static [CommandInfo];

    /// Reads the command of this name.
    ///
    /// # Errors
    ///
    /// If no command has the name, listing those that there are, or if `content` is not of the command's shape.
    fn deserialize_named<'de, D: Deserializer<'de>>(name: &str, content: D) -> Result<Self, D::Error>;

    /// Reads the command of this name from JSON.
    ///
    /// # Errors
    ///
    /// As for [`deserialize_named`](Self::deserialize_named).
    fn decode(name: &str, json: &[u8]) -> Result<Self, serde_json::Error> {
        crate::json::read_with(json, |content| Self::deserialize_named(name, content))
    }
}

/// The refusal of one of several commands, of whatever type its handler returns.
pub struct AnyRefusal(pub(crate) Box<dyn Error + Send + Sync>);

impl AnyRefusal {
    /// Wraps the refusal of one command.
    pub fn new(refusal: impl Error + Send + Sync + 'static) -> Self {
        Self::of(Box::new(refusal))
    }

    /// Wraps a refusal that is not wrapped already.
    pub(crate) fn of(refusal: Box<dyn Error + Send + Sync>) -> Self {
        match refusal.downcast() {
            Ok(wrapped) => *wrapped,
            Err(refusal) => Self(refusal),
        }
    }

    /// The refusal, if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    /// The refusal itself, if it is an `E`.
    ///
    /// # Errors
    ///
    /// Gives it back if it is another one.
    pub fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        self.0.downcast().map(|refusal| *refusal).map_err(Self)
    }
}

impl fmt::Debug for AnyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AnyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AnyRefusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
