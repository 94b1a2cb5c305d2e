//! Carries process managers out: an adapter of the handler of a subscription, whose lanes are the instances.

use std::sync::Arc;

use futures_util::TryStreamExt as _;

use super::ProcessManager;
use super::answer::Answering;
use super::heard::Heard;
use super::index::Index;
use super::react::Origin;
use super::reactions::Reactions;
use super::step::{Brief, Last, Next, Pending};
use crate::runtime::{Runtime, WeakRuntime};
use crate::store::{EventStore, ReadStream};
use crate::subscription::{Halt, SubscriptionError};
use crate::{AppendId, RecordedEvent, StoreError, StreamId, UnreadableEvent};

/// The instances of a process manager that are worked on side by side.
pub(crate) const AT_ONCE: u16 = 64;

/// An event of the log as it concerns one instance.
pub(crate) struct Item<P> {
    /// The instance's id as text.
    pub(crate) key: String,
    what: What<P>,
}

enum What<P> {
    /// It hears an event.
    Heard(Heard<P>),
    /// It has made a step, and may have commands to execute.
    Step(Brief),
}

/// Reads events for the instances: those that they hear, and the steps that have commands to execute.
pub(crate) fn read<P: ProcessManager>(
    reactions: &Reactions<P>,
    event: &RecordedEvent,
) -> Result<Vec<Item<P>>, SubscriptionError> {
    if event.stream.category() == P::NAME {
        let step = Brief::read(event).map_err(|error| UnreadableEvent {
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            name: event.name.clone(),
            source: Box::new(error),
        })?;
        return Ok(vec![Item {
            key: step.key.clone(),
            what: What::Step(step),
        }]);
    }
    let heard = Heard::all(reactions, event)?.into_iter();
    let item = |(key, heard)| Item {
        key,
        what: What::Heard(heard),
    };
    Ok(heard.map(item).collect())
}

/// Works on the instances of `P`.
pub(crate) struct Engine<P: ProcessManager> {
    pub(crate) reactions: Arc<Reactions<P>>,
    pub(crate) runtime: WeakRuntime,
    pub(crate) index: Index,
}

impl<P: ProcessManager> Engine<P> {
    /// Takes an item, and does again what a crash left half done: whatever was done before is found in the last step.
    pub(crate) async fn handle(&self, item: &Item<P>) -> Result<(), Halt> {
        let Some(runtime) = self.runtime.upgrade() else {
            return Err(Halt::Later("the runtime was dropped".into()));
        };
        if let What::Step(step) = &item.what {
            self.index.note(step).await?;
            if !step.has_work {
                return Ok(());
            }
        }
        let stream = StreamId::new(P::NAME, item.key.as_str());
        let mut last = load::<P>(&**runtime.store(), &stream).await?;
        while let What::Heard(heard) = &item.what
            && last.seen < heard.position()
        {
            let Some(next) = heard.step(&last)? else { break };
            last = match append(&runtime, next).await? {
                Some(last) => last,
                None => load(&**runtime.store(), &stream).await?,
            };
        }
        while let Some(next) = self.next(&runtime, last).await? {
            last = next;
        }
        Ok(())
    }

    /// Has the instance hear the timer that has elapsed first, or else has its first command executed. `None` if nothing is left to do.
    async fn next(&self, runtime: &Runtime, last: Last<P>) -> Result<Option<Last<P>>, Halt> {
        let stream = last.stream.clone();
        let next = if let Some(place) = last.elapsed() {
            let origin = Origin {
                causation: last.id,
                metadata: last.metadata.clone(),
            };
            append(runtime, self.reactions.due(&last, place, &origin)?).await?
        } else if let Some(pending) = last.pending.first() {
            let Some(on) = self.reactions.command(pending.to.category(), &pending.command) else {
                return Err(unheard(&last, pending));
            };
            let runtime = runtime.clone();
            (on.execute)(Answering { runtime, last }).await?
        } else {
            return Ok(None);
        };
        match next {
            Some(next) => Ok(Some(next)),
            None => load(&**runtime.store(), &stream).await.map(Some),
        }
    }
}

fn unheard<P: ProcessManager>(last: &Last<P>, pending: &Pending) -> Halt {
    Halt::Never(format!(
        "step {} of `{}` has stored the command `{}` to `{}`, and process manager `{}` of this build hears of no such command: run a \
         build that does",
        pending.step,
        last.stream,
        pending.command,
        pending.to,
        P::NAME
    ))
}

/// The last step of an instance.
pub(crate) async fn newest(store: &dyn EventStore, stream: &StreamId) -> Result<Option<RecordedEvent>, StoreError> {
    let newest = ReadStream::new(stream.clone()).backwards().limit(1);
    store.read_stream(newest).try_next().await
}

/// The instance as its last step leaves it.
pub(crate) async fn load<P: ProcessManager>(store: &dyn EventStore, stream: &StreamId) -> Result<Last<P>, Halt> {
    match newest(store, stream).await? {
        None => Ok(Last::none(stream.clone())),
        Some(step) => Last::read(&step).map_err(|error| {
            let (name, version) = (&step.name, step.version);
            Halt::Never(format!(
                "`{name}` at version {version} of `{stream}` cannot be read: {}",
                crate::error::chain(&error)
            ))
        }),
    }
}

/// Appends a step of its own. `None` if the instance has moved meanwhile.
pub(crate) async fn append<P: ProcessManager>(runtime: &Runtime, mut next: Next<P>) -> Result<Option<Last<P>>, Halt> {
    let id = AppendId::new();
    let part = next.part(id.event_id(0)).map_err(super::react::Unfit::from)?;
    let appended = runtime.append_part(id, part).await?;
    Ok(appended.map(|appended| next.stored(appended.recorded_at)))
}
