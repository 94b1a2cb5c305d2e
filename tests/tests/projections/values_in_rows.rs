//! A row that cannot be stored, or would come back as another, is known at the event that made it so: the projection holds before it
//! or parks it, and the row stays what it was.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::{ControlError, Status};
use es_runtime::{EventOf as _, Position};
use es_tests::faults::Faulty;
use es_tests::waits::{LONG, becomes};

#[value]
enum Tree {
    Leaf,
    Node(Box<Tree>),
}

impl Tree {
    fn of(levels: usize) -> Self {
        (0..levels).fold(Self::Leaf, |tree, _| Self::Node(Box::new(tree)))
    }
}

#[event]
struct Made {}

#[event]
struct Tagged {
    tags: Vec<String>,
}

#[event]
struct Limited {
    limit: Option<i64>,
}

#[event]
struct Grown {
    tree: Tree,
}

#[event]
struct Said {
    word: String,
}

#[command]
struct Make {}

#[derive(Aggregate)]
struct Thing;

#[aggregate(vis = pub(crate))]
impl Thing {
    #[handle]
    fn make(_: Make) -> Made {
        Made {}
    }

    #[apply]
    fn made(_: Made) -> Self {
        Self
    }

    #[apply]
    fn tagged(&mut self, _: Tagged) {}

    #[apply]
    fn limited(&mut self, _: Limited) {}

    #[apply]
    fn grown(&mut self, _: Grown) {}

    #[apply]
    fn said(&mut self, _: Said) {}
}

macro_rules! rows {
    ($($name:ident($($argument:tt)*))+) => {
        $(
            #[projection($($argument)*)]
            struct $name {
                /// Missing where it is empty, and then it cannot be read.
                #[serde(skip_serializing_if = "Vec::is_empty")]
                tags: Vec<String>,
                /// No limit was set, or it was set to none.
                limit: Option<Option<i64>>,
                trees: Vec<Tree>,
                words: Vec<String>,
            }

            #[projection]
            impl $name {
                #[apply]
                fn made(_: Made) -> Self {
                    let (limit, trees, words) = (None, Vec::new(), Vec::new());
                    Self { tags: vec!["made".to_owned()], limit, trees, words }
                }

                #[apply]
                fn tagged(&mut self, event: Tagged) {
                    self.tags = event.tags;
                }

                #[apply]
                fn limited(&mut self, event: Limited) {
                    self.limit = Some(event.limit);
                }

                #[apply]
                fn grown(&mut self, event: Grown) {
                    self.trees = vec![event.tree];
                }

                #[apply]
                fn said(&mut self, event: Said) {
                    self.words.push(event.word);
                }
            }
        )+
    };
}

rows! {
    Holding(name = "holding")
    Parking(name = "parking", park_alone)
}

/// A row of what always comes back.
#[projection(name = "plain", park_alone)]
struct Plain {
    trees: Vec<Tree>,
    words: Vec<String>,
}

#[projection]
impl Plain {
    #[apply]
    fn made(_: Made) -> Self {
        let (trees, words) = (Vec::new(), Vec::new());
        Self { trees, words }
    }

    #[apply]
    fn grown(&mut self, event: Grown) {
        self.trees = vec![event.tree];
    }

    #[apply]
    fn said(&mut self, event: Said) {
        self.words.push(event.word);
    }
}

