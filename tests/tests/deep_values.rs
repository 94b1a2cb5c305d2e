//! Values that nest deeper than could be read back are refused, however deep they are: in a command, in an event, in metadata. The stack
//! of a worker thread, which is short, holds out.

#![allow(missing_docs, reason = "a test's own types")]

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::{AppendError, ExecuteError, LimitExceeded, Limits};
use es_sqlite::SqliteStore;
use es_tests::waits::becomes;
use serde_json::Value;

#[event]
pub struct Noted {
    pub text: Value,
}

#[command]
pub struct Note {
    pub text: Value,
}

#[derive(Clone, Aggregate)]
pub struct Notebook {
    pub text: Value,
}

#[aggregate]
impl Notebook {
    #[handle]
    fn note(cmd: Note) -> Noted {
        Noted { text: cmd.text }
    }

    #[apply]
    fn noted(event: Noted) -> Self {
        Notebook { text: event.text }
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// One more than may be, and as many as even an unoptimised build can drop.
const TOO_DEEP: [usize; 4] = [128, 1_000, 4_000, 12_000];

/// Runs on one worker thread with the stack that tokio gives it.
fn on_a_worker<F: Future<Output: Send + 'static> + Send + 'static>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(2 << 20)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(test).await.unwrap() })
}

#[track_caller]
fn too_deep<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, ExecuteError<E>>, of: &str) {
    let Err(ExecuteError::Append(AppendError::LimitExceeded(LimitExceeded { what, unit, limit, .. }))) = result else {
        panic!("{result:?}")
    };
    assert_eq!((unit, limit), ("levels", 127));
    assert!(what.contains(of), "{what}");
}

async fn is_refused_and_nothing_is_stored(runtime: Runtime) {
    for levels in TOO_DEEP {
        let id = Id::<Notebook>::new();
        let note = |levels| Note { text: nested(levels) };
        too_deep(runtime.execute(id, note(levels)).await, "note");
        too_deep(runtime.execute(id, note(levels)).idempotency_key("k").await, "note");
        let event = Noted { text: nested(levels) };
        too_deep(runtime.append(id, event).await, "noted");
        let result = runtime.atomically(async |tx| tx.execute(id, note(levels)).await).await;
        too_deep(result, "noted");

        let shallow = || note(1);
        too_deep(
            runtime.execute(id, shallow()).metadata("x", nested(levels)).await,
            "the metadata",
        );
        too_deep(
            runtime
                .append(id, Noted { text: Value::Null })
                .metadata("x", nested(levels))
                .await,
            "the metadata",
        );
        let result = runtime
            .atomically(async |tx| tx.execute(id, shallow()).await)
            .metadata("x", nested(levels))
            .await;
        too_deep(result, "the metadata");
        assert!(runtime.load(id).await.unwrap().is_none());
    }
    assert_eq!(runtime.store().head().await.unwrap(), 0);
}

/// A command and an event are an object around the value, metadata are two.
async fn at_the_limit_is_read_back(runtime: Runtime) {
    let id = Id::<Notebook>::new();
    let depth = Limits::default().payload_depth;
    runtime
        .execute(
            id,
            Note {
                text: nested(depth - 1),
            },
        )
        .idempotency_key("k")
        .metadata("x", nested(Limits::default().metadata_depth - 2))
        .await
        .unwrap();
    let mut history = runtime.history(id);
    let (recorded, notebook) = history.next().await.unwrap().unwrap();
    assert_eq!(notebook.text, nested(depth - 1));
    assert_eq!(recorded.metadata.get("x"), Some(&nested(depth - 2)));
}

#[test]
fn what_is_too_deep_is_refused_in_memory() {
    on_a_worker(async {
        let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
        is_refused_and_nothing_is_stored(runtime.clone()).await;
        at_the_limit_is_read_back(runtime).await;
    });
}

#[test]
fn what_is_too_deep_is_refused_on_sqlite() {
    on_a_worker(async {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("bank.db")).await.unwrap();
        let runtime = Runtime::builder(store).start().await.unwrap();
        is_refused_and_nothing_is_stored(runtime.clone()).await;
        at_the_limit_is_read_back(runtime).await;
    });
}

/// Keeps the text one level deeper than the event does.
#[projection(name = "notes")]
pub struct Notes {
    texts: Vec<Value>,
}

#[projection]
impl Notes {
    #[apply]
    fn noted(event: Noted) -> Self {
        Notes {
            texts: vec![event.text],
        }
    }
}

#[test]
fn a_row_that_is_too_deep_holds_its_projection() {
    on_a_worker(async {
        let builder = Runtime::builder(MemoryStore::new()).projection::<Notes>();
        let runtime = builder.start().await.unwrap();
        let text = nested(Limits::default().payload_depth - 1);
        runtime.append(Id::<Notebook>::new(), Noted { text }).await.unwrap();
        let health = becomes::<Notes>(&runtime, Status::Held).await;
        let failure = health.last_error.unwrap();
        assert_eq!(failure.position, Some(1.into()));
        assert!(failure.error.contains("127"), "{failure:?}");
    });
}
