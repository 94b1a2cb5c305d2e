//! The process managers of a builder, and their start.

use std::any::{Any, TypeId};
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::any::{Erased, Of};
use super::engine::{AT_ONCE, Engine, Item, read};
use super::index::Index;
use super::reactions::Reactions;
use super::timers;
use super::{Beginning, ProcessManager};
use crate::runtime::Runtime;
use crate::subscription::{Kind, Reading, SubscriptionError};

/// A process manager that a runtime is to run.
pub(crate) struct Plan {
    pub(crate) registered: Registered,
    /// The aggregates of which it hears, or to which it sends.
    pub(crate) aggregates: Vec<&'static str>,
    start: Box<Start>,
}

type Start = dyn FnOnce(&Runtime) -> BoxFuture<'_, Result<(), SubscriptionError>> + Send;

impl Plan {
    #[track_caller]
    pub(crate) fn of<P: ProcessManager>(beginning: Beginning) -> Self {
        let reactions = Arc::new(Reactions::<P>::of());
        Self {
            registered: Registered {
                name: P::NAME,
                any: Of::<P>::erased(),
                process: TypeId::of::<P>(),
                reactions: Arc::clone(&reactions) as Arc<dyn Any + Send + Sync>,
            },
            aggregates: reactions.categories().collect(),
            start: Box::new(move |runtime| Box::pin(run(runtime, reactions, beginning))),
        }
    }

    pub(crate) async fn start(self, runtime: &Runtime) -> Result<(), SubscriptionError> {
        (self.start)(runtime).await
    }
}

/// A process manager of a runtime.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) name: &'static str,
    pub(super) any: &'static dyn Erased,
    process: TypeId,
    reactions: Arc<dyn Any + Send + Sync>,
}

impl Registered {
    /// Returns what it reacts to, if it is `P`.
    pub(crate) fn reactions<P: ProcessManager>(&self) -> Option<Arc<Reactions<P>>> {
        let is_it = self.process == TypeId::of::<P>();
        is_it.then(|| Arc::clone(&self.reactions).downcast().ok())?
    }
}

async fn run<P: ProcessManager>(
    runtime: &Runtime,
    reactions: Arc<Reactions<P>>,
    beginning: Beginning,
) -> Result<(), SubscriptionError> {
    let engine = Arc::new(Engine {
        reactions: Arc::clone(&reactions),
        runtime: runtime.downgrade(),
        index: Index::new(P::NAME, runtime.all_states()),
    });
    let reader = Kind::Process.reader(P::NAME);
    let inputs = runtime.all_states().map(|states| reactions.inputs(&states, &reader));
    let timing = Arc::clone(&engine);
    let reading = Reading::new(reactions.filter(), move |event| read(&reactions, &event));
    let handled = runtime
        .follow(Kind::Process, P::NAME.to_owned(), reading, Some(beginning))
        .handle(move |item: Item<P>| {
            let engine = Arc::clone(&engine);
            async move { engine.handle(&item).await }
        });
    handled
        .by(|item| item.key.clone())
        .at_once(AT_ONCE)
        .park()
        .hearing(inputs)
        .start_beside(move |standing| Box::pin(timers::run(timing, standing)))
        .await?;
    Ok(())
}
