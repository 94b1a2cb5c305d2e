#![doc = include_str!("../../docs/latest-state.md")]

mod changes;
mod entity;
mod error;
mod manager;
mod record;
mod repository;
mod save;
mod strangers;

pub use changes::Changes;
pub use entity::{Entity, EntityId};
pub use error::{PersistError, RestoreError};
pub use manager::{Restored, StateManager, StateManagerBuilder};
pub use repository::{Entities, Repository};
