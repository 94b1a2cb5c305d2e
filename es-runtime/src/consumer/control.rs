//! Orders from outside to the task of a reader.

use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};

use super::lease::Tenure;

/// Tells the task of a reader what to do.
pub(crate) struct Order<W, E> {
    pub(crate) what: W,
    reply: oneshot::Sender<Result<(), E>>,
}

impl<W, E> Order<W, E> {
    /// Has the task at the other end do it. `None` if the task has ended.
    pub(crate) async fn give(orders: &mpsc::Sender<Self>, what: W) -> Option<Result<(), E>> {
        let (reply, answer) = oneshot::channel();
        orders.send(Self { what, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Answers it. Nobody need wait for the answer any more.
    pub(crate) fn reply(self, answer: Result<(), E>) {
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
