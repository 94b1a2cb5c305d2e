use es_runtime::prelude::*;

struct City;

#[value]
struct Address {
    city: City,
}

fn main() {}
