//! Faults in what is kept for projections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use es_runtime::store::{
    Advance, Checkpoint, CheckpointError, Commit, CommitError, CursorStore, Differences, Lease, ParkReason,
    ProjectionStore, Replace, Row, RowChange, RowCount, RowGroup, RowQuery, RowStore, RowTable,
};
use es_runtime::{Clock, EventStore, MemoryStore, Position, StoreError, StoreErrorKind, Timestamp};

use crate::wrap::{Wrap, WrapProjections, Wrapped};
use crate::{Capability, Fixture};

type Make = Box<dyn Fn(MemoryStore, Arc<dyn Clock>) -> Arc<dyn ProjectionStore> + Send + Sync>;

/// A store in memory behind a fault in its projections.
struct Faulty {
    store: MemoryStore,
    make: Make,
}

pub(super) fn faulty<W: WrapProjections>(
    make: impl Fn(MemoryStore, Arc<dyn Clock>) -> W + Send + Sync + 'static,
) -> Box<dyn Fixture> {
    Box::new(Faulty {
        store: MemoryStore::new(),
        make: Box::new(move |store, clock| Arc::new(Wrapped(Arc::new(make(store, clock))))),
    })
}

#[async_trait]
impl Fixture for Faulty {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::MultiStream,
            Capability::AnyPayload,
            Capability::TxProjections,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let store = self.store.clone().with_clock(Arc::clone(&clock));
        (self.make)(store, clock)
    }

    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        let store = self.store.clone().with_clock(Arc::clone(&clock));
        Some((self.make)(store, clock))
    }

    async fn rewind(&self, to: Position) -> bool {
        self.store.rewind(to);
        true
    }
}

/// A store with one method of [`WrapProjections`] that is wrong.
macro_rules! fault {
    ($name:ident, $($method:tt)+) => {
        pub(super) fn $name() -> Box<dyn Fixture> {
            struct Faulty(MemoryStore);

            impl Wrap for Faulty {
                fn inner(&self) -> &dyn EventStore {
                    &self.0
                }
            }

            #[async_trait]
            impl WrapProjections for Faulty {
                fn projections(&self) -> &dyn ProjectionStore {
                    &self.0
                }

                $($method)+
            }

            faulty(|store, _| Faulty(store))
        }
    };
}

fault!(
    moves_the_checkpoint_first,
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.0.advance(commit.advance.clone()).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let Advance {
            reader,
            lease,
            to,
            event,
            ..
        } = &commit.advance;
        let stays = Advance {
            event: *event,
            ..Advance::new(reader, lease, *to, *to)
        };
        self.0
            .commit(Commit {
                advance: stays,
                ..commit
            })
            .await
    }
);

fault!(
    parks_at_the_checkpoint_only,
    async fn advance(&self, mut advance: Advance) -> Result<(), CommitError> {
        advance.park.retain(|parked| parked.position <= advance.to);
        self.0.advance(advance).await
    }
);

fault!(
    forgets_why_events_are_parked,
    async fn advance(&self, mut advance: Advance) -> Result<(), CommitError> {
        for parked in &mut advance.park {
            parked.reason = ParkReason::Failed;
        }
        self.0.advance(advance).await
    }
);

fault!(
    tears_rows,
    async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
        let rest = commit.rows.split_off(commit.rows.len() / 2);
        let Advance {
            reader, lease, from, ..
        } = &commit.advance;
        let half = Commit {
            advance: Advance::new(reader, lease, *from, *from),
            ..commit.clone()
        };
        self.0.commit(half).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.commit(Commit { rows: rest, ..commit }).await
    }
);

fault!(
    does_not_compare_checkpoints,
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        match self.0.commit(commit.clone()).await {
            Err(CommitError::Moved { actual, .. }) if actual <= commit.advance.to => {
                let mut anyway = commit;
                anyway.advance.from = actual;
                self.0.commit(anyway).await
            }
            result => result,
        }
    }
);

fault!(
    does_a_parked_event_twice,
    async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
        loop {
            match self.0.commit(commit.clone()).await {
                Err(CommitError::NotParked { position, .. }) => {
                    commit.advance.unpark.retain(|other| *other != position);
                }
                result => return result,
            }
        }
    }
);

fault!(
    stays_where_nothing_changed,
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        if commit.rows.is_empty() && commit.advance.park.is_empty() && commit.advance.unpark.is_empty() {
            return Ok(());
        }
        self.0.commit(commit).await
    }
);

fault!(
    forgets_the_event_at_a_checkpoint,
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let checkpoint = self.0.checkpoint(reader).await?;
        Ok(checkpoint.map(|checkpoint| Checkpoint {
            event: None,
            ..checkpoint
        }))
    }
);

fault!(
    gives_a_lease_twice,
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let taken = self.0.acquire(lease, owner, ttl).await?;
        Ok(taken.or_else(|| {
            Some(Lease {
                name: lease.to_owned(),
                owner: owner.to_owned(),
                epoch: 1,
            })
        }))
    }
);

fault!(
    leaves_rows_behind,
    async fn clear(&self, _: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.forget(reader, lease).await
    }
);

fault!(
    creates_tables_anew,
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.0.create_table(table).await?;
        let lease = self.0.acquire("creation", "creator", Duration::ZERO).await?;
        if let Some(lease) = lease {
            let cleared = self.0.clear(table, "nobody", &lease).await;
            cleared.map_err(|error| {
                StoreError::new(StoreErrorKind::Unavailable, "the table is not cleared").caused_by(error)
            })?;
        }
        Ok(())
    }
);

