//! Projections, on every store.

mod basics;
mod crashing;
mod failing;
mod held;
mod in_memory;
mod inline;
mod inline_balances;
mod inline_histories;
mod inline_killed;
mod inline_rows;
mod killed;
mod live;
mod parked;
mod queries;
mod random;
mod rebuilt;
mod restored;
mod seen;
mod segments;
mod shared;
mod sql;
mod sql_postgres;
mod sql_segments;
mod tallies;
mod unhinted;
mod values_in_rows;
