use std::fmt::Debug;

use super::diff::diff;
use crate::command::{Declined, WrongTarget};
use crate::error::chain;
use crate::json::same;
use crate::outcome::collect;
use crate::{
    Aggregate, CommandOf, Context, Decoded, EventEnum, EventSourced, IntoEvents, Invalid, Metadata, StreamId,
    Timestamp, Version,
};

/// Begins a test of an aggregate: *given* these events, *when* this command is sent, *then* that happens.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened { pub owner: String }
/// # #[event] pub struct Withdrawn { pub amount: i64 }
/// # #[command] pub struct Open { pub owner: String }
/// # #[command] pub struct Withdraw { pub amount: i64 }
/// # #[derive(Debug, PartialEq)]
/// # pub enum Refused { InsufficientFunds { balance: i64 } }
/// # impl std::fmt::Display for Refused {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("insufficient funds") }
/// # }
/// # impl std::error::Error for Refused {}
/// # #[derive(Aggregate)]
/// # pub struct Account { balance: i64 }
/// # #[aggregate]
/// # impl Account {
/// #     #[handle] fn open(cmd: Open) -> Opened { Opened { owner: cmd.owner } }
/// #     #[handle] fn withdraw(&self, cmd: Withdraw) -> Result<Withdrawn, Refused> {
/// #         if cmd.amount > self.balance { return Err(Refused::InsufficientFunds { balance: self.balance }); }
/// #         Ok(Withdrawn { amount: cmd.amount })
/// #     }
/// #     #[apply] fn opened(_: Opened) -> Self { Account { balance: 0 } }
/// #     #[apply] fn withdrawn(&mut self, event: Withdrawn) { self.balance -= event.amount; }
/// # }
/// Account::given(Opened { owner: "Alice".into() })
///     .when(Withdraw { amount: 80 })
///     .then_refused(Refused::InsufficientFunds { balance: 0 });
/// ```
///
/// Every event is stored and read again on its way through the test, so that one that would not survive it is found
/// here.
pub trait Given: EventSourced<Event: Debug + PartialEq> {
    /// An instance to which these events have happened; `()` for a new one.
    ///
    /// # Panics
    ///
    /// If the events do not fold, or one of them does not survive being stored.
    #[track_caller]
    fn given(events: impl IntoEvents<Self>) -> Scenario<Self> {
        let mut scenario = Scenario {
            state: None,
            stream: StreamId::new(Self::NAME, "test"),
            version: Version::ZERO,
            now: Timestamp::now(),
            metadata: Metadata::EMPTY,
        };
        for event in collect::<Self, _>(events) {
            scenario.fold(&event);
        }
        scenario
    }
}

impl<A: EventSourced<Event: Debug + PartialEq>> Given for A {}

/// An aggregate instance to which something has happened.
#[must_use = "a test needs `when` and `then`"]
pub struct Scenario<A> {
    state: Option<A>,
    stream: StreamId,
    version: Version,
    now: Timestamp,
    metadata: Metadata,
}

impl<A: EventSourced<Event: Debug + PartialEq>> Scenario<A> {
    /// The instance has this id, for a handler that asks its [`Context`]. It has none that can be asked for otherwise.
    pub fn with_id(mut self, id: <A as Aggregate>::Id) -> Self {
        self.stream = StreamId::new(A::NAME, id.to_string());
        self
    }

    /// The command is decided at this time; otherwise at the time of the test.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The command is sent with this metadata.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sends the command.
    ///
    /// # Panics
    ///
    /// If the handler returns events that have a value that they must not have, do not fold or do not survive being stored.
    #[track_caller]
    #[must_use = "a test needs `then`"]
    pub fn when<C: CommandOf<A>>(mut self, command: C) -> Then<A, C::Refusal> {
        let outcome = match command.check() {
            Err(invalid) => Outcome::Invalid(invalid),
            Ok(()) => {
                let context = Context::new(self.stream.clone(), self.version, self.now, self.metadata.clone());
                match command.decide(self.state.as_ref(), &context) {
                    Ok(events) => Outcome::Events(events),
                    Err(Declined::Refused(refusal)) => Outcome::Refused(refusal),
                    Err(Declined::WrongTarget(wrong)) => Outcome::WrongTarget(wrong),
                }
            }
        };
        if let Outcome::Events(events) = &outcome {
            for event in events {
                if let Err(invalid) = event.check() {
                    panic!(
                        "`{}` returned event `{}` with a value that it must not have: {invalid}",
                        C::NAME,
                        event.info().name
                    );
                }
                self.fold(event);
            }
        }
        Then {
            command: C::NAME,
            state: self.state,
            outcome,
        }
    }

    /// Then this happened, as a store holds it: for an event in an older shape, under a former name, or `#[retired]`.
    ///
    /// # Panics
    ///
    /// If this build does not read it, or what it is read as does not fold.
    #[track_caller]
    pub fn and_stored(mut self, name: &str, shape_version: u32, payload: impl AsRef<[u8]>) -> Self {
        match A::Event::decode(name, shape_version, payload.as_ref()) {
            Ok(stored) => self.apply(stored),
            Err(error) => panic!(
                "event `{name}` with shape version {shape_version} cannot be read: {}",
                chain(&error)
            ),
        }
        self
    }

