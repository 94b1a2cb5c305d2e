use es_runtime::prelude::*;

#[entity(id = id)]
struct Opened {
    id: String,
}

#[command]
struct Open {}

#[event]
struct Begun {}

#[derive(Aggregate)]
struct Account;

#[aggregate(vis = pub(crate))]
impl Account {
    #[handle]
    fn open(_: Open) -> Begun {
        Begun {}
    }

    #[apply]
    fn begun(_: Begun) -> Self {
        Self
    }

    #[apply]
    fn opened(&mut self, _: Opened) {}
}

fn main() {}
