#![doc = include_str!("../docs/cli.md")]

mod age;
mod difference;
mod dry_run;
mod es;
mod events;
mod failed;
mod history;
mod names;
mod output;
mod parked;
mod projections;
mod state;
mod status;
mod stream;
mod text;
mod then;

#[cfg(test)]
mod tests;

pub use es::Es;
