//! The reactions of a process manager, as data.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::answer::{self, Answering};
use super::react::{Reacted, Unfit};
use super::step::Last;
use super::{Done, Due, HearsFailure, HearsTimer, ProcessManager, ProcessState, Sendable, TimerValue, Todo};
use crate::consumer::Inputs;
use crate::store::{CategoryFilter, EventFilter, StateStore};
use crate::subscription::{Halt, SubscriptionError, decode_as, meta_of};
use crate::{
    Aggregate, BelongsToOneAggregate, DecodeError, Event, EventOf, EventSourced, Meta, RecordedEvent, Timestamp,
};

/// The aggregate of event `E`.
type AggregateOf<E> = <E as BelongsToOneAggregate>::Aggregate;

/// Finds the instance that an event is for.
pub(crate) type KeyFn<P, E> = fn(&E, &Meta<AggregateOf<E>>) -> <P as ProcessState>::Id;

/// Reacts to an event.
pub(crate) type EventFn<P, S, E> = fn(S, E, &Meta<AggregateOf<E>>, &mut Todo<P>) -> Option<P>;

/// Reacts to the execution of a command.
pub(crate) type DoneFn<P, C> = fn(P, Done<C>, &mut Todo<P>) -> Option<P>;

/// Executes a pending command together with the reaction to its answer.
pub(super) type Execute<P> =
    Arc<dyn Fn(Answering<P>) -> BoxFuture<'static, Result<Option<Last<P>>, Halt>> + Send + Sync>;

/// Reacts to a timer, whose value is in its stored form.
type DueFn<P> = fn(P, &str, Timestamp, &mut Todo<P>) -> Result<Option<P>, DecodeError>;

/// The list of what a process manager reacts to: events, the answers to its commands, its timers.
///
/// `#[process_manager]` writes it from the `#[on]` methods. Each reaction takes the state by value and returns the next
/// one; `None` ends the instance. It is pure, because it runs again on a conflict.
pub struct Reactions<P: ProcessManager> {
    events: Vec<OnEvent<P>>,
    commands: Vec<OnCommand<P>>,
    timers: Vec<OnTimer<P>>,
}

/// Reads an event as what is heard.
type ReadEvent<P> = dyn Fn(&RecordedEvent) -> Result<Vec<Input<P>>, SubscriptionError> + Send + Sync;

struct OnEvent<P> {
    category: &'static str,
    name: &'static str,
    /// Its earlier names.
    aliases: &'static [&'static str],
    read: Arc<ReadEvent<P>>,
}

pub(super) struct OnCommand<P> {
    pub(super) category: &'static str,
    pub(super) name: &'static str,
    pub(super) execute: Execute<P>,
    /// A [`DoneFn`] of the command.
    done: Box<dyn Any + Send + Sync>,
}

pub(super) struct OnTimer<P> {
    pub(super) name: &'static str,
    pub(super) due: DueFn<P>,
}

/// Something that was heard, for one instance.
pub(crate) struct Input<P> {
    /// The instance's id as text.
    pub(crate) key: String,
    /// The event's place among those that its stored form was read as.
    place: usize,
    pub(crate) react: Arc<React<P>>,
}

pub(crate) type React<P> = dyn Fn(Option<P>, &mut Todo<P>) -> Result<Reacted<P>, Unfit> + Send + Sync;

impl<P: ProcessManager> Reactions<P> {
    /// Returns what `P` reacts to.
    ///
    /// # Panics
    ///
    /// If `P` lists an event, a command or the name of a timer twice.
    #[track_caller]
    pub(crate) fn of() -> Self {
        let mut on = Self {
            events: Vec::new(),
            commands: Vec::new(),
            timers: Vec::new(),
        };
        P::reactions(&mut on);
        let events = on
            .events
            .iter()
            .map(|on| format!("event `{}` of `{}`", on.name, on.category));
        let commands = on
            .commands
            .iter()
            .map(|on| format!("command `{}` to `{}`", on.name, on.category));
        let timers = on.timers.iter().map(|on| format!("timer `{}`", on.name));
        let mut all: Vec<_> = events.chain(commands).chain(timers).collect();
        all.sort();
        let twice = all.iter().zip(all.iter().skip(1)).find(|(one, other)| one == other);
        if let Some((twice, _)) = twice {
            panic!("process manager `{}` has two reactions to {}: keep one", P::NAME, twice);
        }
        on
    }

    /// Begins an instance with event `E`. One that is for a running instance [parks](crate::process#parked) it.
    pub fn begins<E>(&mut self, key: KeyFn<P, E>, react: EventFn<P, (), E>)
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<AggregateOf<E>>,
    {
        self.event::<E>(key, move |state, event, meta, todo| match state {
            None => Ok(Reacted::Next(react((), event, meta, todo))),
            Some(_) => Err(Unfit::Running {
                process: P::NAME,
                event: E::NAME,
            }),
        });
    }

    /// Takes event `E` on a running instance. One for an instance that does not exist, or has ended, is ignored.
    pub fn changes<E>(&mut self, key: KeyFn<P, E>, react: EventFn<P, P, E>)
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<AggregateOf<E>>,
    {
        self.event::<E>(key, move |state, event, meta, todo| {
            Ok(match state {
                None => Reacted::Ignored,
                Some(state) => Reacted::Next(react(state, event, meta, todo)),
            })
        });
    }

