//! Publications.

mod by_hand;
mod deployed;
mod killed;
mod published;
mod refused;
