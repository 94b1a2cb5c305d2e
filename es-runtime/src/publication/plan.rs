//! What a builder knows of its publications, and how they are started.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::publishes::By;
use super::{Beginning, Outgoing, Publication, Publishes, Sink, SinkError, SinkErrorKind};
use crate::projection::OnFailure;
use crate::runtime::{Runtime, StartError};
use crate::subscription::{Halt, Kind, Reading, Stopped};

/// A publication that a runtime is to run.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    start: Box<Start>,
}

type Start = dyn FnOnce(&Runtime) -> BoxFuture<'_, Result<(), StartError>> + Send;

impl Plan {
    #[track_caller]
    pub(crate) fn of<P: Publication>(sink: Arc<dyn Sink>, beginning: Beginning) -> Self {
        let list = Publishes::of::<P>();
        Self {
            name: P::NAME,
            version: P::VERSION,
            start: Box::new(move |runtime| Box::pin(run::<P>(runtime, list, sink, beginning))),
        }
    }

    /// The name of its cursor.
    pub(crate) fn cursor(&self) -> String {
        cursor(self.name, self.version)
    }

    pub(crate) async fn start(self, runtime: &Runtime) -> Result<(), StartError> {
        (self.start)(runtime).await
    }
}

/// The name by which the cursor of a publication is known among those of publications.
pub(crate) fn cursor_of<P: Publication>() -> String {
    cursor(P::NAME, P::VERSION)
}

fn cursor(name: &str, version: u32) -> String {
    format!("{name}@{version}")
}

/// Publishes what a handler of batches is given, one batch after the other.
async fn run<P: Publication>(
    runtime: &Runtime,
    list: Publishes,
    sink: Arc<dyn Sink>,
    beginning: Beginning,
) -> Result<(), StartError> {
    let checked = sink.check(P::TOPIC).await;
    checked.map_err(|source| StartError::Sink {
        publication: P::NAME,
        topic: P::TOPIC,
        source,
    })?;
    let cursor = cursor_of::<P>();
    let states = runtime.all_states();
    let inputs = states.map(|states| list.inputs(&states, &Kind::Publication.reader(&cursor)));
    let by = By {
        publication: cursor.as_str().into(),
        source: P::SOURCE,
    };
    let reading = Reading::new(list.filter(), move |event| list.read(&event, &by));
    let handled = runtime
        .follow(Kind::Publication, cursor, reading, Some(beginning))
        .handle_many(move |messages: Vec<Outgoing>| {
            let sink = Arc::clone(&sink);
            async move { sink.publish(P::TOPIC, &messages).await.map_err(stopped) }
        })
        .by(|message| message.key.clone())
        .hearing(inputs);
    let handled = match P::ON_FAILURE {
        OnFailure::Hold => handled,
        OnFailure::Park => handled.park(),
        OnFailure::ParkAlone => handled.park_alone(),
    };
    let started = handled.start().await;
    started.map(drop).map_err(|source| StartError::Publication {
        publication: P::NAME,
        source,
    })
}

fn stopped(error: SinkError) -> Stopped {
    let SinkError { done, kind, source } = error;
    let halt = match kind {
        SinkErrorKind::Retry => Halt::Later(source),
        SinkErrorKind::Rejected => Halt::Never(crate::error::chain(&*source)),
    };
    Stopped {
        done,
        error: halt.into(),
    }
}
