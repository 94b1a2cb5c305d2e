use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::*;
use crate::store::{Demand, Purge, SaveError, StateChange, StateKey};
use crate::{Metadata, StoreErrorKind, StreamId, Timestamp, Version};

/// A process with the lease. The one before has none any more, and may not know.
struct Process {
    log: AttemptLog,
    lease: Lease,
}

impl Process {
    async fn start(store: &MemoryStore, owner: &str) -> Self {
        Self::start_on(store, Arc::new(store.clone()), owner).await
    }

    /// Notes its attempts in `states`.
    async fn start_on(store: &MemoryStore, states: Arc<dyn StateStore>, owner: &str) -> Self {
        if let Some(state) = store.lease("reader").await.unwrap()
            && let Some(before) = state.owner
        {
            let (name, epoch) = ("reader".to_owned(), state.epoch);
            let owner = before;
            store.release(&Lease { name, owner, epoch }).await.unwrap();
        }
        let lease = store.acquire("reader", owner, Duration::from_secs(60)).await.unwrap();
        Self {
            log: AttemptLog::new(&(Arc::new(store.clone()) as _), Some(&states), "reader", ENDED),
            lease: lease.expect("nobody has it"),
        }
    }

    async fn begin(&mut self, position: u64) -> Attempt {
        self.log.begin(&event(position), false, &self.lease).await.unwrap()
    }

    async fn failed(&mut self, position: u64) -> u32 {
        self.log.failed(&event(position), &self.lease).await.unwrap()
    }

    async fn close(&mut self) {
        self.log.close(&self.lease).await.unwrap();
    }
}

fn event(position: u64) -> RecordedEvent {
    RecordedEvent {
        id: EventId(uuid::Uuid::from_u128(position.into())),
        stream: StreamId::new("account", "1"),
        version: Version(position),
        position: Position(position),
        name: "opened".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::default(),
        recorded_at: Timestamp::MIN,
    }
}

fn store() -> MemoryStore {
    MemoryStore::new()
}

/// The note, as any process reads it.
async fn noted(store: &MemoryStore) -> Option<Note> {
    let states: Arc<dyn StateStore> = Arc::new(store.clone());
    state_of(&states, "reader").get().await.unwrap().value
}

#[tokio::test]
async fn what_ends_processes_is_found_alone_and_not_tried_any_more() {
    let store = store();
    for owner in ["a", "b"] {
        // Ended by event 2, 3 or any other behind 1.
        assert_eq!(Process::start(&store, owner).await.begin(1).await, Attempt::Together);
    }
    let mut third = Process::start(&store, "c").await;
    assert_eq!(third.begin(1).await, Attempt::Alone);
    third.log.done(1);
    assert_eq!(third.begin(2).await, Attempt::Alone);
    for owner in ["d", "e"] {
        assert_eq!(Process::start(&store, owner).await.begin(2).await, Attempt::Alone);
    }
    let (ended, attempts) = (3, 3);
    for owner in ["f", "g"] {
        let mut next = Process::start(&store, owner).await;
        assert_eq!(next.begin(2).await, Attempt::GivenUp { ended, attempts });
        next.close().await;
    }
    let mut pardoning = Process::start(&store, "h").await;
    pardoning.log.pardon(Some(Position(2)));
    assert_eq!(pardoning.begin(2).await, Attempt::Alone);
    let (ended, attempts) = (4, 4);
    assert_eq!(
        Process::start(&store, "i").await.begin(2).await,
        Attempt::GivenUp { ended, attempts }
    );
}

#[tokio::test]
async fn behind_what_ended_processes_one_event_is_tried_after_the_other() {
    let store = store();
    for owner in ["a", "b"] {
        Process::start(&store, owner).await.begin(1).await;
    }
    let mut careful = Process::start(&store, "c").await;
    for position in 1..=FIRST as u64 {
        assert_eq!(careful.begin(position).await, Attempt::Alone);
        careful.log.done(1);
    }
    assert_eq!(careful.begin(FIRST as u64 + 1).await, Attempt::Together);
}

#[tokio::test]
async fn a_single_event_that_ends_processes_is_to_blame_at_once() {
    let store = store();
    for owner in ["a", "b", "c"] {
        let Process { mut log, lease } = Process::start(&store, owner).await;
        assert_eq!(log.begin(&event(1), true, &lease).await.unwrap(), Attempt::Alone);
    }
    let (ended, attempts) = (3, 3);
    assert_eq!(
        Process::start(&store, "d").await.begin(1).await,
        Attempt::GivenUp { ended, attempts }
    );
}