/// What a row cannot hold, and what is said of it.
fn bad() -> [(ThingEvent, &'static str); 4] {
    let refused = "refused".to_owned();
    [
        (Tagged { tags: Vec::new() }.into_event(), "missing field `tags`"),
        (
            Limited { limit: None }.into_event(),
            "its field `limit` would be read as another value",
        ),
        (
            Grown { tree: Tree::of(126) }.into_event(),
            "128 levels, the limit is 127",
        ),
        (Said { word: refused }.into_event(), "a rule forbids such rows"),
    ]
}

/// The event between two others that are fine, all in one batch. Gives its position.
async fn between_others(runtime: &Runtime, thing: Id<Thing>, event: ThingEvent) -> Position {
    let said = |word: &str| Said { word: word.to_owned() }.into_event();
    let receipt = runtime
        .append(thing, vec![said("before"), event, said("behind")])
        .await
        .unwrap();
    Position(receipt.position.0 - 1)
}

es_tests::on_every_store_and_postgres! {
    async fn a_row_that_does_not_come_back_holds_at_once(store: _, _clock: _) {
        let store = Faulty::new(store);
        store.refuse_rows(Some("refused"));
        let runtime = Runtime::builder(store).projection::<Holding>().start().await.unwrap();
        let handle = runtime.projection::<Holding>();
        for (event, why) in bad() {
            let thing = Id::new();
            let made = runtime.execute(thing, Make {}).await.unwrap();
            handle.wait_for(made.position, LONG).await.unwrap();
            let position = between_others(&runtime, thing, event).await;
            let health = becomes::<Holding>(&runtime, Status::Held).await;
            let failure = health.last_error.unwrap();
            assert_eq!(failure.position, Some(position));
            assert_eq!(failure.error.matches(why).count(), 1, "{}", failure.error);
            let row = runtime.get::<Holding>(thing).await.unwrap().unwrap();
            assert_eq!(row.words, ["before"]);
            assert_eq!(row.limit, None);

            assert!(matches!(handle.retry(position).await, Err(ControlError::Failed(_))));
            handle.skip(position, "it is booked by hand").await.unwrap();
            let head = runtime.store().head().await.unwrap();
            let row = runtime.get::<Holding>(thing).after(head).timeout(LONG).await.unwrap().unwrap();
            assert_eq!(row.words, ["before", "behind"]);
            becomes::<Holding>(&runtime, Status::Live).await;
        }
    }

    async fn a_row_that_does_not_come_back_is_parked_at_once(store: _, _clock: _) {
        let store: Arc<_> = store;
        let faulty = Faulty::new(store);
        faulty.refuse_rows(Some("refused"));
        let runtime = Runtime::builder(faulty.clone()).projection::<Parking>().projection::<Plain>().start().await.unwrap();
        let handle = runtime.projection::<Parking>();
        let mut last = None;
        for (event, why) in bad() {
            let is_of_plain = !matches!(event, ThingEvent::Tagged(_) | ThingEvent::Limited(_));
            let thing = Id::new();
            runtime.execute(thing, Make {}).await.unwrap();
            let position = between_others(&runtime, thing, event).await;
            let head = runtime.store().head().await.unwrap();
            let row = runtime.get::<Parking>(thing).after(head).timeout(LONG).await.unwrap().unwrap();
            assert_eq!(row.words, ["before", "behind"]);
            assert_eq!(row.limit, None);
            let row = runtime.get::<Plain>(thing).after(head).timeout(LONG).await.unwrap().unwrap();
            assert_eq!(row.words, ["before", "behind"]);
            let parked = handle.parked().await.unwrap();
            let [parked] = &parked[..] else { panic!("{parked:?}") };
            assert_eq!(parked.position, position);
            assert_eq!(parked.error.matches(why).count(), 1, "{}", parked.error);
            let of_plain = runtime.projection::<Plain>().parked().await.unwrap();
            assert_eq!(of_plain.iter().map(|parked| parked.position).collect::<Vec<_>>(), if is_of_plain { vec![position] } else { vec![] });

            assert!(matches!(handle.retry(position).await, Err(ControlError::Failed(_))));
            assert_eq!(handle.parked().await.unwrap().len(), 1);
            if is_of_plain && !why.contains("rule") {
                runtime.projection::<Plain>().skip(position, "it is booked by hand").await.unwrap();
            }
            last = Some((thing, position));
            if !why.contains("rule") {
                handle.skip(position, "it is booked by hand").await.unwrap();
                assert!(handle.parked().await.unwrap().is_empty());
            }
        }
        // The rule is lifted.
        let (thing, position) = last.unwrap();
        faulty.refuse_rows(None);
        handle.retry(position).await.unwrap();
        runtime.projection::<Plain>().retry(position).await.unwrap();
        assert!(handle.parked().await.unwrap().is_empty());
        let row = runtime.get::<Plain>(thing).await.unwrap().unwrap();
        assert_eq!(row.words, ["before", "behind", "refused"]);
    }

    /// The second event would make the row whole again.
    async fn what_is_in_one_batch_does_not_matter(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Parking>().start().await.unwrap();
        let thing = Id::new();
        let limit = |limit| Limited { limit }.into_event();
        runtime.append(thing, vec![Made {}.into_event(), limit(None), limit(Some(5))]).await.unwrap();
        let head = runtime.store().head().await.unwrap();
        let row = runtime.get::<Parking>(thing).after(head).timeout(LONG).await.unwrap().unwrap();
        assert_eq!(row.limit, Some(Some(5)));
        let parked = runtime.projection::<Parking>().parked().await.unwrap();
        assert_eq!(parked.iter().map(|parked| parked.position.0).collect::<Vec<_>>(), [2]);
    }
}
