use std::convert::Infallible;

use super::{Joint, NotJoint};
use crate::prelude::*;
use crate::store::StreamAppend;
use crate::{EventId, ExpectedVersion, Key as _, MemoryStore, Metadata, NewEvent, Position, Runtime, StreamId};

#[event]
struct Opened;

#[event]
struct Deposited {
    cents: i64,
}

#[command]
struct Open;

#[command]
struct Deposit {
    cents: i64,
}

#[derive(Debug, Aggregate)]
struct Account {
    balance: i64,
}

#[aggregate]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> Deposited {
        Deposited { cents: cmd.cents }
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Self { balance: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.balance += event.cents;
    }
}

/// The step of a process, which is the first of its stream.
fn step(id: EventId) -> StreamAppend {
    let event = NewEvent {
        id,
        name: "step".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    StreamAppend {
        stream: StreamId::new("process", "1"),
        expected: ExpectedVersion::NoStream,
        last: None,
        events: vec![event],
    }
}

#[tokio::test]
async fn what_was_folded_of_a_log_that_was_restored_since_is_forgotten() {
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let account: Id<Account> = Id::new();
    runtime.execute(account, Open).await.unwrap();
    runtime.execute(account, Deposit { cents: 10 }).await.unwrap();
    // Restored to an earlier point, and written on elsewhere to the version that this runtime knows.
    store.rewind(Position(1));
    let elsewhere = Runtime::builder(store.clone()).start().await.unwrap();
    elsewhere.execute(account, Deposit { cents: 5 }).await.unwrap();

    let joint = Joint {
        runtime: runtime.clone(),
        stream: account.stream_id(),
        metadata: Metadata::EMPTY,
    };
    let mut beside = |id, _| Ok::<_, Infallible>(step(id));
    match joint.run::<Account, _, _>(&Deposit { cents: 100 }, &mut beside).await {
        Ok(appended) => assert_eq!(appended.streams[0].version, 3),
        Err(NotJoint::Failed(error)) => panic!("{error}"),
        Err(NotJoint::Moved | NotJoint::Beside(_)) => panic!("the process has not moved"),
    }
    assert_eq!(elsewhere.load(account).await.unwrap().unwrap().balance, 105);
}
