//! What the macros write, in use: every return shape, every kind of handler, events and commands as data.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "a domain in a module of a test")]

use std::convert::Infallible;

use es_runtime::prelude::*;
use es_runtime::testing::Given;
use es_runtime::{
    AnyRefusal, Command, CommandEnum, DecodeError, Decoded, EventEnum, EventInfo, Key, KeyOf, Misapplied, Stored,
    WrongTarget,
};

/// Return shapes, and kinds of handlers.
mod counter {
    use super::*;

    #[event]
    pub struct Started(pub u32);
    #[event(name = "counter.added")]
    pub struct Added {
        pub step: Step,
    }
    #[event]
    pub struct Stopped;

    #[value]
    pub enum Step {
        One,
        Many { count: u32 },
    }

    #[command]
    pub struct Start;
    #[command(validate)]
    pub struct Add {
        pub count: u32,
    }
    #[command(name = "maybe", validate = not_thirteen)]
    pub struct AddIfOdd(pub u32);
    #[command]
    pub struct AddTwice;
    #[command]
    pub struct AddMany {
        pub count: usize,
    }
    #[command]
    pub struct AddThenStop;
    #[command]
    pub struct Touch;
    #[command]
    pub struct Stop;
    #[command]
    pub struct StartOrAdd;
    #[command]
    pub struct AddVersion;
    #[command]
    pub struct Mixed;

    impl Add {
        fn validate(&self) -> Result<(), Invalid> {
            if self.count == 0 {
                Err(Invalid::new("count", "must not be 0"))
            } else {
                Ok(())
            }
        }
    }

    fn not_thirteen(command: &AddIfOdd) -> Result<(), Invalid> {
        if command.0 == 13 {
            Err(Invalid::new("0", "must not be 13"))
        } else {
            Ok(())
        }
    }

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("the counter has stopped")]
    pub struct IsStopped;

    type Decision<T> = std::result::Result<T, IsStopped>;

    #[derive(Debug, Clone, PartialEq, Aggregate)]
    pub struct Counter {
        pub count: u32,
        pub stopped: bool,
    }

    #[aggregate]
    impl Counter {
        /// Not a handler.
        fn running(&self) -> Decision<()> {
            if self.stopped { Err(IsStopped) } else { Ok(()) }
        }

        #[handle]
        fn start(_: Start) -> Started {
            Started(1)
        }

        #[handle]
        fn add(&self, Add { count }: Add) -> Decision<Added> {
            self.running()?;
            Ok(Added {
                step: Step::Many { count },
            })
        }

        #[handle]
        fn add_if_odd(&self, command: AddIfOdd) -> Option<Added> {
            (command.0 % 2 == 1).then_some(Added { step: Step::One })
        }

        #[handle]
        fn add_twice(&self, _: AddTwice) -> Result<[Added; 2], IsStopped> {
            self.running()?;
            Ok([Added { step: Step::One }, Added { step: Step::One }])
        }

        #[handle]
        fn add_many(&self, command: AddMany) -> Vec<Added> {
            vec![Added { step: Step::One }; command.count]
        }

        #[handle]
        fn add_then_stop(&self, _: AddThenStop) -> (Added, Option<Stopped>) {
            (Added { step: Step::One }, Some(Stopped))
        }

        #[handle]
        fn touch(&self, _: Touch) {}

        #[handle]
        fn stop(&self, _: Stop) -> Result<(), IsStopped> {
            self.running()
        }

        #[handle]
        fn start_or_add(this: Option<&Self>, _: StartOrAdd) -> CounterEvent {
            match this {
                None => Started(0).into(),
                Some(_) => Added { step: Step::One }.into(),
            }
        }

        #[handle]
        fn add_version(&self, _: AddVersion, context: &Context) -> Added {
            let count = u32::try_from(context.version().0).unwrap_or(u32::MAX);
            Added {
                step: Step::Many { count },
            }
        }

        #[handle]
        fn mixed(&self, _: Mixed) -> Vec<<Self as es_runtime::EventSourced>::Event> {
            vec![Added { step: Step::One }.into(), Stopped.into()]
        }

        #[apply]
        fn started(Started(count): Started) -> Self {
            Self { count, stopped: false }
        }

        #[apply]
        fn added(&mut self, event: Added) {
            self.count += match event.step {
                Step::One => 1,
                Step::Many { count } => count,
            };
        }

        #[apply]
        fn stopped(&mut self, _: Stopped) {
            self.stopped = true;
        }
    }
}