    /// Takes event `E`, whether the instance runs or not.
    pub fn begins_or_changes<E>(&mut self, key: KeyFn<P, E>, react: EventFn<P, Option<P>, E>)
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<AggregateOf<E>>,
    {
        self.event::<E>(key, move |state, event, meta, todo| {
            let ran = state.is_some();
            Ok(match react(state, event, meta, todo) {
                None if !ran => Reacted::Ignored,
                next => Reacted::Next(next),
            })
        });
    }

    /// Reacts to the execution of command `C`. Its failure is [heard](HearsFailure) elsewhere.
    pub fn answers<C: Sendable>(&mut self, done: DoneFn<P, C>)
    where
        P: HearsFailure<C>,
    {
        self.commands.push(OnCommand {
            category: <AggregateOf<C> as Aggregate>::NAME,
            name: C::NAME,
            execute: Arc::new(move |answering| Box::pin(answer::execute::<P, C>(answering, done))),
            done: Box::new(done),
        });
    }

    /// Reacts to timer `T` as [`HearsTimer`] says.
    pub fn timer<T: TimerValue>(&mut self)
    where
        P: HearsTimer<T>,
    {
        self.timers.push(OnTimer {
            name: P::TIMER,
            due: |state, payload, at, todo| {
                let timer = crate::json::decode(payload.as_bytes())?;
                Ok(state.due(Due { timer, at }, todo))
            },
        });
    }

    fn event<E>(
        &mut self,
        key: KeyFn<P, E>,
        react: impl Fn(Option<P>, E, &Meta<AggregateOf<E>>, &mut Todo<P>) -> Result<Reacted<P>, Unfit>
        + Clone
        + Send
        + Sync
        + 'static,
    ) where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<AggregateOf<E>>,
    {
        let read = move |stored: &RecordedEvent| -> Result<Vec<Input<P>>, SubscriptionError> {
            let mut inputs = Vec::new();
            for (place, event) in decode_as::<E>(stored)? {
                let meta = meta_of::<AggregateOf<E>>(stored)?;
                let key = key(&event, &meta).to_string();
                let react = react.clone();
                let react = move |state, todo: &mut Todo<P>| react(state, event.clone(), &meta, todo);
                inputs.push(Input {
                    key,
                    place,
                    react: Arc::new(react),
                });
            }
            Ok(inputs)
        };
        self.events.push(OnEvent {
            category: <AggregateOf<E> as Aggregate>::NAME,
            name: E::NAME,
            aliases: E::ALIASES,
            read: Arc::new(read),
        });
    }

    /// The events that it reads: those of each aggregate of which it hears one, so that one that this build does not know
    /// is not passed over, and its own steps.
    pub(crate) fn filter(&self) -> EventFilter {
        let mut categories: Vec<_> = self.events.iter().map(|on| on.category).collect();
        categories.push(P::NAME);
        categories.sort_unstable();
        categories.dedup();
        let all = categories.into_iter().map(|category| CategoryFilter {
            category: category.into(),
            names: None,
        });
        EventFilter::Categories(all.collect())
    }

    /// Its inputs, and which builds may not be without, for those that keep builds apart: the events that it hears, and the versions of
    /// its state.
    pub(crate) fn inputs(&self, states: &Arc<dyn StateStore>, reader: &str) -> Inputs {
        let of_events = |names: fn(&OnEvent<P>) -> Vec<&'static str>| {
            let named = move |on: &OnEvent<P>| {
                let input = |name| format!("event `{}/{name}`", on.category);
                names(on).into_iter().map(input).collect::<Vec<_>>()
            };
            self.events.iter().flat_map(named).collect::<BTreeSet<_>>()
        };
        let mut own = of_events(|on| vec![on.name]);
        own.extend((1..=P::SHAPE_VERSION).map(|version| format!("version {version} of the state")));
        let earlier = of_events(|on| on.aliases.to_vec());
        Inputs::new(states, reader, own, earlier, "ProcessManagerHandle")
    }

    /// The names of aggregates that it knows: none of them may be its own.
    pub(crate) fn categories(&self) -> impl Iterator<Item = &'static str> {
        let events = self.events.iter().map(|on| on.category);
        events.chain(self.commands.iter().map(|on| on.category))
    }

    /// Returns what the event is heard as, by instance, in the order of what it was read as.
    pub(crate) fn read(&self, event: &RecordedEvent) -> Result<Vec<Input<P>>, SubscriptionError> {
        let mut inputs = Vec::new();
        for on in self.events.iter().filter(|on| on.category == event.stream.category()) {
            inputs.extend((on.read)(event)?);
        }
        inputs.sort_by(|one, other| (&one.key, one.place).cmp(&(&other.key, other.place)));
        Ok(inputs)
    }

    pub(super) fn command(&self, category: &str, name: &str) -> Option<&OnCommand<P>> {
        self.commands
            .iter()
            .find(|on| (on.category, on.name) == (category, name))
    }

    pub(super) fn timer_named(&self, name: &str) -> Option<&OnTimer<P>> {
        self.timers.iter().find(|on| on.name == name)
    }

    /// The reaction to the execution of `C`, if it is listed.
    pub(crate) fn done<C: Sendable>(&self) -> Option<DoneFn<P, C>> {
        self.command(<AggregateOf<C> as Aggregate>::NAME, C::NAME)?
            .done
            .downcast_ref::<DoneFn<P, C>>()
            .copied()
    }
}

impl<P: ProcessManager> fmt::Debug for Reactions<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactions")
            .field("events", &self.events.iter().map(|on| on.name).collect::<Vec<_>>())
            .field("commands", &self.commands.iter().map(|on| on.name).collect::<Vec<_>>())
            .field("timers", &self.timers.iter().map(|on| on.name).collect::<Vec<_>>())
            .finish()
    }
}
