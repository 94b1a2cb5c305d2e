use es_runtime::prelude::*;

#[command]
struct Open;

struct Account<T>(T);

#[aggregate]
impl<T> Account<T> {
    #[handle]
    fn open(_: Open) {}
}

fn main() {}