use counter::*;

fn many(count: u32) -> Added {
    Added {
        step: Step::Many { count },
    }
}

const ONE: Added = Added { step: Step::One };

#[test]
fn every_return_shape() {
    let counter = || Counter::given(Started(1));
    counter()
        .when(Add { count: 4 })
        .then(many(4))
        .then_state(|counter| assert_eq!(counter.count, 5));
    counter().when(AddIfOdd(3)).then(ONE);
    counter().when(AddIfOdd(2)).then_nothing();
    counter().when(AddTwice).then([ONE, ONE]);
    counter().when(AddMany { count: 3 }).then(vec![ONE, ONE, ONE]);
    counter().when(AddThenStop).then((ONE, Stopped));
    counter().when(Touch).then_nothing();
    counter().when(Stop).then_nothing();
    counter().when(Mixed).then((ONE, Stopped));
    Counter::given((Started(1), Stopped))
        .when(AddTwice)
        .then_refused(IsStopped);
}

#[test]
fn every_kind_of_handler() {
    Counter::given(()).when(Start).then(Started(1));
    Counter::given(Started(1)).when(Start).then_already_exists();
    Counter::given(()).when(Touch).then_not_found();
    Counter::given(()).when(StartOrAdd).then(Started(0));
    Counter::given(Started(1)).when(StartOrAdd).then(ONE);
    Counter::given((Started(1), ONE)).when(AddVersion).then(many(2));
}

#[test]
fn validation_runs_first() {
    Counter::given(Started(1)).when(Add { count: 0 }).then_invalid("count");
    Counter::given(Started(1)).when(AddIfOdd(13)).then_invalid("0");
    Counter::given(Started(1))
        .when(CounterCommand::from(Add { count: 0 }))
        .then_invalid("count");
}

