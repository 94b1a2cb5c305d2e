#![doc = include_str!("../docs/http.md")]

mod answer;
mod app;
mod call;
mod commands;
mod errors;
mod events;
mod openapi;
mod problem;
mod query;
mod routes;
mod rows;
mod tail;

pub use app::{Builder, router};
pub use problem::Problem;
