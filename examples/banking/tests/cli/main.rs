//! The program from end to end.

mod archive;
mod bank;
mod commands;
mod evolution;
mod import;
#[cfg(feature = "postgres")]
mod postgres;
