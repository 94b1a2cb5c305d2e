//! The ways that the message names.

use es_runtime::prelude::*;
use es_runtime::schema::schemars;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Price(i64);

#[value]
struct Weight(f64);

#[value]
#[derive(schemars::JsonSchema)]
struct Length(f64);

#[event]
struct Sold {
    #[schemars(with = "i64")]
    price: Price,
    weight: Weight,
    length: Length,
}

fn main() {}
