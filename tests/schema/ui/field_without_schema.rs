use es_runtime::prelude::*;

/// Of another crate, which knows serde but no schemas.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Price(i64);

#[event]
struct Sold {
    price: Price,
}

fn main() {}
