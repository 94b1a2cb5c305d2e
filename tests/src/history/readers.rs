//! What reads while others write: a reader that tails the log, a subscription, and a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use es_conformance::__private::Random;
use es_runtime::store::ReadLog;
use es_runtime::subscription::SubscriptionError;
use es_runtime::{EventStore, Position, RecordedEvent, Runtime, StoreError, StoreErrorKind};
use futures_util::TryStreamExt as _;

use super::record::{Journal, Record, Seen};

/// The subscription whose events come as a stream.
pub(super) const STREAM: &str = "stream";
/// The subscription with a handler.
pub(super) const HANDLER: &str = "handler";

/// One event in so many is not acknowledged, or fails.
const RARELY: u64 = 2_000;

pub(super) fn seen(event: &RecordedEvent) -> Seen {
    (event.position.0, event.id.to_string())
}

/// Follows the log behind `from`, until it is aborted.
pub(super) async fn tail(store: Arc<dyn EventStore>, journal: Journal, reader: String, from: Position) {
    let (mut from, mut wakes) = (from, store.wakes());
    loop {
        journal.write(&Record::Reads {
            reader: reader.clone(),
            from: from.0,
        });
        match page(&*store, from).await {
            Ok(events) => {
                if let Some((last, _)) = events.last() {
                    from = Position(*last);
                }
                journal.write(&Record::Read {
                    reader: reader.clone(),
                    events,
                });
            }
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
            Err(error) => return journal.broke(format!("{reader}: {error} ({error:?})")),
        }
        // What a hint does not tell of is read all the same.
        let _ = tokio::time::timeout(Duration::from_millis(20), wakes.beyond(from)).await;
    }
}

async fn page(store: &dyn EventStore, from: Position) -> Result<Vec<Seen>, StoreError> {
    let log = store.read_log(ReadLog::new().from(from.next()));
    log.map_ok(|event| seen(&event)).try_collect().await
}

/// Whether the store keeps cursors.
pub(super) fn can_subscribe(runtime: &Runtime) -> bool {
    Arc::clone(runtime.store()).cursor_store().is_some()
}

/// Takes what is delivered, and stands by where another process does, until it is aborted or the runtime is shut down.
pub(super) async fn subscribe(runtime: Runtime, journal: Journal, mut random: Random) {
    loop {
        match take(&runtime, &journal, &mut random).await {
            Ok(()) => return,
            Err(SubscriptionError::LeaseLost(_) | SubscriptionError::Ended(_)) => {}
            Err(SubscriptionError::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {}
            Err(error) => return journal.broke(format!("{STREAM}: {error} ({error:?})")),
        }
    }
}

async fn take(runtime: &Runtime, journal: &Journal, random: &mut Random) -> Result<(), SubscriptionError> {
    let mut deliveries = runtime.subscribe(STREAM).from_start().start().await?;
    while let Some(delivery) = deliveries.next().await? {
        journal.write(&Record::Delivered {
            subscription: STREAM.to_owned(),
            event: seen(&delivery),
        });
        match random.below(RARELY) {
            0 => drop(delivery),
            1..20 => match delivery.ack().await {
                Ok(_) => {}
                Err(SubscriptionError::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            },
            _ => {
                delivery.ack_soon();
            }
        }
    }
    Ok(())
}

/// The event was not handled.
#[derive(Debug, thiserror::Error)]
#[error("this one is to come again")]
struct Again;

/// Has each event handled.
pub(super) async fn handle(runtime: &Runtime, journal: Journal) -> Result<(), SubscriptionError> {
    let calls = Arc::new(AtomicU64::new(1));
    let handler = move |event: RecordedEvent| {
        journal.write(&Record::Delivered {
            subscription: HANDLER.to_owned(),
            event: seen(&event),
        });
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            if call.is_multiple_of(RARELY) {
                Err(Again)
            } else {
                Ok(())
            }
        }
    };
    let subscribe = runtime.subscribe(HANDLER).from_start();
    subscribe.handle(handler).start().await.map(drop)
}
