//! Rows that several streams share, and methods for all events of an aggregate.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::{AnyKey, Status};
use es_runtime::store::Append;
use es_runtime::{EventId, ExpectedVersion, Key as _, Metadata, NewEvent};
use es_tests::balances::Store;
use es_tests::waits::{becomes, caught_up};

#[event]
struct Applied {
    channel: String,
}

/// Called `Assessed` once.
#[event(alias = "assessed")]
struct Checked {
    by: String,
}

#[event]
struct Granted;

#[event]
struct Withdrawn;

/// Is not written any more: it is read as what it led to.
#[event]
struct Settled;

#[command]
struct Apply {
    channel: String,
}

#[command]
struct Check {
    by: String,
}

#[command]
struct Grant;

#[command]
struct Withdraw;

#[derive(Aggregate)]
struct Permit;

#[aggregate]
impl Permit {
    #[handle]
    fn apply(cmd: Apply) -> Applied {
        Applied { channel: cmd.channel }
    }

    #[handle]
    fn check(&self, cmd: Check) -> Checked {
        Checked { by: cmd.by }
    }

    #[handle]
    fn grant(&self, _: Grant) -> Granted {
        Granted
    }

    #[handle]
    fn withdraw(&self, _: Withdraw) -> Withdrawn {
        Withdrawn
    }

    #[apply]
    fn applied(_: Applied) -> Self {
        Self
    }

    #[apply]
    fn checked(&mut self, _: Checked) {}

    #[apply]
    fn granted(&mut self, _: Granted) {}

    #[apply]
    fn withdrawn(&mut self, _: Withdrawn) {}

    #[retired]
    fn settled(_: Settled) -> (Granted, Withdrawn) {
        (Granted, Withdrawn)
    }
}

/// One row a channel: made by whoever comes first, deleted with the last.
#[projection(name = "channels", index = ["open"])]
struct Channel {
    open: u32,
    keys: Vec<String>,
}

#[projection]
impl Channel {
    #[apply(key = event.channel)]
    fn applied(this: Option<Self>, event: Applied, meta: &Meta<Permit>) -> Self {
        assert!(!event.channel.is_empty());
        let mut row = this.unwrap_or(Self {
            open: 0,
            keys: Vec::new(),
        });
        row.open += 1;
        row.keys.push(meta.id().to_string());
        row
    }

    #[apply(key = event.by)]
    fn checked(this: Option<Self>, event: Checked) -> Option<Self> {
        assert!(!event.by.is_empty());
        let mut row = this?;
        row.open -= 1;
        (row.open > 0).then_some(row)
    }
}

/// The last thing that happened to each permit.
#[projection(name = "latest")]
struct Latest {
    event: String,
    count: u32,
}

#[projection]
impl Latest {
    #[apply]
    fn any(this: Option<Self>, event: PermitEvent) -> Self {
        let event = match event {
            PermitEvent::Applied(event) => format!("by {}", event.channel),
            PermitEvent::Checked(event) => format!("checked by {}", event.by),
            PermitEvent::Granted(_) => "granted".to_owned(),
            PermitEvent::Withdrawn(_) => unreachable!("it has a method of its own"),
        };
        let count = this.map_or(0, |row| row.count) + 1;
        Self { event, count }
    }

    #[apply]
    fn withdrawn(self, _: Withdrawn) -> Option<Self> {
        None
    }
}

/// The key of the one row of [`Steps`].
const ALL: &str = "all";

/// How many steps there were, counted in each process.
#[projection(name = "steps", memory)]
struct Steps {
    count: u32,
}

#[projection]
impl Steps {
    #[apply(key = ALL)]
    fn any(this: Option<Self>, _: PermitEvent, _: &Meta<Permit>) -> Self {
        Self {
            count: this.map_or(0, |row| row.count) + 1,
        }
    }
}

#[projection(name = "segmented", segments = 3)]
struct Segmented {
    count: u32,
}

#[projection]
impl Segmented {
    #[apply]
    fn any(this: Option<Self>, _: PermitEvent, meta: &Meta<Permit>) -> Self {
        assert_eq!(meta.stream().category(), "permit");
        Self {
            count: this.map_or(0, |row| row.count) + 1,
        }
    }
}

