use es_runtime::prelude::*;

#[event]
struct Opened;
#[event]
struct Noted;
#[command]
struct Note;

type Notes = Vec<Noted>;
#[command]
struct Open;

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[handle]
    fn note(&self, _: Note) -> Notes {
        vec![Noted]
    }

    #[retired]
    fn noted(_: Noted) {}
}

fn main() {}
