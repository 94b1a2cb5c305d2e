mod expect;

use std::time::Duration;

use serde::de::DeserializeOwned;

use self::expect::same_command;
use crate::error::chain;
use crate::process::{
    Cause, Done, Failed, Heard, HearsFailure, Last, Next, Origin, Pending, ProcessManager, Reactions, RefusalOf,
    RemindsOf, Sendable, Timer, Unfit, When, Why,
};
use crate::{
    Aggregate, BelongsToOneAggregate, Event, EventId, EventOf, EventSourced, Id, Key, Metadata, NewEvent, Position,
    RecordedEvent, StreamId, Timestamp, Version,
};

/// Begins a test of a process manager: *given* an event, *then* it sends commands and sets timers; *when* a command is
/// answered, another event happens or a timer is due, *then* that happens.
///
/// The commands are not executed: the test says how each is answered, in the order in which they were sent. The state,
/// the commands and the timers are stored and read again on their way through the test, so that what would not survive it
/// is found here.
///
/// Each `when` first checks that the test has mentioned everything that the step before it sent or set.
pub trait GivenProcess: ProcessManager {
    /// An instance that heard this event.
    ///
    /// # Panics
    ///
    /// If it does not hear of such events, or cannot react to this one.
    #[track_caller]
    fn given<E>(event: E) -> ProcessScenario<Self>
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<E::Aggregate>,
    {
        ProcessScenario::new().when(event)
    }

    /// An instance that heard this event of the aggregate instance `key`.
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given).
    #[track_caller]
    fn given_from<K: Key<Aggregate: EventSourced>, E>(key: K, event: E) -> ProcessScenario<Self>
    where
        E: Event + BelongsToOneAggregate<Aggregate = K::Aggregate> + EventOf<K::Aggregate>,
    {
        ProcessScenario::new().when_from(key, event)
    }
}

impl<P: ProcessManager> GivenProcess for P {}

/// An instance of a process manager to which something has happened.
pub struct ProcessScenario<P: ProcessManager> {
    reactions: Reactions<P>,
    last: Last<P>,
    /// The commands that the last step has sent, and the timers that it has set, as far as the test has not mentioned them.
    commands: Vec<Pending>,
    timers: Vec<(Timer, Duration)>,
    position: Position,
    now: Timestamp,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "each assertion may be the last of a test"
)]
impl<P: ProcessManager> ProcessScenario<P> {
    fn new() -> Self {
        Self {
            reactions: Reactions::of(),
            last: Last::none(StreamId::new(P::NAME, "")),
            commands: Vec::new(),
            timers: Vec::new(),
            position: Position::ZERO,
            now: Timestamp::from_micros(0).unwrap_or(Timestamp::MIN),
        }
    }

    /// It hears this event.
    ///
    /// # Panics
    ///
    /// If it does not hear of such events, or cannot react to this one.
    #[track_caller]
    pub fn when<E>(self, event: E) -> Self
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<E::Aggregate>,
    {
        let any = Id::<()>::from_uuid(uuid::Uuid::from_u128(1)).to_string();
        self.hear(StreamId::new(<E::Aggregate as Aggregate>::NAME, any), event)
    }

    /// It hears this event of the aggregate instance `key`.
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    #[track_caller]
    pub fn when_from<K: Key<Aggregate: EventSourced>, E>(self, key: K, event: E) -> Self
    where
        E: Event + BelongsToOneAggregate<Aggregate = K::Aggregate> + EventOf<K::Aggregate>,
    {
        self.hear(key.stream_id(), event)
    }

    /// The first command that is not answered is a `C`, and is executed.
    ///
    /// # Panics
    ///
    /// If it is none, or there is none.
    #[track_caller]
    pub fn when_done<C: Sendable>(self) -> Self {
        let (command, pending) = self.first::<C>();
        let Some(done) = self.reactions.done::<C>() else {
            panic!("process manager `{}` hears nothing of command `{}`", P::NAME, C::NAME)
        };
        let stream = pending.to.clone();
        let version = Version(1);
        self.answer(&pending, None, |state, todo| {
            done(
                state,
                Done {
                    command,
                    stream,
                    version,
                },
                todo,
            )
        })
    }

    /// The first command that is not answered is this one, to `key`, and the aggregate refuses it.
    ///
    /// # Panics
    ///
    /// If it is another one, or there is none.
    #[track_caller]
    pub fn when_refused<K: Key, C: Sendable>(self, key: K, command: C, refusal: RefusalOf<C>) -> Self
    where
        P: HearsFailure<C>,
    {
        let (sent, pending) = self.first::<C>();
        same_command(&pending.to, &sent, &key.stream_id(), &command);
        self.fail(sent, &pending, Why::Refused(refusal))
    }

    /// The first command that is not answered is a `C`, and changes nothing for this reason.
    ///
    /// # Panics
    ///
    /// If it is none, or there is none.
    #[track_caller]
    pub fn when_failed<C: Sendable>(self, why: Why<RefusalOf<C>>) -> Self
    where
        P: HearsFailure<C>,
    {
        let (command, pending) = self.first::<C>();
        self.fail(command, &pending, why)
    }

