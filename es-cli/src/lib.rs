#![doc = include_str!("../docs/cli.md")]

mod age;
mod archive;
mod difference;
mod dry_run;
mod es;
mod events;
mod failed;
mod history;
mod keys;
mod names;
mod output;
mod parked;
mod processes;
mod projections;
mod schema;
mod state;
mod status;
mod stream;
mod subscriptions;
mod text;
mod then;
mod timers;
mod trace;
mod verify;

#[cfg(test)]
mod tests;

pub use es::Es;
