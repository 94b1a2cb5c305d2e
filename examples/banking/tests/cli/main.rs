//! The program from end to end.

mod bank;
mod commands;
mod import;
#[cfg(feature = "postgres")]
mod postgres;
