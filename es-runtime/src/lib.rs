#![doc = include_str!("../docs/guide.md")]

#[allow(unused_extern_crates, reason = "the macros name this crate by its name, here too")]
extern crate self as es_runtime;

mod aggregate;
pub mod archive;
mod command;
mod command_enum;
mod consumer;
mod context;
pub mod docs;
mod error;
mod error_class;
mod event;
mod id;
mod json;
mod memory;
mod metadata;
mod metrics;
mod nearest;
mod outcome;
mod outlived;
pub mod prelude;
pub mod process;
pub mod projection;
pub mod publication;
mod recorded;
pub mod runtime;
#[cfg(feature = "schema")]
pub mod schema;
pub mod state;
pub mod store;
mod stored;
mod stream;
pub mod subscription;
pub mod testing;
mod time;

pub use aggregate::{Aggregate, EventEnum, EventSourced, HasSnapshots};
pub use command::{Command, CommandOf, Declined, Either, Existing, Invalid, New, Target, TargetKind, WrongTarget};
pub use command_enum::{AnyRefusal, CommandEnum, CommandInfo, Commanded};
pub use context::Context;
pub use error::{Error, ExecuteError, LoadError, Misapplied, Result, UnknownEvent, UnreadableEvent};
pub use es_macros::{
    Aggregate, aggregate, apply, command, entity, event, handle, message, on, process_manager, projection, publication,
    publish, retired, value,
};
pub use event::{Applied, BelongsToOneAggregate, Decoded, Event, EventInfo, EventOf, Writes};
pub use id::{AggregateId, Id, Key, KeyOf, ParseIdError};
pub use memory::MemoryStore;
pub use metadata::Metadata;
pub use outcome::{IntoEvents, Outcome, Refusal};
pub use projection::{ControlError, Health, InlineMeta, Meta, Projection, ReadError};
pub use recorded::{AppendId, EventId, NewEvent, RecordedEvent, StoredEvent};
pub use runtime::{
    Builder, CapError, ImportError, Loaded, Past, ProjectionHandle, ProjectionRow, Receipt, Recorded, RetryPolicy,
    Runtime, SnapshotError, SnapshotPolicy, StartError, Transaction,
};
pub use store::{AppendError, EventStore, LimitExceeded, Limits, StoreError, StoreErrorKind};
pub use stored::{DecodeError, EncodeError, Stored, UpcastPanic};
pub use stream::{ExpectedVersion, Position, StreamId, Version};
pub use time::{Clock, ParseTimestampError, SystemClock, Timestamp};

/// Items that the macros' expansions call; not for use by hand.
#[doc(hidden)]
pub mod __private;