#[tokio::test]
async fn who_ends_in_good_order_or_lives_on_is_not_counted() {
    let store = store();
    for owner in ["a", "b", "c", "d", "e"] {
        let mut stopped = Process::start(&store, owner).await;
        assert_eq!(stopped.begin(1).await, Attempt::Together);
        stopped.close().await;
    }
    for _ in 0..5 {
        // It lost the lease, and got it again.
        assert_eq!(Process::start(&store, "f").await.begin(1).await, Attempt::Together);
    }
    for owner in ["g", "h", "i"] {
        Process::start(&store, owner).await.begin(1).await;
    }
    for owner in ["j", "k", "l", "m"] {
        let mut stopped = Process::start(&store, owner).await;
        assert_eq!(stopped.begin(1).await, Attempt::Alone);
        stopped.close().await;
    }
}

#[tokio::test]
async fn once_something_is_done_nothing_is_noted() {
    let store = store();
    let mut process = Process::start(&store, "a").await;
    process.begin(1).await;
    process.log.done(1);
    let first = noted(&store).await.map(|note| note.position);
    assert_eq!(first, Some(Position(1)));
    assert_eq!(process.begin(2).await, Attempt::Together);
    process.close().await;
    assert_eq!(noted(&store).await.map(|note| note.position), first);
}

#[tokio::test]
async fn attempts_that_fail_are_counted_beyond_the_end_of_a_process() {
    let store = store();
    let mut first = Process::start(&store, "a").await;
    first.begin(7).await;
    assert_eq!(first.failed(7).await, 1);
    first.begin(7).await;
    assert_eq!(first.failed(7).await, 2);
    first.close().await;
    let mut second = Process::start(&store, "b").await;
    assert_eq!(second.begin(7).await, Attempt::Alone);
    // Killed meanwhile, it has tried nevertheless.
    let mut third = Process::start(&store, "c").await;
    assert_eq!(third.begin(7).await, Attempt::Alone);
    assert_eq!(third.failed(7).await, 4);
    // Only those that end one after the other count.
    for owner in ["d", "e", "f"] {
        assert_eq!(Process::start(&store, owner).await.begin(7).await, Attempt::Alone);
    }
    let (ended, attempts) = (3, 7);
    assert_eq!(
        Process::start(&store, "g").await.begin(7).await,
        Attempt::GivenUp { ended, attempts }
    );
    assert_eq!(
        Process::start(&store, "h").await.begin(8).await,
        Attempt::Together,
        "another event"
    );
}

#[tokio::test]
async fn a_process_that_has_lost_its_lease_replaces_no_note_of_its_successor() {
    let store = store();
    let mut late = Process::start(&store, "late").await;
    assert_eq!(late.begin(1).await, Attempt::Together);
    let mut next = Process::start(&store, "next").await;
    assert_eq!(next.begin(1).await, Attempt::Together);
    let note = noted(&store).await;
    let lost = |answer: Result<_, CommitError>| matches!(answer, Err(CommitError::LeaseLost { .. }));
    assert!(lost(late.log.failed(&event(1), &late.lease).await.map(drop)));
    assert!(noted(&store).await == note);

    // It may know what it has written, or not.
    let mut late = Process::start(&store, "late").await;
    late.begin(2).await;
    let mut next = Process::start(&store, "next").await;
    next.begin(2).await;
    let note = noted(&store).await;
    late.log.is_in_doubt = true;
    store.release(&next.lease).await.unwrap();
    assert!(lost(late.log.close(&late.lease).await));
    assert!(noted(&store).await == note);
}

#[tokio::test]
async fn where_leases_begin_anew_notes_of_before_stand_in_nobodys_way() {
    let (notes, leases) = (store(), store());
    for owner in ["a", "b", "c"] {
        Process::start(&notes, owner).await.begin(1).await;
    }
    // The same notes, with leases that are kept in a new store from now on.
    let mut next = Process::start_on(&leases, Arc::new(notes.clone()), "d").await;
    assert_eq!(next.begin(1).await, Attempt::Alone);
    assert!(
        noted(&notes)
            .await
            .is_some_and(|note| note.is_written_under(&next.lease))
    );
}

#[tokio::test]
async fn without_a_store_of_states_a_process_knows_its_own_attempts_only() {
    let store = store();
    let mut process = Process::start(&store, "a").await;
    process.log = AttemptLog::new(&(Arc::new(store.clone()) as _), None, "reader", ENDED);
    assert_eq!(process.begin(7).await, Attempt::Together);
    assert_eq!(process.failed(7).await, 1);
    assert_eq!(process.begin(7).await, Attempt::Alone);
    assert_eq!(process.failed(7).await, 2);
    assert!(noted(&store).await.is_none());
}

