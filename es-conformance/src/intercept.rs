use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, StreamAppend};
use es_runtime::{EventStore, ExpectedVersion, NewEvent, StoreError, StoreErrorKind, StreamId};

use crate::subject::Store;
use crate::wrap::{Wrap, Wrapped};

/// An action on an append on its way to the store.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Another writer appends this to the same stream just before.
    Precede(NewEvent),
    /// It is stored, but the answer is lost.
    CutAfterCommit,
    /// It is lost on the way, and the sender cannot tell.
    CutBeforeCommit,
    /// The store fails.
    Fail(StoreErrorKind),
    /// It never comes to an end.
    Hang,
}

/// Stands in front of the store under test, interferes as planned, and keeps what it was asked.
pub(crate) struct Intercept {
    store: Store,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plan: VecDeque<Act>,
    failing_resolves: u32,
    appends: Vec<Append>,
}

impl Intercept {
    /// The first appends meet these acts, one each; later ones are passed on.
    pub(crate) fn planned(store: &Store, plan: impl IntoIterator<Item = Act>) -> Wrapped<Self> {
        let state = State {
            plan: plan.into_iter().collect(),
            ..State::default()
        };
        Wrapped(Arc::new(Self {
            store: store.clone(),
            state: Mutex::new(state),
        }))
    }

    /// So many calls of `resolve` fail from now on.
    pub(crate) fn fail_resolves(&self, calls: u32) {
        self.state().failing_resolves = calls;
    }

    /// The appends that it was asked for, in order.
    pub(crate) fn appends(&self) -> Vec<Append> {
        self.state().appends.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, append: &Append) -> Option<Act> {
        let mut state = self.state();
        state.appends.push(append.clone());
        state.plan.pop_front()
    }

    async fn precede(&self, stream: &StreamId, event: NewEvent) -> Result<(), AppendError> {
        let append = Append::new(stream.clone(), ExpectedVersion::Any, vec![event]);
        self.store.append(append).await.map(drop)
    }
}

fn cut(append: &Append) -> AppendError {
    AppendError::Indeterminate {
        append: Box::new(AppendRef::of(append)),
        source: StoreError::new(StoreErrorKind::Unavailable, "the connection was cut"),
    }
}

#[async_trait]
impl Wrap for Intercept {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        match self.next(&append) {
            None => self.store.append(append).await,
            Some(Act::Precede(event)) => {
                if let Some(StreamAppend { stream, .. }) = append.streams.first() {
                    self.precede(stream, event).await?;
                }
                self.store.append(append).await
            }
            Some(Act::CutAfterCommit) => {
                self.store.append(append.clone()).await?;
                Err(cut(&append))
            }
            Some(Act::CutBeforeCommit) => Err(cut(&append)),
            Some(Act::Fail(kind)) => Err(StoreError::new(kind, "the store fails as planned").into()),
            Some(Act::Hang) => std::future::pending().await,
        }
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        {
            let mut state = self.state();
            if state.failing_resolves > 0 {
                state.failing_resolves -= 1;
                return Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "the store fails as planned",
                ));
            }
        }
        self.store.resolve(append).await
    }
}
