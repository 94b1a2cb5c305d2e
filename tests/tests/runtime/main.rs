//! Commands, transactions, reads and the rest of what a runtime does, on every store.

mod atomically;
mod basics;
mod business_time;
mod catalog;
mod changed_shapes;
mod closing;
mod errors;
mod history;
mod history_broken;
mod history_check;
mod importing;
mod importing_killed;
mod outlived;
mod reads_in_order;
mod repeated_requests;
mod run_until;
mod validation;
mod values;
