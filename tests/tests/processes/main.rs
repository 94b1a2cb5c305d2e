//! Process managers.

mod by_hand;
mod carried_out;
mod crashing;
mod deadly;
mod deployed;
mod killed;
mod parked;
mod timers;
mod transfer;
