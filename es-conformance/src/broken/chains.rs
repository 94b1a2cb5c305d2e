//! Faults in appends of which each rests on the one before.

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, has_ended};
use es_runtime::{EventStore, ExpectedVersion, MemoryStore};

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

type Answers = Vec<Result<Appended, AppendError>>;

/// Does all appends but those behind one of which `ends` says so, and answers as if it had ended where it should.
async fn chained(
    store: &MemoryStore,
    appends: Vec<Append>,
    ends: fn(&Result<Appended, AppendError>) -> bool,
) -> Answers {
    let mut answers = Answers::new();
    for append in appends {
        let answer = store.append(append).await;
        let is_end = ends(&answer);
        if !has_ended(&answers) {
            answers.push(answer);
        }
        if is_end {
            break;
        }
    }
    answers
}

pub(super) fn goes_on_behind_a_failure() -> Box<dyn Fixture> {
    struct GoesOn(MemoryStore);

    #[async_trait]
    impl Wrap for GoesOn {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append_chain(&self, appends: Vec<Append>) -> Answers {
            chained(&self.0, appends, |answer| {
                answer.as_ref().is_ok_and(|appended| appended.repeated)
            })
            .await
        }
    }

    faulty(|store, _| GoesOn(store))
}

pub(super) fn goes_on_behind_a_repetition() -> Box<dyn Fixture> {
    struct GoesOn(MemoryStore);

    #[async_trait]
    impl Wrap for GoesOn {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append_chain(&self, appends: Vec<Append>) -> Answers {
            chained(&self.0, appends, Result::is_err).await
        }
    }

    faulty(|store, _| GoesOn(store))
}

pub(super) fn splits_chains() -> Box<dyn Fixture> {
    const AT_ONCE: usize = 512;
    struct SplitsChains(MemoryStore);

    #[async_trait]
    impl Wrap for SplitsChains {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append_chain(&self, appends: Vec<Append>) -> Answers {
            let mut answers = Answers::new();
            for part in appends.chunks(AT_ONCE) {
                let of_part = self.0.append_chain(part.to_vec()).await;
                if !has_ended(&answers) {
                    answers.extend(of_part);
                }
            }
            answers
        }
    }

    faulty(|store, _| SplitsChains(store))
}

pub(super) fn tears_dropped_chains() -> Box<dyn Fixture> {
    struct TearsDroppedChains(MemoryStore);

    #[async_trait]
    impl Wrap for TearsDroppedChains {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append_chain(&self, appends: Vec<Append>) -> Answers {
            let mut answers = Answers::new();
            for mut append in appends {
                let stream = append.streams[0].stream.clone();
                let events = &mut append.streams[0].events;
                let rest = events.split_off(events.len().min(1));
                let mut answer = self.0.append(append).await;
                // A caller that is gone by now leaves a part of the append.
                tokio::task::yield_now().await;
                if let (Ok(appended), false) = (&mut answer, rest.is_empty()) {
                    let next = Append::new(stream, ExpectedVersion::Any, rest);
                    match self.0.append(next).await {
                        Ok(next) => appended.streams.clone_from(&next.streams),
                        Err(error) => answer = Err(error),
                    }
                }
                answers.push(answer);
                if has_ended(&answers) {
                    break;
                }
            }
            answers
        }
    }

    faulty(|store, _| TearsDroppedChains(store))
}