    /// The timer that was set with this value is due.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn when_due<T: RemindsOf<P>>(mut self, timer: T) -> Self {
        self.all_mentioned();
        let is_it = |set: &Timer| set.name == T::TIMER && decode::<T>(&set.name, set.payload.get()) == timer;
        let Some(place) = self.last.timers.iter().position(is_it) else {
            panic!("no timer is set with {timer:?}: {}", set_timers(&self.last.timers))
        };
        self.now = self.now.max(self.last.timers[place].when.from(self.now));
        let origin = self.origin();
        let step = self.reactions.due(&self.last, place, &origin);
        match step {
            Ok(step) => self.take(step),
            Err(unfit) => panic!("{}", chain(&unfit)),
        }
        self
    }

    #[track_caller]
    fn hear<E: Event>(mut self, stream: StreamId, event: E) -> Self {
        self.all_mentioned();
        self.position = self.position.next();
        let mut payload = Vec::new();
        if let Err(error) = event.encode(&mut payload) {
            panic!("{}", chain(&error));
        }
        let event = NewEvent {
            id: self.event_id(),
            name: E::NAME.into(),
            shape_version: E::SHAPE_VERSION,
            payload: payload.into(),
            metadata: Metadata::EMPTY,
        };
        let event = event.recorded(stream, Version(self.position.0), self.position, self.now);
        let heard = match Heard::all(&self.reactions, &event) {
            Ok(heard) => heard,
            Err(error) => panic!(
                "event `{}` of `{}` cannot be heard: {}; if the id is of another type, say which with `given_from` or `when_from`",
                E::NAME,
                event.stream,
                chain(&error)
            ),
        };
        let Some((key, heard)) = heard.into_iter().next() else {
            panic!("process manager `{}` does not hear event `{}`", P::NAME, E::NAME)
        };
        let stream = StreamId::new(P::NAME, key.as_str());
        if self.last.version == 0 {
            self.last.stream = stream;
        } else if self.last.stream != stream {
            panic!(
                "event `{}` is for instance `{key}`, and this test is of `{}`: say of which aggregate each is, with `given_from` or \
                 `when_from`",
                E::NAME,
                self.last.stream.id()
            );
        }
        match heard.step(&self.last) {
            Ok(Some(step)) => self.take(step),
            Ok(None) => {}
            Err(unfit) => panic!("{}", chain(&unfit)),
        }
        self
    }

    #[track_caller]
    fn fail<C: Sendable>(self, command: C, pending: &Pending, why: Why<RefusalOf<C>>) -> Self
    where
        P: HearsFailure<C>,
    {
        let (stream, text) = (pending.to.clone(), why.to_string());
        self.answer(pending, Some(text), |state, todo| {
            state.failed(Failed { command, stream, why }, todo)
        })
    }

    #[track_caller]
    fn answer(
        mut self,
        pending: &Pending,
        failed: Option<String>,
        react: impl FnOnce(P, &mut crate::process::Todo<P>) -> Option<P>,
    ) -> Self {
        self.all_mentioned();
        let cause = Cause::Answer {
            step: pending.step,
            index: pending.index,
            from: pending.to.clone(),
            failed,
        };
        let step: Result<Next<P>, Unfit> = self.last.answered(cause, &self.origin(), react);
        match step {
            Ok(step) => self.take(step),
            Err(unfit) => panic!("{}", chain(&unfit)),
        }
        self
    }

    /// The instance after a step, as it comes back from a store.
    #[track_caller]
    fn take(&mut self, mut step: Next<P>) {
        let version = step.last.version;
        self.position = self.position.next();
        let event = match step.encode(self.event_id()) {
            Ok(event) => event,
            Err(error) => panic!("{}", chain(&error)),
        };
        let event: RecordedEvent = event.recorded(step.last.stream.clone(), version, self.position, self.now);
        self.timers = step
            .last
            .timers
            .iter()
            .filter(|timer| timer.step == version)
            .filter_map(after)
            .collect();
        self.last = match Last::read(&event) {
            Ok(last) => last,
            Err(error) => panic!("the step can be stored, but not be read again: {}", chain(&error)),
        };
        self.commands = self
            .last
            .pending
            .iter()
            .filter(|command| command.step == version)
            .cloned()
            .collect();
    }

    /// The first command that is not answered.
    #[track_caller]
    fn first<C: Sendable>(&self) -> (C, Pending) {
        match self.last.pending.first() {
            Some(pending) if pending.command == C::NAME => {
                (decode(&pending.command, pending.payload.get()), pending.clone())
            }
            Some(pending) => panic!(
                "command `{}` to `{}` is answered before any `{}`: it was sent first",
                pending.command,
                pending.to,
                C::NAME
            ),
            None => panic!(
                "no command waits for an answer, so that no `{}` can be answered",
                C::NAME
            ),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            causation: self.event_id(),
            metadata: self.last.metadata.clone(),
        }
    }

    fn event_id(&self) -> EventId {
        EventId(uuid::Uuid::from_u128(self.position.0.into()))
    }
}

#[track_caller]
fn decode<T: DeserializeOwned>(name: &str, json: &str) -> T {
    match crate::json::from_slice(json.as_bytes()) {
        Ok(value) => value,
        Err(error) => panic!("`{name}` can be stored, but not be read again ({error}); stored was\n\n{json}"),
    }
}

fn after(timer: &Timer) -> Option<(Timer, Duration)> {
    match timer.when {
        When::After(millis) => Some((timer.clone(), Duration::from_millis(millis))),
        When::At(_) | When::Elapsed(_) => None,
    }
}

fn set_timers(timers: &[Timer]) -> String {
    match timers {
        [] => "none is set".to_owned(),
        timers => {
            let each = timers
                .iter()
                .map(|timer| format!("`{}` with {}", timer.name, timer.payload));
            format!("set are {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}
