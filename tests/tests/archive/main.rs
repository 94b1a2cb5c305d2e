//! Archives: a whole store as text, from any store into any other.

mod damaged;
mod history;
mod interrupted;
mod killed;
mod moved;
