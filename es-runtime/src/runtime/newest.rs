//! Looks at the newest events for shapes that were changed without a new version.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;

use super::event_check::Registered;
use crate::error::chain;
use crate::store::{EventKind, ReadLog};
use crate::{DecodeError, EventStore, StoreError};

/// The number of events to look at: those that the builds before this one wrote last.
const EVENTS: u64 = 256;

/// The kinds of the newest events none of which is of its shape, each with what is wrong with the newest. One of several is not
/// enough: its payload may be damaged.
pub(super) async fn changed(
    store: &dyn EventStore,
    aggregates: &[Registered],
) -> Result<BTreeMap<EventKind, String>, StoreError> {
    let (mut changed, mut fine) = (BTreeMap::new(), BTreeSet::new());
    let mut newest = store.read_log(ReadLog::new().backwards().limit(EVENTS));
    while let Some(event) = newest.try_next().await? {
        let category = event.stream.category();
        let Some(aggregate) = aggregates.iter().find(|aggregate| aggregate.category == category) else {
            continue;
        };
        let kind = EventKind::new(category, &*event.name, event.shape_version);
        if fine.contains(&kind) {
            continue;
        }
        match (aggregate.read)(&event.name, event.shape_version, &event.payload) {
            Err(error @ DecodeError::Malformed(_)) => {
                let said = || format!("the one at position {}: {}", event.position, chain(&error));
                changed.entry(kind).or_insert_with(said);
            }
            // An unknown event is found by its name, and a step may fail for some values only.
            Err(_) => {}
            Ok(()) => {
                changed.remove(&kind);
                fine.insert(kind);
            }
        }
    }
    Ok(changed)
}
