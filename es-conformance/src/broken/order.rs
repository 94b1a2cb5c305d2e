//! Faults in the order of the log.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, ReadLog};
use es_runtime::{Clock, EventStore, ExpectedVersion, MemoryStore, Position, RecordedEvent, StoreError, Timestamp};
use futures_util::stream::BoxStream;
use futures_util::{TryStreamExt, future};
use tokio::sync::Mutex as AsyncMutex;

use super::{Fixture, Transaction, Work, faulty};
use crate::Capability;
use crate::wrap::{Wrap, Wrapped};

type Events<'a> = BoxStream<'a, Result<RecordedEvent, StoreError>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As a table whose positions come from a sequence: an append has its position long before others see it.
#[derive(Clone)]
struct Late {
    store: MemoryStore,
    /// Events that are not committed yet.
    hidden: Arc<Mutex<BTreeSet<Position>>>,
    allocating: Arc<AsyncMutex<()>>,
}

impl Late {
    /// Allocates positions. The events are hidden before another reader can look.
    async fn allocate(&self, append: Append) -> Result<(Appended, Vec<Position>), AppendError> {
        let _one_at_a_time = self.allocating.lock().await;
        let before = self.store.head().await?.0;
        let most = before + append.events().count() as u64;
        let positions: Vec<Position> = (before + 1..=most).map(Position).collect();
        locked(&self.hidden).extend(&positions);
        let result = self.store.append(append).await;
        if !result.as_ref().is_ok_and(|appended| !appended.repeated) {
            self.commit(&positions);
        }
        Ok((result?, positions))
    }

    fn commit(&self, positions: &[Position]) {
        let mut hidden = locked(&self.hidden);
        for position in positions {
            hidden.remove(position);
        }
    }
}

#[async_trait]
impl Wrap for Late {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (appended, positions) = self.allocate(append).await?;
        // Some transactions take longer than others.
        for _ in 0..positions.last().map_or(0, |last| last.0 % 5) * 20 {
            tokio::task::yield_now().await;
        }
        self.commit(&positions);
        Ok(appended)
    }

    fn read_log(&self, query: ReadLog) -> Events<'_> {
        let visible = |event: &RecordedEvent| future::ready(!locked(&self.hidden).contains(&event.position));
        Box::pin(self.store.read_log(query).try_filter(visible))
    }
}

pub(super) fn shows_late_commits_late() -> Box<dyn Fixture> {
    struct LateFixture(Late);

    #[async_trait]
    impl Fixture for LateFixture {
        fn capabilities(&self) -> &[Capability] {
            &[Capability::MultiStream, Capability::AnyPayload]
        }

        async fn open(&self, _: Arc<dyn Clock>) -> Arc<dyn EventStore> {
            Arc::new(Wrapped(Arc::new(self.0.clone())))
        }

        async fn begin(&self, work: Work<'_>) -> Option<Box<dyn Transaction>> {
            let Work::Append(append) = work else { return None };
            let (_, positions) = self.0.allocate(append.clone()).await.ok()?;
            Some(Box::new(Open(self.0.clone(), positions)))
        }
    }

    struct Open(Late, Vec<Position>);

    #[async_trait]
    impl Transaction for Open {
        async fn commit(self: Box<Self>) {
            self.0.commit(&self.1);
        }

        /// Hidden for ever is as good as gone.
        async fn roll_back(self: Box<Self>) {}
    }

    Box::new(LateFixture(Late {
        store: MemoryStore::new(),
        hidden: Arc::default(),
        allocating: Arc::default(),
    }))
}

pub(super) fn sets_the_clock_back() -> Box<dyn Fixture> {
    struct SetsTheClockBack {
        store: MemoryStore,
        clock: Arc<dyn Clock>,
        times: Arc<Mutex<HashMap<Position, Timestamp>>>,
    }

    #[async_trait]
    impl Wrap for SetsTheClockBack {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let now = self.clock.now();
            let appended = self.store.append(append).await?;
            for part in &appended.streams {
                locked(&self.times).insert(part.position, now);
            }
            Ok(appended)
        }

        fn read_log(&self, query: ReadLog) -> Events<'_> {
            Box::pin(self.store.read_log(query).map_ok(|mut event| {
                if let Some(time) = locked(&self.times).get(&event.position) {
                    event.recorded_at = *time;
                }
                event
            }))
        }
    }

    let times = Arc::default();
    faulty(move |store, clock| SetsTheClockBack {
        store,
        clock,
        times: Arc::clone(&times),
    })
}

pub(super) fn tells_the_time_of_the_process() -> Box<dyn Fixture> {
    struct TellsTheTimeOfTheProcess(MemoryStore);

    #[async_trait]
    impl Wrap for TellsTheTimeOfTheProcess {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn now(&self) -> Result<Timestamp, StoreError> {
            Ok(Timestamp::now())
        }
    }

    faulty(|store, _| TellsTheTimeOfTheProcess(store))
}

pub(super) fn tells_the_time_of_a_clock_that_goes_back() -> Box<dyn Fixture> {
    struct TellsTheTimeOfAClock(MemoryStore, Arc<dyn Clock>);

    #[async_trait]
    impl Wrap for TellsTheTimeOfAClock {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn now(&self) -> Result<Timestamp, StoreError> {
            Ok(self.1.now())
        }
    }

    faulty(TellsTheTimeOfAClock)
}

pub(super) fn interleaves_batches() -> Box<dyn Fixture> {
    struct InterleavesBatches(MemoryStore);

    #[async_trait]
    impl Wrap for InterleavesBatches {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let mut streams = Vec::new();
            let mut recorded_at = Timestamp::MIN;
            for mut part in append.streams {
                let events = part.events.len();
                let mut last = None;
                for event in part.events {
                    let single = Append::new(part.stream.clone(), part.expected, vec![event]);
                    let appended = self.0.append(single).await?;
                    recorded_at = appended.recorded_at;
                    last = appended.streams.into_iter().next();
                    part.expected = ExpectedVersion::Any;
                    tokio::task::yield_now().await;
                }
                streams.extend(last.map(|mut part| {
                    part.events = events;
                    part
                }));
            }
            Ok(Appended {
                id: append.id,
                repeated: false,
                recorded_at,
                streams,
            })
        }
    }

    faulty(|store, _| InterleavesBatches(store))
}

pub(super) fn ignores_filters() -> Box<dyn Fixture> {
    struct IgnoresFilters(MemoryStore);

    impl Wrap for IgnoresFilters {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn read_log(&self, mut query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
            query.only = None;
            self.0.read_log(query)
        }
    }

    faulty(|store, _| IgnoresFilters(store))
}