#[test]
fn events_are_stored_under_their_names() -> Result<()> {
    let info = |name| EventInfo {
        name,
        ..EventInfo::of::<Started>()
    };
    assert_eq!(
        CounterEvent::EVENTS,
        [info("started"), info("counter.added"), info("stopped")]
    );
    assert_eq!((Started::NAME, Added::NAME), ("started", "counter.added"));

    let event = CounterEvent::from(many(2));
    assert_eq!((event.info(), event.creates()), (info("counter.added"), false));
    assert!(CounterEvent::from(Started(1)).creates());
    let mut payload = Vec::new();
    event.encode(&mut payload)?;
    assert_eq!(payload, br#"{"step":{"Many":{"count":2}}}"#);
    assert_eq!(CounterEvent::decode("counter.added", 1, &payload)?, Decoded::One(event));
    assert!(matches!(
        CounterEvent::decode("added", 1, &payload),
        Err(DecodeError::UnknownName)
    ));
    assert!(matches!(
        CounterEvent::decode("counter.added", 2, &payload),
        Err(DecodeError::UnknownVersion { oldest: 1, newest: 1 })
    ));
    assert!(matches!(
        CounterEvent::decode("counter.added", 1, b"{}"),
        Err(DecodeError::Malformed(_))
    ));
    Ok(())
}

#[test]
fn events_that_do_not_fold() {
    let mut state = None;
    assert_eq!(
        CounterEvent::from(Stopped).apply(&mut state),
        Err(Misapplied::NotCreated("stopped"))
    );
    assert_eq!(CounterEvent::from(Started(1)).apply(&mut state), Ok(()));
    assert_eq!(
        CounterEvent::from(Started(2)).apply(&mut state),
        Err(Misapplied::AlreadyCreated("started"))
    );
    assert_eq!(
        state,
        Some(Counter {
            count: 1,
            stopped: false
        })
    );
}

#[test]
fn the_enum_behaves_like_a_derived_one() {
    let event = CounterEvent::from(Started(7));
    assert_eq!(format!("{event:?}"), "Started(Started(7))");
    assert_eq!(event.clone(), event);
    assert_ne!(event, CounterEvent::from(Started(8)));
    assert_ne!(event, CounterEvent::from(Stopped));
}

#[test]
fn commands_as_data() -> Result<()> {
    let command: CounterCommand = serde_json::from_str(r#"{"add": {"count": 5}}"#)?;
    assert_eq!(command, CounterCommand::Add(Add { count: 5 }));
    assert_eq!(serde_json::to_string(&command)?, r#"{"add":{"count":5}}"#);
    assert_eq!(CounterCommand::decode("maybe", b"3")?, AddIfOdd(3).into());
    assert_eq!(CounterCommand::decode("touch", b"null")?, Touch.into());
    assert_eq!(CounterCommand::COMMANDS[..3], ["start", "add", "maybe"]);
    assert_eq!(CounterCommand::NAME, "counter");

    let unknown = serde_json::from_str::<CounterCommand>(r#"{"ad": {}}"#).map_err(|error| error.to_string());
    let expected = "unknown command `ad` of `counter`, which knows `start`, `add`, `maybe`, `add_twice`, `add_many`, `add_then_stop`, \
                    `touch`, `stop`, `start_or_add`, `add_version`, `mixed`";
    assert!(unknown.is_err_and(|error| error.starts_with(expected)));
    let malformed = serde_json::from_str::<CounterCommand>(r#"{"add": {"count": "five"}}"#);
    assert!(malformed.is_err_and(|error| error.to_string().contains("expected u32")));
    assert!(CounterCommand::decode("maybe", b"3 4").is_err());
    Ok(())
}

#[test]
fn commands_as_data_are_decided_like_others() {
    let send = |command: CounterCommand| Counter::given(Started(1)).when(command);
    send(Add { count: 2 }.into()).then(many(2));
    send(Start.into()).then_already_exists();
    Counter::given(()).when(CounterCommand::from(Touch)).then_not_found();
    Counter::given(()).when(CounterCommand::from(Start)).then(Started(1));
}

#[tokio::test]
async fn any_refusal_holds_the_commands_own() -> Result<()> {
    let runtime = Runtime::builder(MemoryStore::new()).start().await?;
    let id = Id::<Counter>::new();
    runtime.execute(id, Start).await?;
    runtime.execute(id, AddThenStop).await?;
    let refused = runtime.execute(id, CounterCommand::from(AddTwice)).await;
    let Err(ExecuteError::Refused(refusal)) = refused else {
        panic!("expected a refusal, not {refused:?}")
    };
    assert_eq!(refusal.to_string(), "the counter has stopped");
    assert_eq!(refusal.downcast_ref(), Some(&IsStopped));
    assert_eq!(refusal.downcast_ref::<Infallible>(), None);
    let again = runtime.execute(id, CounterCommand::from(Start)).await;
    assert!(matches!(again, Err(ExecuteError::AlreadyExists { .. })));
    Ok(())
}

#[test]
fn a_wrong_target_is_a_refusal_where_there_is_nothing_else() {
    assert_eq!(
        AnyRefusal::new(WrongTarget::NotFound).to_string(),
        "the aggregate does not exist"
    );
}

/// Natural keys.
mod keys {
    use std::fmt;
    use std::str::FromStr;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Iban(pub String);

    impl fmt::Display for Iban {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl FromStr for Iban {
        type Err = Infallible;

        fn from_str(text: &str) -> Result<Self, Infallible> {
            Ok(Self(text.to_owned()))
        }
    }

    #[derive(Aggregate)]
    #[es(id = Iban)]
    pub struct Account;

    #[derive(Aggregate)]
    #[es(name = "standing-order")]
    #[es(id = Iban, foreign)]
    pub struct Order;

    #[derive(Aggregate)]
    #[es(id = String)]
    pub struct Customer;

    #[derive(Aggregate)]
    #[es(id = uuid::Uuid)]
    pub struct Card;

    #[derive(Aggregate)]
    #[es(id = Id<Customer>)]
    pub struct Profile;
}

#[test]
fn natural_keys_name_streams() {
    let iban = keys::Iban("DE02".to_owned());
    assert_eq!(iban.stream_id().to_string(), "account/DE02");
    assert_eq!(
        KeyOf::<keys::Order>::new(iban).stream_id().to_string(),
        "standing-order/DE02"
    );
    assert_eq!(
        KeyOf::<keys::Customer>::new("42").stream_id().to_string(),
        "customer/42"
    );
    assert_eq!(
        KeyOf::<keys::Card>::new(uuid::Uuid::nil()).stream_id().category(),
        "card"
    );
    assert_eq!(KeyOf::<keys::Profile>::new(Id::new()).stream_id().category(), "profile");
}

/// Methods that are compiled only sometimes.
mod cfg {
    use super::*;

    #[event]
    pub struct Opened;
    #[command]
    pub struct Open;

    #[derive(Aggregate)]
    pub struct Door;

    #[aggregate]
    impl Door {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened
        }

        #[cfg(any())]
        #[handle]
        fn never(&self, _: Missing) -> AlsoMissing {}

        #[apply]
        fn opened(_: Opened) -> Self {
            Self
        }

        #[cfg(any())]
        #[apply]
        fn never_applied(&mut self, _: AlsoMissing) {}

        #[apply]
        #[cfg(any())]
        fn opened_otherwise(_: Opened) -> Self {}
    }
}

#[test]
fn cfg_leaves_methods_out() {
    assert_eq!(cfg::DoorEvent::EVENTS.len(), 1);
    cfg::Door::given(()).when(cfg::Open).then(cfg::Opened);
}

/// A private aggregate in a module, with private events and commands.
mod private {
    use super::*;

    #[event]
    struct Opened;
    #[command]
    struct Open;

    #[derive(Aggregate)]
    struct Vault;

    #[aggregate(vis = pub(crate))]
    impl Vault {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Vault
        }
    }

    #[test]
    fn works_within_the_module() {
        Vault::given(()).when(Open).then(Opened);
    }
}

/// The user's own derives, below.
mod derives {
    use super::*;

    #[event]
    #[derive(Debug, Eq, PartialEq, Hash, Default)]
    #[serde(rename_all = "camelCase")]
    pub struct NameChanged {
        pub new_name: String,
    }

    #[command]
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub struct ChangeName {
        pub new_name: String,
    }

    #[value]
    #[derive(Copy, Eq, PartialEq)]
    pub struct Wrapper<T>(pub T);
}

#[test]
fn the_users_derives_and_attributes_stay() -> Result<()> {
    assert_eq!(
        serde_json::to_string(&derives::NameChanged::default())?,
        r#"{"newName":""}"#
    );
    assert_eq!(derives::ChangeName::NAME, "change_name");
    assert_eq!(serde_json::to_string(&derives::Wrapper(1))?, "1");
    Ok(())
}

/// The crate under another name.
mod renamed {
    mod inner {
        pub use es_runtime as events;
    }

    use inner::events::{aggregate, apply, command, event, handle};

    #[event(crate = inner::events)]
    pub struct Opened;
    #[command(crate = inner::events)]
    pub struct Open;

    #[derive(inner::events::Aggregate)]
    #[es(crate = inner::events)]
    pub struct Gate;

    #[aggregate(crate = inner::events)]
    impl Gate {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Gate
        }
    }
}

#[test]
fn the_crate_may_have_another_name() {
    renamed::Gate::given(()).when(renamed::Open).then(renamed::Opened);
}
