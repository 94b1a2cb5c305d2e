use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::segment::Segment;
use crate::store::{EventFilter, EventStore, ReadLog};
use crate::{Position, RecordedEvent, StoreError, StoreErrorKind};

/// Events of one transaction: at most so many, of so many bytes (and one event more), read within so long. The more they are, the
/// more of them change the same row, which is then written once.
pub(super) const EVENTS: usize = 20_000;
const BYTES: usize = 4 << 20;
const TIME: Duration = Duration::from_millis(200);

/// A stretch of the log in batches. The next one is read while one is written, so that at most three are in memory.
pub(crate) struct Feed {
    batches: mpsc::Receiver<Result<Batch, StoreError>>,
    reader: JoinHandle<()>,
}

/// Some events of the stretch, in order.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<RecordedEvent>,
    /// Whether they are the last.
    pub(crate) ends: bool,
}

impl Feed {
    /// The events of the segment that the filter lets through, behind `after` and up to `to`.
    pub(crate) fn new(
        log: Arc<dyn EventStore>,
        filter: EventFilter,
        segment: Segment,
        after: Position,
        to: Position,
    ) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let query = ReadLog::new().from(after.next()).to(to).only(filter);
        let reader = tokio::spawn(async move { read(&*log, query, segment, &sender).await });
        Self { batches, reader }
    }

    /// The next batch, until one [ends](Batch::ends) the stretch.
    pub(crate) async fn next(&mut self) -> Result<Batch, StoreError> {
        // Never taken for the end: what was not read would be passed over.
        let broken = || StoreError::new(StoreErrorKind::Unavailable, "reading the log was cut short");
        self.batches.recv().await.unwrap_or_else(|| Err(broken()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(
    log: &dyn EventStore,
    query: ReadLog,
    segment: Segment,
    batches: &mpsc::Sender<Result<Batch, StoreError>>,
) {
    let mut events = log.read_log(query);
    if !segment.is_whole() {
        // Before anything of the others is decoded.
        events = Box::pin(events.try_filter(move |event| ready(segment.takes(&event.stream))));
    }
    loop {
        let batch = batch(&mut events).await;
        let ends = batch.as_ref().map_or(true, |batch| batch.ends);
        // A reader whose receiver is gone has nobody to read for.
        if batches.send(batch).await.is_err() || ends {
            return;
        }
    }
}

async fn batch(events: &mut BoxStream<'_, Result<RecordedEvent, StoreError>>) -> Result<Batch, StoreError> {
    let (mut batch, mut bytes) = (Batch::default(), 0);
    let mut until = Instant::now();
    while batch.events.len() < EVENTS && bytes < BYTES {
        let Some(event) = events.try_next().await? else {
            batch.ends = true;
            break;
        };
        let is_first = batch.events.is_empty();
        bytes += event.size();
        batch.events.push(event);
        if is_first {
            until = Instant::now() + TIME;
        } else if Instant::now() > until {
            break;
        }
    }
    Ok(batch)
}
