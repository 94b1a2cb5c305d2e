//! The ways in which a command ends.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use es_runtime::Error;

/// The end of a command that did not simply succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The reader of the output has seen enough.
    Unread,
    /// It did not work.
    Error(String),
    /// An argument cannot be meant so.
    Usage(String),
    /// Something needs attention; the output says what.
    Found,
    /// The domain refuses it.
    Refused(String),
}

impl Failed {
    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Error(_) => 1,
            Self::Usage(_) => 2,
            Self::Found => 3,
            Self::Refused(_) => 4,
        }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Unread | Self::Found => None,
            Self::Error(message) | Self::Usage(message) | Self::Refused(message) => Some(message),
        }
    }

    /// The end of a command whose store could not be opened.
    pub(crate) fn of(error: &Error) -> Self {
        // The one form of it that has its causes.
        Self::Error(format!("{error:?}").replace("\n  caused by: ", ": "))
    }

    /// The end of a command whose output could not be written.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Error(format!("cannot write the output: {error}")),
        }
    }
}

impl<E: StdError> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Error(line(&error))
    }
}

/// The error with its causes, in one line.
pub(crate) fn line(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            // Writing to a string does not fail.
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}