fault!(
    replaces_rows_in_steps,
    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        let keys = self.0.list_rows(&replace.table, &RowQuery::default()).await?;
        let gone = |row: Row| RowChange {
            key: row.key,
            data: None,
            position: row.position,
        };
        let cleared = Commit {
            advance: Advance::new(&replace.reader, &replace.lease, replace.from, replace.from),
            table: replace.table.clone(),
            rows: keys.into_iter().map(gone).collect(),
        };
        self.0.commit(cleared).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.replace(replace).await
    }
);

fault!(
    replaces_from_anywhere,
    async fn replace(&self, mut replace: Replace) -> Result<(), CommitError> {
        loop {
            match self.0.replace(replace.clone()).await {
                Err(CommitError::Moved { reader, actual, .. }) if reader == replace.reader => replace.from = actual,
                Err(CommitError::Moved { actual, .. }) => replace.to = actual,
                result => return result,
            }
        }
    }
);

fault!(
    finds_no_differences,
    async fn differences(&self, old: &RowTable, new: &RowTable, _: u32) -> Result<Differences, StoreError> {
        self.0.differences(old, new, 0).await.map(|_| Differences::default())
    }
);

fault!(
    drops_the_table_only,
    async fn drop_table(&self, table: &RowTable, _: &[String], lease: &Lease) -> Result<(), CommitError> {
        self.0.drop_table(table, &[], lease).await
    }
);

fault!(
    rewrites_rows,
    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        let mut rows = self.0.rows(table, keys).await?;
        for row in rows.iter_mut().flatten() {
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&row.data) {
                row.data = value.to_string().into();
            }
        }
        Ok(rows)
    }
);

fault!(
    repeats_rows_at_the_seam,
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.0.list_rows(table, query).await?;
        if let (Some(_), Some(first)) = (&query.after, rows.first().cloned()) {
            rows.insert(0, first);
            let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
            rows.truncate(limit.unwrap_or(usize::MAX));
        }
        Ok(rows)
    }
);

fault!(
    leaves_out_null,
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.0.list_rows(table, query).await?;
        if query.order_by.is_some() {
            rows.retain(|row| query.cursor(row).value.is_some());
        }
        Ok(rows)
    }
);

fault!(
    counts_null_with_the_first,
    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        let mut groups = self.0.count_rows(table, count).await?;
        if groups.len() > 1
            && let Some(last) = groups.pop_if(|last| last.value.is_none())
        {
            groups[0].count += last.count;
        }
        Ok(groups)
    }
);

fault!(
    answers_what_it_cannot,
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.list_rows(table, query).await.unwrap_or_default())
    }
);

fault!(
    forgets_reports,
    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.0.report(lease, "").await?;
        self.0.release(lease).await
    }
);

fault!(
    takes_reports_of_anyone,
    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        self.0.report(lease, text).await?;
        Ok(true)
    }
);

pub(super) fn does_not_fence() -> Box<dyn Fixture> {
    /// Keeps the last lease that was given under each name, and writes under it whoever asks.
    struct DoesNotFence {
        store: MemoryStore,
        given: Arc<Mutex<HashMap<String, Lease>>>,
    }

    impl Wrap for DoesNotFence {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }
    }

    #[async_trait]
    impl WrapProjections for DoesNotFence {
        fn projections(&self) -> &dyn ProjectionStore {
            &self.store
        }

        async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
            let taken = self.store.acquire(lease, owner, ttl).await?;
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            given.extend(taken.iter().map(|lease| (lease.name.clone(), lease.clone())));
            Ok(taken)
        }

        async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
            let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(last) = given.get(&commit.advance.lease.name) {
                commit.advance.lease = last.clone();
            }
            self.store.commit(commit).await
        }
    }

    let given = Arc::default();
    faulty(move |store, _| DoesNotFence {
        store,
        given: Arc::clone(&given),
    })
}

pub(super) fn believes_the_callers_clock() -> Box<dyn Fixture> {
    /// Ends a lease when the clock of whoever asks says so.
    struct BelievesTheCallersClock {
        store: MemoryStore,
        clock: Arc<dyn Clock>,
        ends: Arc<Mutex<HashMap<String, (Lease, Timestamp)>>>,
    }

    impl Wrap for BelievesTheCallersClock {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }
    }

    #[async_trait]
    impl WrapProjections for BelievesTheCallersClock {
        fn projections(&self) -> &dyn ProjectionStore {
            &self.store
        }

        async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
            let now = self.clock.now();
            let held = self
                .ends
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(lease)
                .cloned();
            if let Some((lease, end)) = held
                && end <= now
            {
                self.store.release(&lease).await?;
            }
            let taken = self.store.acquire(lease, owner, ttl).await?;
            let micros = i64::try_from(ttl.as_micros()).unwrap_or(0);
            let end = Timestamp::from_micros(now.as_micros() + micros).unwrap_or(Timestamp::MAX);
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.extend(taken.iter().map(|lease| (lease.name.clone(), (lease.clone(), end))));
            Ok(taken)
        }
    }

    let ends = Arc::default();
    faulty(move |store, clock| BelievesTheCallersClock {
        store,
        clock,
        ends: Arc::clone(&ends),
    })
}
