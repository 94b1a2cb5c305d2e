//! Applications over a real socket.

mod client;
mod commands;
mod counted;
mod events;
mod exact;
mod hostile;
mod racing;
mod rows;
mod shapes;