    /// Folds the event as it comes back from a store.
    #[track_caller]
    fn fold(&mut self, event: &A::Event) {
        let info = event.info();
        let mut payload = Vec::new();
        let encoded = event.encode(&mut payload);
        let read = A::Event::decode(info.name, info.shape_version, &payload);
        if let Ok(read) = &read
            && !matches!(read, Decoded::One(read) if same(read, event))
        {
            let diff = match read {
                Decoded::One(read) => diff(event, read),
                other => diff(event, other),
            };
            panic!(
                "event `{}` comes back from a store as another value\n\n  - stored\n  + read\n\n{diff}",
                info.name
            )
        }
        if let Err(error) = encoded {
            panic!("{}", chain(&error));
        }
        match read {
            Ok(read) => self.apply(read),
            Err(error) => panic!(
                "event `{}` can be stored, but not be read again ({}); stored was\n\n{}",
                info.name,
                chain(&error),
                String::from_utf8_lossy(&payload)
            ),
        }
    }

    /// Folds what the next event of the stream was read as.
    #[track_caller]
    fn apply(&mut self, stored: Decoded<A::Event>) {
        for event in stored {
            if let Err(error) = event.apply(&mut self.state) {
                panic!("{error}");
            }
        }
        self.version = self.version.next();
    }
}

/// The outcome of the command.
#[derive(Debug)]
enum Outcome<E, R> {
    Events(Vec<E>),
    Refused(R),
    Invalid(Invalid),
    WrongTarget(WrongTarget),
}

/// The outcome of a command, to be compared with the expected one.
pub struct Then<A: EventSourced, R> {
    command: &'static str,
    state: Option<A>,
    outcome: Outcome<A::Event, R>,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "each assertion may be the last of a test"
)]
impl<A: EventSourced<Event: Debug + PartialEq>, R: Debug> Then<A, R> {
    /// The command returned these events, in this order.
    ///
    /// # Panics
    ///
    /// If it did not; the message shows the difference.
    #[track_caller]
    pub fn then(self, events: impl IntoEvents<A>) -> Self {
        let expected = collect::<A, _>(events);
        match &self.outcome {
            Outcome::Events(events) if *events == expected => self,
            Outcome::Events(events) => {
                let diff = diff(&expected, events);
                panic!(
                    "`{}` returned other events\n\n  - expected\n  + returned\n\n{diff}",
                    self.command
                )
            }
            other => panic!(
                "`{}` was expected to return\n\n{expected:#?}\n\nbut {}",
                self.command,
                describe(other)
            ),
        }
    }

    /// The command returned no event.
    ///
    /// # Panics
    ///
    /// If it returned one, or was refused.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then(())
    }

    /// The command was refused with this refusal, and nothing happened.
    ///
    /// # Panics
    ///
    /// If it was not; the message shows the difference.
    #[track_caller]
    pub fn then_refused(self, refusal: R) -> Self
    where
        R: PartialEq,
    {
        match &self.outcome {
            Outcome::Refused(actual) if *actual == refusal => self,
            Outcome::Refused(actual) => {
                let diff = diff(&refusal, actual);
                panic!(
                    "`{}` was refused otherwise\n\n  - expected\n  + refused with\n\n{diff}",
                    self.command
                )
            }
            other => panic!(
                "`{}` was expected to be refused with {refusal:?}, but {}",
                self.command,
                describe(other)
            ),
        }
    }

    /// The command's own validation refused this field.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn then_invalid(self, field: &str) -> Self {
        match &self.outcome {
            Outcome::Invalid(invalid) if invalid.field == field => self,
            other => panic!(
                "`{}` was expected to be invalid in `{field}`, but {}",
                self.command,
                describe(other)
            ),
        }
    }

    /// The command needs an existing instance, and there is none.
    ///
    /// # Panics
    ///
    /// If that is not so.
    #[track_caller]
    pub fn then_not_found(self) -> Self {
        match &self.outcome {
            Outcome::WrongTarget(WrongTarget::NotFound) => self,
            other => panic!(
                "`{}` was expected not to find its aggregate, but {}",
                self.command,
                describe(other)
            ),
        }
    }

    /// The command creates an instance that exists.
    ///
    /// # Panics
    ///
    /// If that is not so.
    #[track_caller]
    pub fn then_already_exists(self) -> Self {
        match &self.outcome {
            Outcome::WrongTarget(WrongTarget::AlreadyExists) => self,
            other => panic!(
                "`{}` was expected to find its aggregate existing, but {}",
                self.command,
                describe(other)
            ),
        }
    }

    /// Hands the state after the command to `check`, for assertions of its own.
    ///
    /// # Panics
    ///
    /// If there is no state.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) -> Self {
        match &self.state {
            Some(state) => check(state),
            None => panic!("there is no `{}`: none of the events creates one", A::NAME),
        }
        self
    }
}

fn describe<E: Debug, R: Debug>(outcome: &Outcome<E, R>) -> String {
    match outcome {
        Outcome::Events(events) => format!("it returned\n\n{events:#?}"),
        Outcome::Refused(refusal) => format!("it was refused with {refusal:?}"),
        Outcome::Invalid(invalid) => format!("{invalid}"),
        Outcome::WrongTarget(WrongTarget::NotFound) => "there is no such aggregate".to_owned(),
        Outcome::WrongTarget(WrongTarget::AlreadyExists) => "the aggregate exists already".to_owned(),
    }
}
