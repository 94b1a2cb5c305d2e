#![doc = include_str!("../docs/http.md")]

mod app;
mod call;
mod commands;
mod errors;
mod problem;
mod query;
mod routes;
mod rows;

pub use app::{Builder, router};
pub use problem::Problem;
