#![doc = include_str!("../../docs/publications.md")]

mod handle;
mod message;
mod outgoing;
mod plan;
mod publishes;
mod sink;

pub use crate::process::Beginning;
pub use handle::PublicationHandle;
pub use message::{IntoMessages, Message, Messages};
pub use outgoing::Outgoing;
pub use publishes::{Publication, PublicationInfo, Publishes};
pub use sink::{Sink, SinkError, SinkErrorKind};

pub(crate) use plan::{Plan, cursor_of};
