//! Process managers.

mod by_hand;
mod carried_out;
