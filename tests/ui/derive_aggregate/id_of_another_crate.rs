use es_runtime::prelude::*;

use std::num::NonZeroU64;

#[derive(Aggregate)]
#[es(id = NonZeroU64)]
struct Account;

fn main() {}
