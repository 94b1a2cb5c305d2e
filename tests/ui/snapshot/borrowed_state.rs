use es_runtime::prelude::*;

#[value]
#[derive(Aggregate)]
#[es(snapshot(every = 100))]
struct Board<'a> {
    name: &'a str,
}

fn main() {}
