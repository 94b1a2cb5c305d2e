use std::borrow::Cow;
use std::error::Error;

use super::Refusal;
use crate::{ExecuteError, StreamId, Version};

/// The reason why an [import](crate::Runtime::import) ended, with the number of the item that it did not get past,
/// counted from 1.
///
/// All items before that one are stored, and none behind it. Of the item itself, some of its first events may be.
/// Remove the cause and run the import again: it continues there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source failed.
    #[error("the source failed at item {item}: all items before it are imported, run the import again to go on")]
    Source {
        /// The number of the item that it should have given.
        item: u64,
        /// The error of the source.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The events of the item cannot be stored: correct the item in the source.
    #[error("item {item} cannot be imported into `{stream}`")]
    Refused {
        /// The number of the item.
        item: u64,
        /// Its stream.
        stream: StreamId,
        /// The reason.
        #[source]
        source: Box<ExecuteError<Refusal>>,
    },
    /// Where the item's event belongs, the stream holds an event that this import has not written. Nobody else may
    /// write to a stream until all of it is imported.
    #[error(
        "item {item} cannot be imported into `{stream}`: version {version} is event `{name}`, which this import has not written; nobody \
         else may write to a stream until all of it is imported, and an import goes on under its own name only"
    )]
    Foreign {
        /// The number of the item.
        item: u64,
        /// Its stream.
        stream: StreamId,
        /// The version of the event that stands there.
        version: Version,
        /// The event's name.
        name: Cow<'static, str>,
    },
    /// The item differs from what this import has stored before: between two runs, a source may only grow at its end.
    #[error(
        "item {item} differs from what this import has stored before: version {version} of `{stream}` is event `{name}` of another item, \
         or with another content or time; between two runs a source may only grow at its end"
    )]
    Changed {
        /// The number of the item.
        item: u64,
        /// Its stream.
        stream: StreamId,
        /// The version of the event that stands there.
        version: Version,
        /// The name of the event that is stored.
        name: Cow<'static, str>,
    },
    /// The store failed, or others wrote the same streams at each attempt.
    #[error("the import stopped at item {item}: run it again to go on")]
    Failed {
        /// The first item that is not known to be stored.
        item: u64,
        /// The failure.
        #[source]
        source: Box<ExecuteError<Refusal>>,
    },
}
