use es_runtime::prelude::*;

#[event(validate)]
struct Opened;

impl Opened {
    fn validate(&self) -> bool {
        true
    }
}

fn main() {}
