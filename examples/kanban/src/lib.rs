//! A kanban board, an example of `es-runtime`: boards, columns and cards keep every event, settings only their latest
//! state.
//!
//! The domain is [`board`], [`column`](mod@column) and [`card`]; [`BoardView`] shows them together, and [`Team`] does what people ask
//! for.

pub mod board;
pub mod card;
pub mod cli;
pub mod column;
pub mod day;
mod error;
mod keys;
mod past;
pub mod settings;
mod story;
mod table;
mod team;
mod view;

pub use error::KanbanError;
pub use keys::{BoardKey, CardKey, ColumnKey, Handle, ParseKeyError};
pub use team::{NewColumn, Team};
pub use view::{BoardView, CardView, ColumnView};
