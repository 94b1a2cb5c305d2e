use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;

use super::Standing;
use crate::consumer::text_of;
use crate::error::chain;
use crate::projection::ApplyError;
use crate::{Error, Position, metrics};

/// Why the handler of a batch has stopped: [`Subscribe::handle_many`](crate::runtime::Subscribe::handle_many).
#[derive(Debug)]
pub struct Stopped {
    /// The number of events of the batch that are done, from the first on. The next one is to blame.
    pub done: usize,
    /// The last failure of a projection or a subscription.
    pub error: Error,
}

/// Each event is a call of the handler.
#[derive(Debug)]
pub enum OneByOne {}

/// Many events are one call of the handler.
#[derive(Debug)]
pub enum InBatches {}

/// Why an adapter of a handler cannot take an event, and whether that may change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The same may go well later: it is tried for ever.
    #[error(transparent)]
    Later(Box<dyn std::error::Error + Send + Sync>),
    /// It fails again with this build.
    #[error("{0}")]
    Never(String),
}

impl Halt {
    pub(crate) fn never(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Never(chain(error))
    }
}

/// The user's handler of events.
pub(crate) enum Work<T> {
    Each(Arc<CallEach<T>>),
    Many(Arc<CallMany<T>>),
}

pub(crate) type CallEach<T> = dyn Fn(T) -> BoxFuture<'static, Result<(), Error>> + Send + Sync;
pub(crate) type CallMany<T> = dyn Fn(Vec<T>) -> BoxFuture<'static, Result<(), Stopped>> + Send + Sync;

/// The outcome of a call.
pub(super) struct Ended {
    pub(super) done: Vec<Position>,
    pub(super) failed: Option<(Position, Failed)>,
    /// Those that come again: they were not tried, or nobody can tell.
    pub(super) left: Vec<Position>,
    /// True if a call with fewer events will tell which one is to blame.
    pub(super) divides: bool,
}

/// A failed attempt.
pub(super) struct Failed {
    pub(super) error: ApplyError,
    /// True if another attempt by this build would fail like it.
    pub(super) for_good: bool,
    /// False if the event is not to blame: it is tried until it succeeds.
    pub(super) counts: bool,
}

impl Failed {
    /// The failure that a handler has returned. An adapter says whether it is worth another attempt.
    fn of(error: &Error) -> Self {
        let text = chain(error.as_std());
        match error.downcast_ref::<Halt>() {
            None => Self::once(text),
            Some(Halt::Never(_)) => Self::for_good(text),
            Some(Halt::Later(_)) => Self {
                counts: false,
                ..Self::once(text)
            },
        }
    }

    pub(super) fn once(error: String) -> Self {
        Self {
            error: ApplyError::NotHandled(error),
            for_good: false,
            counts: true,
        }
    }

    pub(super) fn for_good(error: String) -> Self {
        Self {
            for_good: true,
            ..Self::once(error)
        }
    }

    /// Returns the error for somebody else too.
    pub(super) fn copied(&self) -> ApplyError {
        ApplyError::NotHandled(match &self.error {
            ApplyError::NotHandled(error) => error.clone(),
            error => chain(error),
        })
    }

    /// So many processes ended while they tried the event.
    pub(super) fn ended(times: u32) -> Self {
        Self {
            error: ApplyError::Ended { times },
            for_good: true,
            counts: true,
        }
    }
}

impl<T: Send + 'static> Work<T> {
    /// Calls the handler for these events, each with what it is read as.
    pub(super) fn call(&self, events: Vec<(Position, Vec<T>)>, standing: &Arc<Standing>) -> BoxFuture<'static, Ended> {
        let standing = Arc::clone(standing);
        match self {
            Self::Each(call) => {
                let call = Arc::clone(call);
                Box::pin(async move {
                    let mut ended = Ended::of(Vec::new());
                    for (position, items) in events {
                        match each(&*call, items, &standing).await {
                            _ if ended.failed.is_some() => ended.left.push(position),
                            Ok(()) => ended.done.push(position),
                            Err(failed) => ended.failed = Some((position, failed)),
                        }
                    }
                    ended
                })
            }
            Self::Many(call) => {
                let call = Arc::clone(call);
                Box::pin(async move { many(&*call, events, &standing).await })
            }
        }
    }
}

async fn each<T>(call: &CallEach<T>, items: Vec<T>, standing: &Standing) -> Result<(), Failed> {
    for item in items {
        let timer = metrics::Timer::start();
        let handled = AssertUnwindSafe(async { call(item).await }).catch_unwind().await;
        standing.metrics.worked(timer);
        match handled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failed::of(&error)),
            Err(panic) => return Err(panicked(&*panic, standing)),
        }
    }
    Ok(())
}

async fn many<T>(call: &CallMany<T>, events: Vec<(Position, Vec<T>)>, standing: &Standing) -> Ended {
    let mut ends = Vec::with_capacity(events.len());
    let mut items = Vec::with_capacity(events.len());
    for (position, read) in events {
        items.extend(read);
        ends.push((position, items.len()));
    }
    let timer = metrics::Timer::start();
    let handled = AssertUnwindSafe(async { call(items).await }).catch_unwind().await;
    standing.metrics.worked(timer);
    let (done, failed) = match handled {
        Ok(Ok(())) => return Ended::of(ends.into_iter().map(|(position, _)| position).collect()),
        Ok(Err(Stopped { done, error })) => (done, Failed::of(&error)),
        Err(panic) => {
            let failed = panicked(&*panic, standing);
            if ends.len() > 1 {
                let left = ends.into_iter().map(|(position, _)| position).collect();
                return Ended {
                    left,
                    divides: true,
                    ..Ended::of(Vec::new())
                };
            }
            (0, failed)
        }
    };
    // Something went wrong, so that at least the last one is not done.
    let of_done = ends.iter().take_while(|(_, end)| *end <= done).count();
    let blamed = of_done.min(ends.len().saturating_sub(1));
    let positions = |ends: &[(Position, usize)]| ends.iter().map(|(position, _)| *position).collect();
    Ended {
        failed: ends.get(blamed).map(|(position, _)| (*position, failed)),
        left: ends.get(blamed + 1..).map(positions).unwrap_or_default(),
        ..Ended::of(positions(&ends[..blamed]))
    }
}

fn panicked(panic: &(dyn std::any::Any + Send), standing: &Standing) -> Failed {
    standing.metrics.panicked();
    Failed::once(format!("the handler panicked: {}", text_of(panic)))
}

impl Ended {
    pub(super) fn failed(position: Position, failed: Failed) -> Self {
        Self {
            failed: Some((position, failed)),
            ..Self::of(Vec::new())
        }
    }

    pub(super) fn of(done: Vec<Position>) -> Self {
        Self {
            done,
            failed: None,
            left: Vec::new(),
            divides: false,
        }
    }
}
