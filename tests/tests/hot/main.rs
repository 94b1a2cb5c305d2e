//! Hot aggregates: commands to one instance that wait for each other go to the store together.

mod cached;
mod gate;
mod interleaving;
mod processes;
mod queue;
