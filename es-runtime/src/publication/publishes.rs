//! A publication, and the list of what it publishes.

use std::fmt;
use std::sync::Arc;

use super::{IntoMessages, Messages, Outgoing};
use crate::consumer::Inputs;
use crate::projection::OnFailure;
use crate::store::{CategoryFilter, EventFilter, StateStore};
use crate::subscription::{SubscriptionError, decode_as, meta_of};
use crate::{Aggregate, BelongsToOneAggregate, Event, EventOf, EventSourced, Meta, RecordedEvent};

/// Publishes events as messages under a topic. Written by `#[publication]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a publication",
    label = "not a publication",
    note = "add `#[publication(topic = \"…\")]` to `struct {Self}`, and `#[publication] impl {Self} {{ … }}` with its `#[publish]` methods"
)]
pub trait Publication: PublicationInfo {
    /// Lists what it publishes.
    fn publishes(list: &mut Publishes);
}

/// The name of a publication, and the topic to which it publishes. Written by `#[publication]` on the struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where it publishes",
    label = "no `#[publication(topic = …)]` on the struct",
    note = "add `#[publication(topic = \"…\")]` to `struct {Self}`"
)]
pub trait PublicationInfo: Send + Sync + 'static {
    /// Its name, under which the store keeps its cursor.
    const NAME: &'static str;

    /// The topic, or the subject.
    const TOPIC: &'static str;

    /// Its version: another one begins anew, with a cursor of its own.
    const VERSION: u32 = 1;

    /// The source of its messages, which together with their ids is unique: its name unless set.
    const SOURCE: &'static str = Self::NAME;

    /// The treatment of an event whose message the broker will never take.
    const ON_FAILURE: OnFailure = OnFailure::Hold;
}

/// The list of what a publication publishes.
#[derive(Default)]
pub struct Publishes {
    routes: Vec<Route>,
}

/// The aggregate of event `E`.
type AggregateOf<E> = <E as BelongsToOneAggregate>::Aggregate;

type Read = dyn Fn(&RecordedEvent) -> Result<Vec<(usize, String, Messages)>, SubscriptionError> + Send + Sync;

struct Route {
    category: &'static str,
    name: &'static str,
    aliases: &'static [&'static str],
    read: Box<Read>,
}

/// The part that all messages of a publication share.
pub(super) struct By {
    pub(super) publication: Arc<str>,
    pub(super) source: &'static str,
}

impl Publishes {
    /// Lists what `P` publishes.
    ///
    /// # Panics
    ///
    /// If it lists an event twice.
    #[track_caller]
    pub(super) fn of<P: Publication>() -> Self {
        let mut list = Self::default();
        P::publishes(&mut list);
        let mut all: Vec<_> = list.routes.iter().map(|route| (route.category, route.name)).collect();
        all.sort_unstable();
        let twice = all.iter().zip(all.iter().skip(1)).find(|(one, other)| one == other);
        if let Some(((category, name), _)) = twice {
            panic!(
                "publication `{}` publishes event `{name}` of `{category}` twice: keep one",
                P::NAME
            );
        }
        list
    }

    /// Publishes event `E` as what `publish` returns. `key` gives the key within which messages are in order.
    pub fn event<E, M: IntoMessages>(
        &mut self,
        key: impl Fn(&E, &Meta<AggregateOf<E>>) -> String + Send + Sync + 'static,
        publish: impl Fn(E, &Meta<AggregateOf<E>>) -> M + Send + Sync + 'static,
    ) where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<AggregateOf<E>>,
    {
        let read = move |stored: &RecordedEvent| {
            let mut read = Vec::new();
            for (place, event) in decode_as::<E>(stored)? {
                let meta = meta_of::<AggregateOf<E>>(stored)?;
                let (key, mut messages) = (key(&event, &meta), Messages::default());
                publish(event, &meta).into_messages(&mut messages);
                read.push((place, key, messages));
            }
            Ok(read)
        };
        self.routes.push(Route {
            category: <AggregateOf<E> as Aggregate>::NAME,
            name: E::NAME,
            aliases: E::ALIASES,
            read: Box::new(read),
        });
    }

    /// The events that are read: all of each aggregate of which one is published, so that one that this build does not know is
    /// not passed over.
    pub(super) fn filter(&self) -> EventFilter {
        let mut categories: Vec<_> = self.routes.iter().map(|route| route.category).collect();
        categories.sort_unstable();
        categories.dedup();
        let all = categories.into_iter().map(|category| CategoryFilter {
            category: category.into(),
            names: None,
        });
        EventFilter::Categories(all.collect())
    }

    /// The kinds of events that are published, for those that keep builds apart.
    pub(super) fn inputs(&self, states: &Arc<dyn StateStore>, reader: &str) -> Inputs {
        let input = |category: &str, name: &str| format!("event `{category}/{name}`");
        let own = self.routes.iter().map(|route| input(route.category, route.name));
        let earlier = self.routes.iter().flat_map(|route| {
            let aliases = route.aliases.iter();
            aliases.map(|alias| input(route.category, alias))
        });
        Inputs::new(states, reader, own.collect(), earlier.collect(), "PublicationHandle")
    }

    /// The messages of an event.
    pub(super) fn read(&self, event: &RecordedEvent, by: &By) -> Result<Vec<Outgoing>, SubscriptionError> {
        let mut read = Vec::new();
        for route in self
            .routes
            .iter()
            .filter(|route| route.category == event.stream.category())
        {
            read.extend((route.read)(event)?);
        }
        // A stored event may be read as several, which different methods publish.
        read.sort_by_key(|(place, ..)| *place);
        let mut outgoing = Vec::new();
        for (_, key, messages) in read {
            if let Some(source) = messages.error {
                return Err(SubscriptionError::Unpublishable {
                    event: event.name.clone().into_owned(),
                    position: event.position,
                    source: Box::new(source),
                });
            }
            for message in messages.encoded {
                outgoing.push(Outgoing {
                    id: format!("{}/{}", event.id, outgoing.len()),
                    name: message.name,
                    shape_version: message.shape_version,
                    key: key.clone(),
                    publication: Arc::clone(&by.publication),
                    source: by.source,
                    stream: event.stream.clone(),
                    position: event.position,
                    time: event.occurred_at(),
                    payload: message.payload,
                    traceparent: event.metadata.traceparent().map(ToOwned::to_owned),
                });
            }
        }
        Ok(outgoing)
    }
}

impl fmt::Debug for Publishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.routes.iter().map(|route| (route.category, route.name));
        f.debug_list().entries(events).finish()
    }
}
