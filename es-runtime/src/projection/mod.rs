#![doc = include_str!("../../docs/projections.md")]

mod cache;
mod command;
mod error;
mod feed;
mod fold;
mod health;
mod kept;
mod lease;
mod life;
mod live;
mod local;
mod meta;
mod plan;
mod rebuild;
mod report;
mod row;
pub(crate) mod rows;
mod set;
mod source;
pub mod sql;
mod standing;
pub mod store;
mod wake;
mod worker;

pub use error::{CommandError, ReadError, Unprojectable};
pub use health::{Build, Failure, Health, ProjectionHealth, Rebuilt, Status};
pub use kept::{InMemory, InStore, Keep, Live};
pub use live::LiveError;
pub use meta::Meta;
pub use plan::{Plan, Project};
pub use row::{ApplyRow, Misfit, Poison, Projection, Row, RowKey, RowProjection};
pub use source::RowEvent;
pub use store::ProjectionStore;

pub(crate) use command::What;
pub(crate) use live::{Wanted, fold_live};
pub(crate) use rebuild::Rebuild;
pub(crate) use report::Seen;
pub(crate) use set::{Projections, Running};
pub(crate) use standing::position_of;
pub(crate) use worker::refused;
