use es_runtime::prelude::*;

#[event]
struct Opened;
#[command]
struct Open;

#[derive(Aggregate)]
struct Board;

#[aggregate]
impl Board {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Board
    }
}

async fn keep(runtime: &Runtime, board: Id<Board>) {
    runtime.snapshot(board).await.unwrap();
}

fn main() {}