/// The fate of a save.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Saved,
    Refused,
    AnswerLost,
    /// It fails, and is done later all the same.
    Late,
}

/// States whose saves go as they are told to.
struct Flaky {
    store: MemoryStore,
    outcome: Mutex<Outcome>,
    late: Mutex<Vec<Vec<StateChange>>>,
}

impl Flaky {
    fn tell(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// Does what is late.
    async fn land(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        for changes in late {
            drop(self.store.save(changes, Demand::Next).await);
        }
    }
}

#[async_trait]
impl StateStore for Flaky {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = || SaveError::Indeterminate(StoreError::new(StoreErrorKind::Unavailable, "the test wants it so"));
        match outcome {
            Outcome::Saved => self.store.save(changes, demand).await,
            Outcome::Refused => Err(failure()),
            Outcome::AnswerLost => self.store.save(changes, demand).await.and(Err(failure())),
            Outcome::Late => {
                self.late.lock().unwrap_or_else(PoisonError::into_inner).push(changes);
                Err(failure())
            }
        }
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.store.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        self.store.load(namespace)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.store.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.store.purge(purge).await
    }
}

/// A number below `below`, the next of a series.
fn pick(series: &mut u64, below: u64) -> u64 {
    *series = series
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*series >> 33) % below
}

/// The holder notes each attempt, whatever becomes of saves; and neither a late save nor a late process replaces that note, or brings
/// back one that was closed.
#[tokio::test]
async fn whatever_becomes_of_saves_what_is_tried_is_noted_and_nothing_else() {
    for history in 0..3_000 {
        let mut series = history;
        let store = store();
        let flaky = Arc::new(Flaky {
            store: store.clone(),
            outcome: Mutex::new(Outcome::Saved),
            late: Mutex::default(),
        });
        let start = async |number: usize| {
            let states = Arc::clone(&flaky) as Arc<dyn StateStore>;
            Process::start_on(&store, states, &format!("process {number}")).await
        };
        let (mut gone, mut closed) = (Vec::new(), Vec::new());
        let mut holder = start(0).await;
        for number in 1..15 {
            flaky.tell(match pick(&mut series, 6) {
                0 => Outcome::Refused,
                1 => Outcome::AnswerLost,
                2 => Outcome::Late,
                _ => Outcome::Saved,
            });
            let of = event(pick(&mut series, 2) + 1);
            let before = noted(&store).await;
            let is_own = before.as_ref().is_some_and(|note| note.is_written_under(&holder.lease));
            let is_fenced = is_own && !holder.log.is_in_doubt;
            let Process { log, lease } = &mut holder;
            match pick(&mut series, 7) {
                0 | 1 => {
                    let began = log.begin(&of, false, lease).await;
                    let now = noted(&store).await;
                    let is_noted = now.is_some_and(|note| note.names(&of) && note.is_tried_by(lease));
                    if matches!(began, Ok(Attempt::Together | Attempt::Alone)) {
                        assert!(is_noted, "history {history}, step {number}");
                    }
                    assert!(is_noted || !log.is_noted(lease), "history {history}, step {number}");
                }
                2 => drop(log.failed(&of, lease).await),
                3 => drop(log.clear(lease).await),
                4 => {
                    let has_closed = log.close(lease).await.is_ok();
                    let owner = lease.owner.clone();
                    let next = start(number).await;
                    let last = std::mem::replace(&mut holder, next);
                    if has_closed {
                        closed.push(owner);
                    } else {
                        gone.push(last);
                    }
                }
                5 if !gone.is_empty() => {
                    let index = pick(&mut series, gone.len() as u64);
                    let Process { log, lease } = &mut gone[usize::try_from(index).unwrap()];
                    match pick(&mut series, 3) {
                        0 => drop(log.begin(&of, false, lease).await),
                        1 => drop(log.failed(&of, lease).await),
                        _ => drop(log.close(lease).await),
                    }
                    assert!(
                        !is_fenced || noted(&store).await == before,
                        "history {history}, step {number}"
                    );
                }
                6 => {
                    flaky.land().await;
                    assert!(
                        !is_fenced || noted(&store).await == before,
                        "history {history}, step {number}"
                    );
                }
                _ => {
                    let next = start(number).await;
                    gone.push(std::mem::replace(&mut holder, next));
                }
            }
            let by = noted(&store).await.and_then(|note| note.by);
            assert!(
                by.is_none_or(|by| !closed.contains(&by)),
                "history {history}, step {number}"
            );
        }
    }
}
