#![doc = include_str!("../docs/cli.md")]

mod age;
mod es;
mod events;
mod failed;
mod names;
mod output;
mod status;
mod stream;
mod text;

#[cfg(test)]
mod tests;

pub use es::Es;
