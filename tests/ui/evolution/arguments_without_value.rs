use es_runtime::prelude::*;

#[event(version, from, alias)]
struct Opened;

#[event(version = "two", from = 1, alias = created)]
struct Closed;

fn main() {}
