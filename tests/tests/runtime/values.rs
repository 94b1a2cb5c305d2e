//! What is written is what is read: a value that would come back as another, or not at all, is refused before anything is stored.

#[path = "values/domain.rs"]
mod domain;
#[path = "values/random.rs"]
mod random;

use domain::*;
use es_runtime::prelude::*;
use es_runtime::{EncodeError, EventOf as _, ExecuteError, MemoryStore, Stored};

/// An event of each kind that cannot be read back, with the field that the message names.
fn refused() -> Vec<(LogEvent, &'static str)> {
    let seats = [(1, "window".to_owned())].into();
    let grid = Layout::Grid { seats };
    let full = Ref::Full {
        id: 1,
        name: "one".to_owned(),
    };
    let filed = |limit, layout: Option<&Layout>, refs: &[Ref]| {
        let limits = vec![Some(Some(1)), limit];
        let (case, layout, refs) = (Case { limits }, layout.cloned(), refs.to_vec());
        Filed { case, layout, refs }.into_event()
    };
    let secret = "secret".to_owned();
    vec![
        (Tagged { layout: grid.clone() }.into_event(), "`layout`"),
        (Note { tags: Vec::new() }.into_event(), "`tags`"),
        (Cut { secret }.into_event(), "`secret`"),
        (PriceSet { limit: Some(None) }.into_event(), "`limit`"),
        (Referred { to: full.clone() }.into_event(), "`to`"),
        (filed(Some(None), None, &[]), "`case.limits`"),
        (filed(None, Some(&grid), &[]), "`layout`"),
        (filed(None, None, &[Ref::Any { id: 1 }, full]), "`refs`"),
        (nested(|nested| nested.limit = Some(Limit(None))), "`limit`"),
        (nested(|nested| nested.mark = Some(Marker)), "`mark`"),
        (nested(|nested| nested.unit = Some(())), "`unit`"),
        (nested(|nested| nested.pair.right = Some(None)), "`pair.right`"),
    ]
}

fn nested(change: impl FnOnce(&mut Nested)) -> LogEvent {
    let pair = Pair {
        left: None,
        right: None,
    };
    let mut nested = Nested {
        limit: None,
        mark: None,
        unit: None,
        pair,
    };
    change(&mut nested);
    nested.into_event()
}

async fn start() -> (MemoryStore, Runtime) {
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    (store, runtime)
}

/// The refusal says which event and which field.
#[track_caller]
fn says_why<T, R: std::fmt::Debug>(result: Result<T, ExecuteError<R>>, field: &str) {
    match result.map(drop) {
        Err(ExecuteError::Encode(error @ EncodeError::Value { .. })) => {
            let text = error.to_string();
            assert!(
                text.contains("cannot be stored: ") && text.contains(field),
                "{field}: {text}"
            );
        }
        other => panic!("it was to be refused because of {field}: {other:?}"),
    }
}

#[tokio::test]
async fn what_would_not_come_back_is_refused_before_it_is_stored() {
    let (_, runtime) = start().await;
    let log = Id::new();
    runtime.execute(log, Begin {}).await.unwrap();
    for (event, field) in refused() {
        let shown = format!("{event:?}");
        says_why(runtime.append(log, event.clone()).await, field);
        let fine = Priced {
            price: Price::default(),
        };
        says_why(
            runtime
                .append(log, vec![fine.into_event(), event])
                .idempotency_key("key")
                .await,
            field,
        );
        let loaded = runtime.load(log).await.unwrap().unwrap();
        assert_eq!(loaded.version.0, 1, "{shown}");
        assert!(loaded.folded.is_empty(), "{shown}");
    }
}

