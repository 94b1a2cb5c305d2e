use es_runtime::prelude::*;

struct Opened;

#[event]
impl Opened {}

fn main() {}