async fn start(store: &Store) -> Runtime {
    let builder = Runtime::builder(Arc::clone(store))
        .projection::<Channel>()
        .projection::<Latest>();
    builder
        .projection::<Steps>()
        .projection::<Segmented>()
        .start()
        .await
        .unwrap()
}

/// An event as another build may have written it.
async fn stored(store: &Store, permit: Id<Permit>, name: &'static str, payload: &'static str) {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: name.into(),
        shape_version: 1,
        payload: payload.into(),
        metadata: Metadata::EMPTY,
    };
    store
        .append(Append::new(permit.stream_id(), ExpectedVersion::Any, vec![event]))
        .await
        .unwrap();
}

async fn applied(runtime: &Runtime, channel: &str) -> Id<Permit> {
    let permit = Id::new();
    runtime
        .execute(
            permit,
            Apply {
                channel: channel.to_owned(),
            },
        )
        .await
        .unwrap();
    permit
}

es_tests::on_every_store_and_postgres! {
    async fn a_row_is_made_changed_and_deleted_by_whichever_stream_comes(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let permits = [applied(&runtime, "web").await, applied(&runtime, "desk").await, applied(&runtime, "web").await];
        caught_up::<Channel>(&runtime).await;
        let web = runtime.get::<Channel>("web").await.unwrap().unwrap();
        assert_eq!((web.open, &*web.keys), (2, &[permits[0].to_string(), permits[2].to_string()][..]));
        for permit in [permits[0], permits[2]] {
            runtime.execute(permit, Check { by: "web".to_owned() }).await.unwrap();
        }
        // Which makes no row, as there is none.
        runtime.execute(permits[1], Check { by: "nobody".to_owned() }).wait_for::<Channel>().await.unwrap();
        let left = runtime.list::<Channel>().await.unwrap().rows;
        assert_eq!(left.iter().map(|row| (&*row.key, row.open)).collect::<Vec<_>>(), [("desk", 1)]);
        let again = applied(&runtime, "web").await;
        caught_up::<Channel>(&runtime).await;
        assert_eq!(runtime.get::<Channel>("web").await.unwrap().unwrap().keys, [again.to_string()]);
        let live = runtime.live::<Channel>().await.unwrap();
        assert_eq!(live, runtime.list::<Channel>().await.unwrap().rows);
        runtime.projection::<Channel>().rebuild().await.unwrap();
        caught_up::<Channel>(&runtime).await;
        assert_eq!(live, runtime.list::<Channel>().await.unwrap().rows);
    }

    async fn one_method_takes_all_events_that_have_none_of_their_own(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let permit = applied(&runtime, "web").await;
        let shown = async || {
            caught_up::<Latest>(&runtime).await;
            runtime.get::<Latest>(permit).await.unwrap().map(|row| (row.event.clone(), row.count))
        };
        assert_eq!(shown().await, Some(("by web".to_owned(), 1)));
        // Under a name that it had once, and one that is read as two events.
        stored(&store, permit, "assessed", r#"{"by":"Ann"}"#).await;
        assert_eq!(shown().await, Some(("checked by Ann".to_owned(), 2)));
        runtime.execute(permit, Grant).await.unwrap();
        assert_eq!(shown().await, Some(("granted".to_owned(), 3)));
        stored(&store, permit, "settled", "null").await;
        assert_eq!(shown().await, None, "it was granted, and withdrawn");
        caught_up::<Steps>(&runtime).await;
        assert_eq!(runtime.get::<Steps>(ALL).await.unwrap().unwrap().count, 5);
        caught_up::<Segmented>(&runtime).await;
        assert_eq!(runtime.get::<Segmented>(AnyKey::new(permit)).await.unwrap().unwrap().count, 5);
        assert_eq!(runtime.live::<Segmented>().of(permit).await.unwrap().unwrap().count, 5);
    }

    async fn an_event_that_no_build_knows_holds_what_takes_all_events(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let permit = applied(&runtime, "web").await;
        caught_up::<Latest>(&runtime).await;
        stored(&store, permit, "renamed", "{}").await;
        let health = becomes::<Latest>(&runtime, Status::Held).await;
        assert!(health.last_error.unwrap().error.contains("renamed"));
        assert_eq!(runtime.get::<Latest>(permit).await.unwrap().unwrap().count, 1);
    }
}