#[tokio::test]
async fn commands_transactions_and_dry_runs_refuse_alike() {
    let (_, runtime) = start().await;
    let log = Id::new();
    runtime.execute(log, Begin {}).await.unwrap();
    let limit = || Write {
        event: Written::Limit(None),
    };
    says_why(runtime.execute(log, limit()).await, "`limit`");
    says_why(runtime.dry_run(log, limit()).await, "`limit`");
    let other = Id::new();
    let both = runtime.atomically(async |tx| {
        tx.execute(other, Begin {}).await?;
        tx.execute(log, limit()).await
    });
    says_why(both.await, "`limit`");
    assert!(runtime.load(other).await.unwrap().is_none());
    let secret = || Write {
        event: Written::Cut("secret".to_owned()),
    };
    says_why(runtime.execute(log, secret()).await, "`secret`");
    says_why(runtime.dry_run(log, secret()).await, "`secret`");
}

#[test]
#[should_panic(expected = "event `price_set` comes back from a store as another value")]
fn a_test_of_the_domain_finds_what_comes_back_as_another_value() {
    let event = Written::Limit(None);
    let _ = Log::given(Begun {}).when(Write { event });
}

#[test]
#[should_panic(expected = "`cut` cannot be stored: it could not be read again (missing field `secret`")]
fn a_test_of_the_domain_finds_what_cannot_be_read_again() {
    let event = Written::Cut("secret".to_owned());
    let _ = Log::given(Begun {}).when(Write { event });
}

#[test]
fn shapes_that_always_come_back_are_known() {
    assert!(Begun::is_plain() && Ordered::is_plain());
    for is_plain in [
        Tagged::is_plain(),
        Note::is_plain(),
        Cut::is_plain(),
        PriceSet::is_plain(),
        Referred::is_plain(),
        Filed::is_plain(),
        Priced::is_plain(),
        Measured::is_plain(),
        Nested::is_plain(),
    ] {
        assert!(!is_plain);
    }
}

/// A second runtime on the store reads what the first has folded, and nothing else.
async fn folds_alike(store: &MemoryStore, runtime: &Runtime, log: Id<Log>) {
    let first = runtime.load(log).await.unwrap().unwrap();
    let second = Runtime::builder(store.clone()).start().await.unwrap();
    let second = second.load(log).await.unwrap().unwrap();
    assert_eq!((second.version, &second.folded), (first.version, &first.folded));
    assert_eq!(second.ordered, first.ordered);
}

#[tokio::test]
async fn what_compares_as_equal_is_folded_as_it_is_read() {
    let (store, runtime) = start().await;
    let log = Id::new();
    runtime.execute(log, Begin {}).await.unwrap();
    let event = Written::Price(17);
    runtime.execute(log, Write { event }).await.unwrap();
    let stored = ["Priced { price: Price { amount: 17, rounded: 0 } }"];
    assert_eq!(runtime.load(log).await.unwrap().unwrap().folded, stored);
    folds_alike(&store, &runtime, log).await;
    let event = Written::Price(23);
    let foreseen = runtime.dry_run(log, Write { event: event.clone() }).await.unwrap();
    assert_eq!(
        format!("{foreseen:?}"),
        "[Priced(Priced { price: Price { amount: 23, rounded: 0 } })]"
    );
    let atomically = runtime.atomically(async |tx| tx.execute(log, Write { event: event.clone() }).await);
    atomically.await.unwrap();
    folds_alike(&store, &runtime, log).await;
}

#[tokio::test]
async fn what_is_not_equal_to_itself_is_stored_if_it_comes_back() {
    let (store, runtime) = start().await;
    let log = Id::new();
    runtime.execute(log, Begin {}).await.unwrap();
    for value in [f64::NAN, f64::NEG_INFINITY, -0.0, 0.1] {
        runtime.append(log, Measured { value, unit: None }).await.unwrap();
    }
    folds_alike(&store, &runtime, log).await;
    let value = f64::NAN;
    let unit = Some("kg".to_owned());
    says_why(runtime.append(log, Measured { value, unit }).await, "`unit`");
    let _ = Log::given((Begun {}, Measured { value, unit: None }));
}
