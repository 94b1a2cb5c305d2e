use std::error::Error;
use std::fmt;

use serde::Deserializer;

use crate::Command;

/// All commands of an aggregate as one enum, for commands that arrive as data: the `AccountCommand` that `#[aggregate]`
/// generates.
///
/// It is a command itself, and is read as `{"deposit": {"amount": 5}}`.
pub trait CommandEnum: Command {
    /// The names of the commands, in the order of the `#[handle]` methods.
    const COMMANDS: &'static [&'static str];

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
