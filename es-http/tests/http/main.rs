//! Applications over a real socket.

mod client;
mod commands;
mod hostile;
mod racing;
mod rows;
