//! What events and commands say of their own values: checked before anything is stored, and not when it is read.

use es_runtime::prelude::*;
use es_runtime::store::ReadStream;
use es_tests::on_every_store;
use futures_util::TryStreamExt as _;

/// By a method.
#[event(validate)]
struct Opened {
    owner: String,
}

impl Opened {
    fn validate(&self) -> Result<(), Invalid> {
        if self.owner.is_empty() {
            return Err(Invalid::new("owner", "must not be empty"));
        }
        Ok(())
    }
}

/// By the rules of garde, and then by a method.
#[event(garde, validate)]
#[derive(garde::Validate)]
struct Moved {
    #[garde(dive)]
    address: Address,
    #[garde(skip)]
    from: String,
}

impl Moved {
    fn validate(&self) -> Result<(), Invalid> {
        if self.address.city == self.from {
            return Err(Invalid::new("from", "must be another city"));
        }
        Ok(())
    }
}

#[value]
#[derive(garde::Validate)]
struct Address {
    #[garde(length(min = 2))]
    city: String,
}

#[command]
struct Open {
    owner: String,
}

#[command(garde)]
#[derive(garde::Validate)]
struct Move {
    #[garde(skip)]
    city: String,
    #[garde(range(min = 1900))]
    year: u32,
}

#[derive(Debug, PartialEq, Aggregate)]
#[es(id = String)]
struct Customer {
    owner: String,
    city: String,
}

#[aggregate]
impl Customer {
    #[handle]
    fn open(command: Open) -> Opened {
        Opened { owner: command.owner }
    }

    #[handle]
    fn relocate(&self, command: Move) -> Moved {
        Moved {
            address: Address { city: command.city },
            from: self.city.clone(),
        }
    }

    #[apply]
    fn opened(event: Opened) -> Self {
        Self {
            owner: event.owner,
            city: "Rome".to_owned(),
        }
    }

    #[apply]
    fn moved(&mut self, event: Moved) {
        self.city = event.address.city;
    }
}

fn customer(id: &str) -> KeyOf<Customer> {
    KeyOf::new(id)
}

fn open(owner: &str) -> Open {
    Open { owner: owner.into() }
}

fn relocate(city: &str) -> Move {
    Move {
        city: city.into(),
        year: 2026,
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug, E: std::fmt::Debug>(
    result: Result<T, ExecuteError<E>>,
    name: &str,
    field: &str,
    reason: &str,
) {
    match result {
        Err(ExecuteError::InvalidEvent { event, source }) => {
            assert_eq!((event, &*source.field, &*source.reason), (name, field, reason));
        }
        other => panic!("{other:?}"),
    }
}

on_every_store! {
    async fn an_event_that_is_not_valid_is_not_stored(store: _, _clock: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        refused(runtime.execute(customer("a"), open("")).await, "opened", "owner", "must not be empty");
        refused(runtime.dry_run(customer("a"), open("")).await, "opened", "owner", "must not be empty");
        let event = Opened { owner: String::new() };
        refused(runtime.append(customer("a"), event).await, "opened", "owner", "must not be empty");
        let both = runtime.atomically(async |tx| {
            tx.execute(customer("b"), open("Bob")).await?;
            tx.execute(customer("a"), open("")).await
        });
        refused(both.await, "opened", "owner", "must not be empty");
        assert_eq!(store.head().await.unwrap(), 0);

        runtime.execute(customer("a"), open("Alice")).await.unwrap();
        refused(
            runtime.execute(customer("a"), relocate("x")).await,
            "moved",
            "address.city",
            "length is lower than 2",
        );
        refused(runtime.execute(customer("a"), relocate("Rome")).await, "moved", "from", "must be another city");
        runtime.execute(customer("a"), relocate("Berlin")).await.unwrap();
        let stored: Vec<_> = store.read_stream(ReadStream::new(es_runtime::StreamId::new("customer", "a"))).try_collect().await.unwrap();
        assert_eq!(stored.len(), 2);
    }

    async fn what_is_stored_is_read_whatever_the_rules_say_now(store: _, _clock: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let stream = es_runtime::StreamId::new("customer", "a");
        let opened = es_runtime::NewEvent {
            id: es_runtime::EventId(uuid::Uuid::now_v7()),
            name: "opened".into(),
            shape_version: 1,
            payload: br#"{"owner":""}"#.to_vec().into(),
            metadata: es_runtime::Metadata::EMPTY,
        };
        let append = es_runtime::store::Append::new(stream, es_runtime::ExpectedVersion::NoStream, vec![opened]);
        store.append(append).await.unwrap();
        assert_eq!(runtime.load(customer("a")).await.unwrap().unwrap().owner, "");
        runtime.execute(customer("a"), relocate("Berlin")).await.unwrap();
    }
}

#[tokio::test]
async fn a_command_is_checked_by_its_rules() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let early = Move {
        city: "Berlin".into(),
        year: 1812,
    };
    match runtime.execute(customer("a"), early).await {
        Err(ExecuteError::Invalid(invalid)) => assert_eq!(invalid.to_string(), "`year` is invalid: lower than 1900"),
        other => panic!("{other:?}"),
    }
}

#[test]
#[should_panic(expected = "`open` returned event `opened` with a value that it must not have: `owner` is invalid")]
fn a_test_of_the_domain_finds_it() {
    let _ = Customer::given(()).when(open(""));
}
