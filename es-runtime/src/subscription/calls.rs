use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};

use super::SubscriptionError;
use crate::Position;
use crate::consumer::Tenure;
use crate::projection::stopped;

/// What comes from outside to the task of a handler.
pub(crate) struct Calls {
    /// Becomes true when it is to stop, or its sender is dropped.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) orders: mpsc::Receiver<Order>,
}

/// Tells the task of a handler what to do.
pub(crate) struct Order {
    pub(crate) what: What,
    pub(crate) reply: oneshot::Sender<Result<(), SubscriptionError>>,
}

pub(crate) enum What {
    /// Try the held or parked event again.
    Retry(Position),
    /// Give the held or parked event up.
    Skip(Position, String),
}

pub(crate) enum Call {
    Stop,
    Lost,
    Order(Order),
}

impl Calls {
    /// Does something that may be cut off, until it is done or something comes from outside, which goes first.
    pub(crate) async fn or<T>(&mut self, tenure: Option<&Tenure>, work: impl Future<Output = T>) -> Result<T, Call> {
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
        match select(select(select(stopped, lost), order), pin!(work)).await {
            Either::Left((Either::Left((Either::Left(_), _)), _)) => Err(Call::Stop),
            Either::Left((Either::Left((Either::Right(_), _)), _)) => Err(Call::Lost),
            Either::Left((Either::Right((order, _)), _)) => Err(Call::Order(order)),
            Either::Right((done, _)) => Ok(done),
        }
    }
}

impl Order {
    /// Answers it. Nobody need wait for the answer any more.
    pub(crate) fn reply(self, answer: Result<(), SubscriptionError>) {
        drop(self.reply.send(answer));
    }
}
