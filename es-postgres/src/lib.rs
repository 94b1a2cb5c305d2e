#![doc = include_str!("../docs/postgres.md")]

mod archive;
mod backend;
mod batch;
mod chain;
mod connection;
pub mod doctor;
mod doubt;
mod error;
mod holder;
mod lane;
mod log;
mod names;
mod options;
mod outcome;
mod pages;
mod patience;
mod pooled;
mod pooler;
mod projections;
mod reader;
mod reply;
mod rows;
pub mod schema;
mod sessions;
mod sql;
mod states;
mod store;
mod tls;
mod url;
mod wake;

pub use options::PostgresOptions;
pub use projections::PgTransaction;
pub use schema::{Lock, Schema};
pub use store::PostgresStore;
pub use tls::SslMode;
pub use tokio_postgres;
