//! Whole appends of the store in memory.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::{AppendRecord, Log, MemoryStore};
use crate::store::{ArchiveStore, IdempotencyKey, RecordedAppend, RestoreAppendError};
use crate::{AppendId, StoreError, StreamId, Version};

#[async_trait]
impl ArchiveStore for MemoryStore {
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>> {
        let ids = self.log().append_ids();
        // One is copied at a time, so that the lock is held briefly.
        let appends = ids.into_iter().filter_map(|id| self.log().recorded(id));
        stream::iter(appends).boxed()
    }

    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        let mut log = self.log();
        log.check_restored(&appends)?;
        for RecordedAppend {
            append, recorded_at, ..
        } in appends
        {
            log.write(append, recorded_at);
        }
        self.wakes.wake(log.head());
        Ok(())
    }
}

impl Log {
    /// The ids of all appends, in the order of the log.
    fn append_ids(&self) -> Vec<AppendId> {
        let all = self.appends.iter();
        let mut ids: Vec<_> = all
            .map(|(id, AppendRecord { first, events, .. })| (first + events, *events == 0, id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, _, id)| id).collect()
    }

    fn recorded(&self, id: AppendId) -> Option<Result<RecordedAppend, StoreError>> {
        let (record, appended) = self.find(id)?;
        let key = record.more.as_ref().and_then(|more| more.key.clone()?.known());
        Some(RecordedAppend::new(appended, key, self.events_of(record).to_vec()))
    }

    /// Checks that each append can be stored as it was, behind those before it.
    fn check_restored(&self, appends: &[RecordedAppend]) -> Result<(), RestoreAppendError> {
        let mut versions: HashMap<&StreamId, Version> = HashMap::new();
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        let mut head = self.head();
        let mut last = self.last_recorded_at();
        for recorded in appends {
            let append = &recorded.append;
            if !ids.insert(append.id) || self.appends.get(append.id).is_some() {
                return Err(recorded.repeated("id"));
            }
            if let Some(IdempotencyKey { key, .. }) = &append.key
                && (!keys.insert(key) || self.keys.contains_key(key))
            {
                return Err(recorded.repeated("idempotency key"));
            }
            for part in &append.streams {
                let version = versions
                    .entry(&part.stream)
                    .or_insert_with(|| self.version(&part.stream));
                part.check(*version, None)
                    .map_err(|conflict| RestoreAppendError::refused(append.id, conflict))?;
                version.0 += part.events.len() as u64;
            }
            head.0 += recorded.events();
            recorded.check_position(head)?;
            recorded.check_time(last)?;
            if recorded.events() > 0 {
                last = recorded.recorded_at;
            }
        }
        Ok(())
    }
}
