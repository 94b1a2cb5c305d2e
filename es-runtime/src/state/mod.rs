//! The latest state of entities.

mod entity;

pub use entity::{Entity, EntityId};
