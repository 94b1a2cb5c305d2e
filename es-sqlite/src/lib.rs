#![doc = include_str!("../docs/sqlite.md")]

mod absence;
mod appends;
mod archive;
mod chain;
mod checkpoint;
mod checksum;
mod connection;
mod crc;
mod error;
mod health;
mod keys;
mod kinds;
mod location;
mod options;
mod pages;
mod place;
mod pool;
mod projections;
mod queue;
mod reader;
mod request;
mod rows;
mod schema;
mod statement;
mod statements;
mod states;
mod store;
mod thread;
mod transaction;
mod watcher;
mod writer;

pub use options::{Durability, SqliteOptions};
pub use projections::SqliteTransaction;
pub use rusqlite;
pub use store::SqliteStore;
