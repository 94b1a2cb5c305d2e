use es_runtime::prelude::*;

#[command(validate)]
struct Open;

impl Open {
    fn validate(&self) -> bool {
        true
    }
}

fn main() {}
