//! Imports of the past.

mod batch;
mod error;
mod past;
mod run;
mod stored;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;

use futures_core::Stream;
use tracing::Instrument as _;

pub use error::ImportError;
pub use past::{AnyPast, ImportItem, Past};

use batch::Most;
use run::Importer;

use super::Runtime;
use crate::Position;

/// No handler is asked, so none refuses.
type Refusal = Infallible;

/// The progress of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// The number of items that are imported.
    pub items: u64,
    /// The number of events in them.
    pub events: u64,
    /// The number of these events that this run has stored; the others were there before.
    pub stored: u64,
    /// The position of the last event.
    pub position: Position,
}

/// Imports the past: `runtime.import(name, items).await`, with options before the `await`.
///
/// # Cancel safety
///
/// Dropping the future leaves the items that are imported so far. Run the import again to continue.
#[must_use = "nothing is imported until it is awaited"]
pub struct Import<'a, S> {
    runtime: &'a Runtime,
    name: String,
    items: S,
    most: Most,
    progress: Progress<'a>,
}

type Progress<'a> = Box<dyn FnMut(Imported) + Send + 'a>;

impl Runtime {
    /// Imports events of the past from the stream `items`, in its order, each with the time at which it happened.
    /// [The guide](crate::docs::importing) shows how.
    ///
    /// Run it again after a kill or an error, with the same name and a source that gives the same items and perhaps
    /// more behind them: each event is stored once. Events are appended in batches, and memory holds one batch, however
    /// long the source is.
    ///
    /// # Errors
    ///
    /// [`ImportError::Foreign`] for a stream that others have written, [`ImportError::Changed`] if the source differs
    /// from what was imported before, [`ImportError::Refused`] for an event that cannot be stored. Each names the item.
    pub fn import<S>(&self, name: impl Into<String>, items: S) -> Import<'_, S>
    where
        S: Stream<Item: ImportItem> + Send,
    {
        Import {
            runtime: self,
            name: name.into(),
            items,
            most: Most::default(),
            progress: Box::new(|_| {}),
        }
    }
}

impl<'a, S> Import<'a, S> {
    /// Sets the number of events that are appended at once: 1,000 by default. A batch also ends at 4 MiB, and before an
    /// item whose stream is in it already with another one behind.
    pub fn batch(mut self, events: usize) -> Self {
        self.most.events = events;
        self
    }

    /// Calls `progress` after each batch.
    pub fn progress(mut self, progress: impl FnMut(Imported) + Send + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

impl<'a, S> IntoFuture for Import<'a, S>
where
    S: Stream<Item: ImportItem> + Send + 'a,
{
    type Output = Result<Imported, ImportError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = tracing::info_span!("es.import", import = self.name);
        let Self {
            runtime,
            name,
            items,
            most,
            progress,
        } = self;
        let importer = Importer::new(runtime, &name, most, progress);
        Box::pin(importer.run(items).instrument(span))
    }
}

impl<S> fmt::Debug for Import<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("name", &self.name)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use futures_util::{StreamExt as _, TryStreamExt as _, stream};

    use super::*;
    use crate::prelude::*;
    use crate::store::ReadLog;

    #[event]
    struct Opened;

    #[event]
    struct Counted {
        number: u32,
    }

    #[command]
    struct Start;

    #[derive(Aggregate)]
    #[es(name = "count", id = String)]
    struct Count;

    #[aggregate]
    impl Count {
        #[handle]
        fn start(_: Start) -> Opened {
            Opened
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Self
        }

        #[apply]
        #[expect(clippy::unused_self, reason = "it says that the count must be there")]
        fn counted(&mut self, _: Counted) {}
    }

    /// Ten streams, five events each, in a wild order.
    fn source() -> impl Stream<Item = Past<Count>> {
        let past = |number: u32| {
            let count = Past::of(KeyOf::new((number * 7 % 10).to_string()));
            match number {
                0..10 => count.at(Timestamp::MIN, Opened),
                _ => count.at(Timestamp::MIN, Counted { number }),
            }
        };
        stream::iter((0..50).map(past))
    }

    #[tokio::test]
    async fn what_is_forgotten_of_the_streams_is_read_from_the_store() {
        for batch in [1, 3, 1_000] {
            let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
            for (streams, stored) in [(2, 50), (2, 0), (1, 0), (1_000, 0)] {
                let mut import = runtime.import("counts", source()).batch(batch);
                import.most.streams = NonZeroUsize::new(streams).unwrap();
                assert_eq!(import.await.unwrap().stored, stored);
            }
            let events: Vec<_> = runtime.store().read_log(ReadLog::new()).try_collect().await.unwrap();
            let streams: Vec<u32> = events.iter().map(|event| event.stream.id().parse().unwrap()).collect();
            assert_eq!(streams, (0..50).map(|number| number * 7 % 10).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_stream_that_was_forgotten_and_written_by_others_is_refused() {
        let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
        let mut import = runtime.import("counts", source().take(20)).batch(7);
        import.most.streams = NonZeroUsize::MIN;
        import.await.unwrap();
        let other = runtime.append(KeyOf::<Count>::new("4"), Counted { number: 1 });
        other.await.unwrap();
        let mut import = runtime.import("counts", source()).batch(7);
        import.most.streams = NonZeroUsize::MIN;
        let error = import.await.unwrap_err();
        assert!(matches!(error, ImportError::Foreign { item: 23, .. }), "{error}");
    }
}
