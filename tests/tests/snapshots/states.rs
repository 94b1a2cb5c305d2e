//! States that have no stored form which is read as the same state.

use std::collections::{HashMap, HashSet};
use std::error::Error as _;

use es_runtime::prelude::*;
use es_runtime::runtime::SnapshotError;

use crate::support::{health, until};

/// An aggregate with this state, of which each command and each event adds one to `n`.
macro_rules! counting {
    ($module:ident { $(#[$attribute:meta])* $field:ident: $type:ty = $first:expr }) => {
        mod $module {
            use es_runtime::prelude::*;

            #[allow(unused_imports)]
            use super::*;

            #[event]
            pub(crate) struct Counted;

            #[command]
            pub(crate) struct Count;

            #[value]
            #[derive(Aggregate)]
            #[es(snapshot(every = 1))]
            pub(crate) struct Counter {
                pub(crate) n: u64,
                $(#[$attribute])*
                pub(crate) $field: $type,
            }

            #[aggregate(vis = pub(crate))]
            impl Counter {
                #[handle]
                fn count(_: Option<&Self>, _: Count) -> Counted {
                    Counted
                }

                #[apply]
                fn counted(_: Counted) -> Self {
                    Self { n: 1, $field: $first }
                }
            }
        }
    };
}

counting!(skipped {
    #[serde(skip)]
    secret: u32 = 7
});
counting!(not_a_number { rate: f64 = f64::NAN });
counting!(panicking {
    #[serde(serialize_with = "panics")]
    text: String = "x".to_owned()
});
counting!(unreadable {
    #[serde(deserialize_with = "refuses")]
    text: String = "x".to_owned()
});
counting!(maps {
    sets: HashMap<u32, HashSet<String>> = [(1, ["a".to_owned(), "b".to_owned()].into()), (2, HashSet::new())].into()
});
counting!(halves { half: f64 = 0.1 + 0.2 });

#[allow(clippy::ptr_arg, reason = "serde's signature")]
fn panics<S: serde::Serializer>(_: &String, _: S) -> Result<S::Ok, S::Error> {
    panic!("it is so")
}

fn refuses<'de, D: serde::Deserializer<'de>>(_: D) -> Result<String, D::Error> {
    Err(serde::de::Error::custom("it is so"))
}

/// Counts, and has a snapshot written in the background and one by hand. Gives the error of that.
macro_rules! keep {
    ($module:ident) => {{
        let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
        let counter = Id::<$module::Counter>::new();
        runtime.execute(counter, $module::Count).await.unwrap();
        let in_background = until(&runtime, |health| health.written + health.failed == 1).await;
        let by_hand = runtime.snapshot(counter).await;
        let loaded = runtime.load(counter).await.unwrap().unwrap();
        assert_eq!(loaded.n, 1);
        assert_eq!(health(&runtime).await.used > 0, in_background.failed == 0);
        (in_background, by_hand, loaded.state)
    }};
}

/// Says why the state is not kept.
fn reason(by_hand: Result<Version, SnapshotError>) -> String {
    match by_hand {
        Err(error @ SnapshotError::State { .. }) => error.source().unwrap().to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_state_that_would_be_read_as_another_is_never_kept() {
    let (in_background, by_hand, state) = keep!(skipped);
    assert_eq!((in_background.failed, in_background.written), (1, 0));
    assert!(reason(by_hand).contains("`secret`"));
    assert_eq!(state.secret, 7);
}

#[tokio::test]
async fn a_state_that_json_cannot_hold_is_never_kept() {
    let (in_background, by_hand, state) = keep!(not_a_number);
    assert_eq!((in_background.failed, in_background.written), (1, 0));
    assert!(reason(by_hand).contains("finite"));
    assert!(state.rate.is_nan());
}

#[tokio::test]
async fn a_state_whose_code_panics_costs_a_snapshot_only() {
    let (in_background, by_hand, _) = keep!(panicking);
    assert_eq!((in_background.failed, in_background.written), (1, 0));
    assert!(reason(by_hand).contains("panicked: it is so"));
}

#[tokio::test]
async fn a_state_that_cannot_be_read_again_is_never_kept() {
    let (in_background, by_hand, _) = keep!(unreadable);
    assert_eq!((in_background.failed, in_background.written), (1, 0));
    assert!(reason(by_hand).contains("it is so"));
}

#[tokio::test]
async fn values_without_an_order_and_exact_fractions_come_back() {
    let (_, by_hand, state) = keep!(maps);
    assert_eq!((by_hand.unwrap(), state.sets[&1].len()), (Version(1), 2));
    let (_, by_hand, state) = keep!(halves);
    by_hand.unwrap();
    assert_eq!(state.half.to_bits(), (0.1_f64 + 0.2).to_bits());
}
