use es_runtime::prelude::*;

#[projection]
pub enum Balance {
    Open,
    Closed,
}

fn main() {}
