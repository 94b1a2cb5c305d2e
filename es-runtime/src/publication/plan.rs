//! What a builder knows of its publications, and how they are started.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::kinds::Kinds;
use super::publishes::{By, Item};
use super::{Beginning, Publication, Publishes, Sink, SinkError, SinkErrorKind};
use crate::projection::OnFailure;
use crate::runtime::{Runtime, StartError};
use crate::subscription::{Halt, Kind, Reading, Stopped};

/// A publication that a runtime is to run.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    start: Box<Start>,
}

type Start = dyn FnOnce(&Runtime) -> BoxFuture<'_, Result<(), StartError>> + Send;

impl Plan {
    #[track_caller]
    pub(crate) fn of<P: Publication>(sink: Arc<dyn Sink>, beginning: Beginning) -> Self {
        let list = Publishes::of::<P>();
        Self {
            name: P::NAME,
            version: P::VERSION,
            start: Box::new(move |runtime| Box::pin(run::<P>(runtime, list, sink, beginning))),
        }
    }

    /// The name of its cursor.
    pub(crate) fn cursor(&self) -> String {
        cursor(self.name, self.version)
    }

    pub(crate) async fn start(self, runtime: &Runtime) -> Result<(), StartError> {
        (self.start)(runtime).await
    }
}

/// The name by which the cursor of a publication is known among those of publications.
pub(crate) fn cursor_of<P: Publication>() -> String {
    cursor(P::NAME, P::VERSION)
}

fn cursor(name: &str, version: u32) -> String {
    format!("{name}@{version}")
}

/// Publishes what a handler of batches is given, one batch after the other.
async fn run<P: Publication>(
    runtime: &Runtime,
    list: Publishes,
    sink: Arc<dyn Sink>,
    beginning: Beginning,
) -> Result<(), StartError> {
    let checked = sink.check(P::TOPIC).await;
    checked.map_err(|source| StartError::Sink {
        publication: P::NAME,
        topic: P::TOPIC,
        source,
    })?;
    let states = runtime.own_states();
    let kinds = states.map(|states| Kinds::new(list.kinds().collect(), &states, &cursor_of::<P>()));
    if let Some(kinds) = &kinds {
        kinds.add().await?;
    }
    let publisher = Arc::new(Publisher {
        topic: P::TOPIC,
        sink,
        kinds,
    });
    let by = By {
        publication: cursor_of::<P>().into(),
        source: P::SOURCE,
    };
    let reading = Reading::new(list.filter(), move |event| list.read(&event, &by));
    let handled = runtime
        .follow(Kind::Publication, cursor_of::<P>(), reading, Some(beginning))
        .handle_many(move |items| {
            let publisher = Arc::clone(&publisher);
            async move { publisher.publish(items).await }
        })
        .by(Item::key);
    let handled = match P::ON_FAILURE {
        OnFailure::Hold => handled,
        OnFailure::Park => handled.park(),
        OnFailure::ParkAlone => handled.park_alone(),
    };
    let started = handled.start().await;
    started.map(drop).map_err(|source| StartError::Publication {
        publication: P::NAME,
        source,
    })
}

struct Publisher {
    topic: &'static str,
    sink: Arc<dyn Sink>,
    /// `None` if the store keeps no states.
    kinds: Option<Kinds>,
}

impl Publisher {
    /// Publishes a batch, up to an event that is another build's to publish.
    async fn publish(&self, items: Vec<Item>) -> Result<(), Stopped> {
        let barrier = self.barrier(&items).await?;
        let mut messages = Vec::with_capacity(items.len());
        // The place of each message among the items.
        let mut places = Vec::with_capacity(items.len());
        let before = barrier.as_ref().map_or(items.len(), |(place, _)| *place);
        for (place, item) in items.into_iter().take(before).enumerate() {
            if let Item::Message(message) = item {
                messages.push(message);
                places.push(place);
            }
        }
        if !messages.is_empty() {
            let published = self.sink.publish(self.topic, &messages).await;
            published.map_err(|error| stopped(error, &places, before))?;
        }
        match barrier {
            None => Ok(()),
            Some((done, halt)) => Err(Stopped {
                done,
                error: halt.into(),
            }),
        }
    }

    /// The place of the first item that another build publishes.
    async fn barrier(&self, items: &[Item]) -> Result<Option<(usize, Halt)>, Stopped> {
        let passed = |item: &Item| match item {
            Item::PassedOver { stream, name } => Some(format!("{}/{name}", stream.category())),
            Item::Message(_) => None,
        };
        let Some(kinds) = self
            .kinds
            .as_ref()
            .filter(|_| items.iter().any(|item| passed(item).is_some()))
        else {
            return Ok(None);
        };
        let others = kinds.of_others().await.map_err(|error| Stopped {
            done: 0,
            error: Halt::Later(error.into()).into(),
        })?;
        let found = items.iter().enumerate().find_map(|(place, item)| {
            let kind = passed(item).filter(|kind| others.contains(kind))?;
            Some((place, kind))
        });
        Ok(found.map(|(place, kind)| {
            let message = format!(
                "another build publishes `{kind}`, and this one does not: it waits for that build to take over, so that no event is passed \
                 over"
            );
            (place, Halt::Later(message.into()))
        }))
    }
}

/// Says of the items what the sink says of the messages.
fn stopped(error: SinkError, places: &[usize], items: usize) -> Stopped {
    let SinkError { done, kind, source } = error;
    let halt = match kind {
        SinkErrorKind::Retry => Halt::Later(source),
        SinkErrorKind::Rejected => Halt::Never(crate::error::chain(&*source)),
    };
    Stopped {
        done: places.get(done).copied().unwrap_or(items.saturating_sub(1)),
        error: halt.into(),
    }
}
