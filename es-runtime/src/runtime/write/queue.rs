//! Writes that wait for others to the same instance: a task of their own decides and stores them, as many at a time as there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::instrument::WithSubscriber as _;

use super::attempt::{CHAIN, Instance};
use super::pending::{Answer, Stage, answered};
use super::{Pending, WriteError, WriteTo, receipt};
use crate::runtime::slot::{Slot, Turn};
use crate::runtime::{Receipt, Runtime};
use crate::store::Appended;
use crate::{EventSourced, ExecuteError, StreamId};

/// The time that a write waits for others that make no progress. A handler that hangs must not stop the others for ever, nor a
/// future that has its turn but is no longer polled: they go on without a turn, and the version check of the append keeps order.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for the answer to a write that is not alone.
pub(super) async fn wait<A: EventSourced>(
    runtime: &Runtime,
    slot: Arc<Slot>,
    write: Arc<WriteTo<A>>,
) -> Result<Receipt, WriteError> {
    let (pending, answer) = Pending::shared(&write);
    let mut waiting = Waiting { write, answer };
    if slot.push(&waiting.write.stream, pending, runtime.0.queue)? {
        let serving = serve::<A>(runtime.clone(), waiting.write.stream.clone(), Arc::clone(&slot));
        tokio::spawn(serving.with_current_subscriber());
    }
    loop {
        let steps = slot.steps();
        match tokio::time::timeout(PATIENCE, &mut waiting.answer).await {
            Ok(Ok(answer)) => return answered(answer),
            // The task has ended with its tokio runtime, or by a panic in the code of the aggregate.
            Ok(Err(_)) => break,
            Err(_) if slot.steps() == steps && waiting.write.withdraw() => break,
            Err(_) => {}
        }
    }
    waiting.help_yourself(runtime).await
}

struct Waiting<A: EventSourced> {
    write: Arc<WriteTo<A>>,
    answer: oneshot::Receiver<Answer>,
}

impl<A: EventSourced> Waiting<A> {
    /// Writes without a turn what no other task will.
    async fn help_yourself(&self, runtime: &Runtime) -> Result<Receipt, WriteError> {
        let sent = match &*self.write.stage() {
            Stage::Sent(append) => Some(append.clone()),
            Stage::Waiting | Stage::Withdrawn => None,
        };
        if let Some(append) = sent {
            match runtime.0.store.resolve(&append).await {
                Ok(Some(appended)) => {
                    return receipt(Appended {
                        repeated: false,
                        ..appended
                    });
                }
                Ok(None) => {}
                Err(source) => {
                    return Err(ExecuteError::Indeterminate {
                        append: Box::new(append),
                        keyed: self.write.key.is_some(),
                        source,
                    });
                }
            }
        }
        self.write.alone(runtime, Turn::none()).await
    }
}

impl<A: EventSourced> Drop for Waiting<A> {
    fn drop(&mut self) {
        // A caller that does not wait any longer wants nothing stored that is not on its way.
        self.write.withdraw();
    }
}

/// Decides and stores the writes that wait for their turn, until none is left.
async fn serve<A: EventSourced>(runtime: Runtime, stream: StreamId, slot: Arc<Slot>) {
    let mut serving = Serving::<A> {
        slot: &slot,
        writes: Vec::new(),
        is_done: false,
    };
    let turn = slot.turn(&runtime.0.cache).await;
    let mut instance = Instance::begin(&runtime, &stream, &turn);
    while slot.refill(&mut serving.writes, CHAIN) {
        instance.attempt(&mut serving.writes).await;
        serving.writes.retain_mut(|write| !write.tell());
        turn.step();
        // Those who were answered may have more to write: now, they would come too late for the next chain, and half of all would
        // always wait for the other half.
        tokio::task::yield_now().await;
        serving.writes.retain(|write| !write.is_withdrawn());
    }
    serving.is_done = true;
    instance.end(turn);
}

/// The writes that the task has taken.
struct Serving<'a, A: EventSourced> {
    slot: &'a Slot,
    writes: Vec<Pending<'static, A>>,
    is_done: bool,
}

impl<A: EventSourced> Drop for Serving<'_, A> {
    fn drop(&mut self) {
        if !self.is_done {
            self.slot.abandon::<A>();
        }
    }
}
