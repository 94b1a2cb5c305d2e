//! Orders from outside to the task of a reader.

use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};

use super::lease::Tenure;
use crate::projection::ApplyError;
use crate::store::CheckpointError;
use crate::{Position, StoreError};

/// Why a projection, or a subscription with a handler, did not carry out an order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another process runs it: tell that one, or stop it first.
    #[error("`{reader}` runs in another process: tell that one, or stop it first")]
    Elsewhere {
        /// The name of the projection or subscription.
        reader: String,
    },
    /// This runtime runs the version that was to be dropped.
    #[error(
        "version {version} of projection `{projection}` is one of this runtime's: drop versions that no build uses any more"
    )]
    InUse {
        /// The projection's name.
        projection: &'static str,
        /// The version given.
        version: u32,
    },
    /// It is not stopped at the event, and has not parked it.
    #[error("`{reader}` neither holds nor has parked an event at position {position}")]
    NotParked {
        /// The name of the projection or subscription.
        reader: String,
        /// The position given.
        position: Position,
    },
    /// The event failed again; it stays held or parked.
    #[error("the event failed again")]
    Failed(#[source] ApplyError),
    /// Another parked event comes first: retry or skip that one.
    #[error(
        "the event at position {position} stands behind position {first}, which `{reader}` has parked: retry or skip that one first"
    )]
    Behind {
        /// The name of the projection or subscription.
        reader: String,
        /// The position given.
        position: Position,
        /// The first event that it waits for.
        first: Position,
    },
    /// No rebuild beside the rows that are shown is under way.
    #[error("no rebuild of projection `{projection}` is under way")]
    NotRebuilding {
        /// The projection's name.
        projection: &'static str,
    },
    /// A projection of several [segments](mod@crate::projection#segments) is not rebuilt in place, as no process runs all of it: raise its
    /// version, and it is built anew beside.
    #[error(
        "projection `{projection}` has {segments} segments, and is not rebuilt in place: raise its version, and it is built anew beside"
    )]
    Segmented {
        /// The projection's name.
        projection: &'static str,
        /// The number.
        segments: u32,
    },
    /// The runtime has been shut down.
    #[error("the runtime has been shut down")]
    ShutDown,
    /// The checkpoint cannot be trusted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells the task of a reader what to do.
pub(crate) struct Order<W> {
    pub(crate) what: W,
    reply: oneshot::Sender<Result<(), ControlError>>,
}

impl<W> Order<W> {
    /// Has the task at the other end do it. `None` if the task has ended.
    pub(crate) async fn give(orders: &mpsc::Sender<Self>, what: W) -> Option<Result<(), ControlError>> {
        let (reply, answer) = oneshot::channel();
        orders.send(Self { what, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Answers it. Nobody need wait for the answer any more.
    pub(crate) fn reply(self, answer: Result<(), ControlError>) {
        drop(self.reply.send(answer));
    }
}

/// Where it comes in.
pub(crate) struct Calls<O> {
    /// Becomes true when the task is to stop, or its sender is dropped.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) orders: mpsc::Receiver<O>,
}

pub(crate) enum Call<O> {
    Stop,
    /// Another owner has the lease.
    Lost,
    Order(O),
}

impl<O> Calls<O> {
    /// Waits for what comes. Cancel safe.
    pub(crate) async fn next(&mut self, tenure: Option<&Tenure>) -> Call<O> {
        let Self { stop, orders } = self;
        let stopped = pin!(stopped(stop));
        let lost = pin!(async {
            match tenure {
                Some(tenure) => tenure.lost().await,
                None => pending().await,
            }
        });
        let order = pin!(async {
            match orders.recv().await {
                Some(order) => order,
                // Nobody is left to give one.
                None => pending().await,
            }
        });
        match select(select(stopped, lost), order).await {
            Either::Left((Either::Left(_), _)) => Call::Stop,
            Either::Left((Either::Right(_), _)) => Call::Lost,
            Either::Right((order, _)) => Call::Order(order),
        }
    }

    /// Does something that may be cut off, until it is done or something comes from outside, which goes first.
    pub(crate) async fn or<T>(&mut self, tenure: Option<&Tenure>, work: impl Future<Output = T>) -> Result<T, Call<O>> {
        match select(pin!(self.next(tenure)), pin!(work)).await {
            Either::Left((call, _)) => Err(call),
            Either::Right((done, _)) => Ok(done),
        }
    }
}

/// Waits until the task is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the runtime is gone.
    drop(stop.wait_for(|stop| *stop).await);
}
