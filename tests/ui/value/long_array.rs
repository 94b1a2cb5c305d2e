use es_runtime::prelude::*;

#[value]
enum Digest {
    None,
    Sha512([u8; 64]),
}

#[event]
struct Signed {
    digest: Digest,
}

fn main() {}
