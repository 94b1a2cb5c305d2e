use es_runtime::prelude::*;

struct Rules;

#[event(garde)]
#[derive(garde::Validate)]
#[garde(context(Rules))]
struct Opened {
    #[garde(skip)]
    owner: String,
}

fn main() {}
