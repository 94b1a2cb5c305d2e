use std::error::Error as _;
use std::fmt::Write as _;
use std::path::PathBuf;

use es_runtime::state::{PersistError, RestoreError};
use es_runtime::{AnyRefusal, ExecuteError, LoadError, ReadError, StartError, StoreError, StreamId};

use crate::board::BoardRefused;
use crate::card::CardRefused;
use crate::column::ColumnRefused;
use crate::{BoardKey, Handle, ParseKeyError};

/// Why something was not done, or cannot be shown.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what each is")]
pub enum KanbanError {
    #[error(transparent)]
    Board(BoardRefused),
    #[error(transparent)]
    Column(ColumnRefused),
    #[error(transparent)]
    Card(CardRefused),
    #[error("there was no board {0} at that time")]
    NoBoardThen(BoardKey),
    #[error("there is no {} {}", .0.category(), .0.id())]
    Missing(StreamId),
    #[error("nobody is called {0}: `kanban person {0} NAME` adds somebody")]
    Nobody(Handle),
    #[error("`{}` does not exist: `kanban` without a command plays a day into it", .0.display())]
    NoFile(PathBuf),
    #[error(transparent)]
    Key(#[from] ParseKeyError),
    #[error(transparent)]
    Execute(ExecuteError<AnyRefusal>),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Persist(#[from] PersistError),
    #[error("cannot write to stdout")]
    Output(#[from] std::io::Error),
}

impl KanbanError {
    /// The error with its causes, in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !line.contains(&said) {
                // Writing to a string does not fail.
                let _ = write!(line, ": {said}");
            }
            cause = error.source();
        }
        line
    }
}

impl From<ExecuteError<AnyRefusal>> for KanbanError {
    fn from(error: ExecuteError<AnyRefusal>) -> Self {
        let refusal = match error {
            ExecuteError::Refused(refusal) => refusal,
            ExecuteError::NotFound { stream } => return Self::Missing(stream),
            other => return Self::Execute(other),
        };
        let refusal = match refusal.downcast() {
            Ok(refused) => return Self::Board(refused),
            Err(refusal) => refusal,
        };
        let refusal = match refusal.downcast() {
            Ok(refused) => return Self::Column(refused),
            Err(refusal) => refusal,
        };
        match refusal.downcast() {
            Ok(refused) => Self::Card(refused),
            Err(refusal) => Self::Execute(ExecuteError::Refused(refusal)),
        }
    }
}
