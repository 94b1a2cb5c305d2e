#![doc = include_str!("../../docs/projections.md")]

mod cache;
mod command;
mod error;
mod feed;
mod fields;
mod fold;
mod health;
mod held;
mod inline;
mod live;
mod meta;
mod partition;
mod plan;
mod reader;
mod rebuild;
mod report;
mod row;
mod segment;
mod set;
mod source;
pub mod sql;
mod standing;
mod storage;
mod worker;

pub use super::consumer::ControlError;
pub use error::{ApplyError, ReadError};
pub use health::{Build, Failure, Health, ProjectionHealth, Rebuilt, SegmentHealth, Status};
pub use live::LiveError;
pub use meta::{InlineMeta, Meta};
pub use plan::{Plan, Project};
pub use row::{AnyKey, ApplyRow, KeyFrom, KeyOfRow, OnFailure, Projection, Row, RowKey, RowMismatch, RowProjection};
pub use source::RowEvent;
pub use storage::{InMemory, InStore, Inline, Keep, Live, Storage};

pub(crate) use command::What;
pub(crate) use fields::Fields;
pub(crate) use live::{Wanted, fold_live};
pub(crate) use partition::segments_of;
pub(crate) use reader::failure;
pub(crate) use rebuild::Rebuild;
pub(crate) use report::Seen;
pub(crate) use set::{NotLevel, Projections, Running};
pub(crate) use standing::{OfVersion, Standing};
pub(crate) use worker::refused;
