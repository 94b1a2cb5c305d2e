//! I: builds of two versions on one store.

use es_runtime::runtime::Readable;
use es_runtime::store::{EventKind, WriteCap, WriteCaps};
use es_runtime::{
    CapError, EncodeError, ExecuteError, ExpectedVersion, LoadError, RecordedEvent, Runtime, StartError, StreamId,
};

use crate::check::{Checked, Stop, holds, present, same};
use crate::sample::{event, stream};
use crate::subject::{Store, Subject};

const CATEGORY: &str = "deployed";

/// The build that runs.
mod old {
    use es_runtime::prelude::*;

    #[event]
    pub(crate) struct Opened {
        pub(crate) owner: String,
    }

    #[event]
    pub(crate) struct Deposited {
        pub(crate) amount: i64,
    }

    #[event]
    pub(crate) struct Noted {
        pub(crate) text: String,
    }

    #[derive(Debug, PartialEq, Aggregate)]
    #[es(name = "deployed", id = String)]
    pub(crate) struct Account {
        pub(crate) owner: String,
        pub(crate) balance: i64,
        pub(crate) note: String,
    }

    #[command]
    pub(crate) struct Open {
        pub(crate) owner: String,
    }

    #[command]
    pub(crate) struct Deposit {
        pub(crate) amount: i64,
    }

    #[aggregate]
    impl Account {
        #[handle]
        fn open(command: Open) -> Opened {
            Opened { owner: command.owner }
        }

        #[handle]
        fn deposit(&self, command: Deposit) -> Deposited {
            Deposited { amount: command.amount }
        }

        #[apply]
        fn opened(event: Opened) -> Self {
            Self {
                owner: event.owner,
                balance: 0,
                note: String::new(),
            }
        }

        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.balance += event.amount;
        }

        #[apply]
        fn noted(&mut self, event: Noted) {
            self.note = event.text;
        }
    }
}

/// The build that is deployed beside it: `opened` has a second version, which holds more, and `deposited` another name.
mod new {
    use es_runtime::prelude::*;

    #[event(version = 2, from = OpenedV1)]
    pub(crate) struct Opened {
        pub(crate) owner: String,
        pub(crate) branch: String,
    }

    #[event(name = "opened")]
    pub(crate) struct OpenedV1 {
        pub(crate) owner: String,
    }

    impl From<OpenedV1> for Opened {
        fn from(old: OpenedV1) -> Self {
            Self {
                owner: old.owner,
                branch: "unknown".to_owned(),
            }
        }
    }

    impl From<Opened> for OpenedV1 {
        fn from(new: Opened) -> Self {
            Self { owner: new.owner }
        }
    }

    #[event(alias = "deposited")]
    pub(crate) struct Credited {
        pub(crate) amount: i64,
    }

    #[event]
    pub(crate) struct Noted {
        pub(crate) text: String,
    }

    #[derive(Debug, PartialEq, Aggregate)]
    #[es(name = "deployed", id = String)]
    pub(crate) struct Account {
        pub(crate) owner: String,
        pub(crate) branch: String,
        pub(crate) balance: i64,
        pub(crate) note: String,
    }

    #[command]
    pub(crate) struct Open {
        pub(crate) owner: String,
        pub(crate) branch: String,
    }

    #[command]
    pub(crate) struct Deposit {
        pub(crate) amount: i64,
    }

    /// Writes down the branch, as the handler sees it.
    #[command]
    pub(crate) struct NoteBranch;

    #[aggregate]
    impl Account {
        #[handle]
        fn open(command: Open) -> Opened {
            Opened {
                owner: command.owner,
                branch: command.branch,
            }
        }

        #[handle]
        fn deposit(&self, command: Deposit) -> Credited {
            Credited { amount: command.amount }
        }

        #[handle]
        fn note_branch(&self, _: NoteBranch) -> Noted {
            Noted {
                text: self.branch.clone(),
            }
        }

        #[apply]
        fn opened(event: Opened) -> Self {
            Self {
                owner: event.owner,
                branch: event.branch,
                balance: 0,
                note: String::new(),
            }
        }

        #[apply]
        fn credited(&mut self, event: Credited) {
            self.balance += event.amount;
        }

        #[apply]
        fn noted(&mut self, event: Noted) {
            self.note = event.text;
        }
    }
}

/// A later build, which reads less: `opened` from its second version on, `noted` only to drop it.
mod later {
    use es_runtime::prelude::*;
    use es_runtime::{DecodeError, Event, Stored};
    use serde::{Deserialize, Serialize};

    /// Written by hand: the macro would ask for the first version.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Opened {
        pub(crate) owner: String,
        pub(crate) branch: String,
    }

    impl Stored for Opened {
        const NAME: &'static str = "opened";
        const SHAPE_VERSION: u32 = 3;
        const OLDEST_VERSION: u32 = 2;

        fn decode(shape_version: u32, payload: &[u8]) -> Result<Self, DecodeError> {
            match shape_version {
                2 | 3 => serde_json::from_slice(payload).map_err(DecodeError::Malformed),
                _ => Err(DecodeError::unknown_version::<Self>()),
            }
        }
    }

    impl Event for Opened {}

    #[event]
    pub(crate) struct Noted {
        pub(crate) text: String,
    }

    #[command]
    pub(crate) struct Open {
        pub(crate) owner: String,
    }

    #[derive(Debug, PartialEq, Aggregate)]
    #[es(name = "deployed", id = String)]
    pub(crate) struct Account {
        pub(crate) owner: String,
        pub(crate) branch: String,
    }

    #[aggregate]
    impl Account {
        #[handle]
        fn open(command: Open) -> Opened {
            Opened {
                owner: command.owner,
                branch: String::new(),
            }
        }

        #[apply]
        fn opened(event: Opened) -> Self {
            Self {
                owner: event.owner,
                branch: event.branch,
            }
        }

        #[retired]
        fn noted(_: Noted) {}
    }
}

/// The instance `id` for one of the builds.
fn key<A: es_runtime::Aggregate<Id = String>>(id: &str) -> es_runtime::KeyOf<A> {
    es_runtime::KeyOf::new(id.to_owned())
}

fn went<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Checked<T> {
    result.map_err(|error| Stop::broken(what, "success", format_args!("{error:?}")))
}

/// Under what the events of an instance are stored.
async fn forms(store: &Store, id: &str) -> Checked<Vec<(String, u32)>> {
    let form = |event: &RecordedEvent| (event.name.to_string(), event.shape_version);
    let events = store.events_of(&StreamId::new(CATEGORY, id)).await?;
    Ok(events.iter().map(form).collect())
}

fn form(name: &str, shape_version: u32) -> (String, u32) {
    (name.to_owned(), shape_version)
}

async fn old_build(store: &Store) -> Result<Runtime, StartError> {
    Runtime::builder(store.0.clone())
        .aggregate::<old::Account>()
        .start()
        .await
}

async fn new_build(store: &Store) -> Result<Runtime, StartError> {
    Runtime::builder(store.0.clone())
        .aggregate::<new::Account>()
        .start()
        .await
}

fn open(branch: &str) -> new::Open {
    new::Open {
        owner: "Alice".to_owned(),
        branch: branch.to_owned(),
    }
}

pub(crate) async fn i13_older_builds_read_what_is_capped(subject: &Subject<'_>) -> Checked {
    let (store, other) = (subject.open().await, subject.open().await);
    let old = old_build(&store).await?;
    let opened = old.execute(
        key::<old::Account>("a"),
        old::Open {
            owner: "Alice".to_owned(),
        },
    );
    went("a command to the old build", opened.await)?;
    let caps = subject.write_caps().await?;
    // One for a new version of the shape, and one for a new name.
    caps.set(WriteCap::new(CATEGORY, "opened", 1)).await?;
    caps.set(WriteCap::new(CATEGORY, "deposited", 1)).await?;
    let new = new_build(&other).await?;

    // Decided on the state in the cache, on that of a transaction, and on that which is loaded: all the same.
    let receipt = went("`open`", new.execute(key::<new::Account>("b"), open("Berlin")).await)?;
    same("the version in its receipt", receipt.version.0, 1)?;
    went("`note`", new.execute(key::<new::Account>("b"), new::NoteBranch).await)?;
    let deposit = new.execute(key::<new::Account>("b"), new::Deposit { amount: 5 });
    went("`deposit`", deposit.await)?;
    let both = new.atomically(async |tx| {
        tx.execute(key::<new::Account>("c"), open("Rome")).await?;
        tx.execute(key::<new::Account>("c"), new::NoteBranch).await
    });
    went("a transaction", both.await)?;
    for id in ["b", "c"] {
        let loaded = present("the account", went("loading", new.load(key::<new::Account>(id)).await)?)?;
        same("the branch, which is not stored", &*loaded.branch, "unknown")?;
        same("the branch that a handler saw", &*loaded.note, "unknown")?;
    }
    let forms_of_b = vec![form("opened", 1), form("noted", 1), form("deposited", 1)];
    same("what is stored of `b`", forms(&store, "b").await?, forms_of_b)?;

    // The old build reads it all, and goes on.
    let deposit = old.execute(key::<old::Account>("b"), old::Deposit { amount: 2 });
    went("a command to the old build", deposit.await)?;
    let account = present(
        "the account",
        went("loading", old.load(key::<old::Account>("b")).await)?,
    )?;
    same("the balance", account.balance, 7)?;
    let account = present(
        "the account",
        went("loading", new.load(key::<new::Account>("b")).await)?,
    )?;
    same("the balance", account.balance, 7)?;
    old_build(&store).await?;

    lifted(&store, &caps, &old, &new).await
}

/// The end of the deployment: the caps are lifted in one process, and the others learn it.
async fn lifted(store: &Store, caps: &WriteCaps, old: &Runtime, new: &Runtime) -> Checked {
    let unaware = new_build(store).await?;
    went("lifting", new.lift_write_cap::<new::Opened>().await)?;
    went("lifting", new.lift_write_cap::<new::Credited>().await)?;
    same("the caps", caps.all().await?, vec![])?;
    went(
        "`open`",
        unaware.execute(key::<new::Account>("d"), open("Berlin")).await,
    )?;
    same(
        "what another process stores",
        forms(store, "d").await?,
        vec![form("opened", 1)],
    )?;
    went("reloading", unaware.reload_write_caps().await)?;
    for (runtime, id) in [(new, "e"), (&unaware, "f")] {
        went("`open`", runtime.execute(key::<new::Account>(id), open("Berlin")).await)?;
        let deposit = runtime.execute(key::<new::Account>(id), new::Deposit { amount: 1 });
        went("`deposit`", deposit.await)?;
        let newest = vec![form("opened", 2), form("credited", 1)];
        same("what is stored", forms(store, id).await?, newest)?;
        let account = present(
            "the account",
            went("loading", runtime.load(key::<new::Account>(id)).await)?,
        )?;
        same("the branch", &*account.branch, "Berlin")?;
    }
    let unread = old.load(key::<old::Account>("e")).await;
    holds(
        matches!(&unread, Err(LoadError::UnknownEvent(unknown)) if unknown.shape_version == 2),
        "an account that the old build loads",
        "UnknownEvent",
        unread.map(|loaded| loaded.map(|loaded| loaded.version)),
    )?;
    // Capped again, in the process of the new build.
    went("capping", new.cap_writes::<new::Opened>(1).await)?;
    went("`open`", new.execute(key::<new::Account>("g"), open("Berlin")).await)?;
    same("what is stored", forms(store, "g").await?, vec![form("opened", 1)])
}

pub(crate) async fn i14_start_refuses_what_it_cannot_read(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let new = new_build(&store).await?;
    for id in ["a", "b", "c"] {
        went("`open`", new.execute(key::<new::Account>(id), open("Berlin")).await)?;
    }
    went("`note`", new.execute(key::<new::Account>("a"), new::NoteBranch).await)?;
    let deposit = new.execute(key::<new::Account>("a"), new::Deposit { amount: 5 });
    went("`deposit`", deposit.await)?;
    store
        .put(&stream("a"), ExpectedVersion::NoStream, vec![event(1)])
        .await?;

    let refused = match old_build(&store).await {
        Err(StartError::UnreadableEvents(events)) => events,
        other => {
            let came = other.map(drop);
            return Err(Stop::broken(
                "the start of the old build",
                "UnreadableEvents",
                format_args!("{came:?}"),
            ));
        }
    };
    let listed: Vec<_> = refused
        .into_iter()
        .map(|event| (event.kind, event.readable, event.count))
        .collect();
    let expected = vec![
        (EventKind::new(CATEGORY, "credited", 1), Readable::UnknownName, Some(1)),
        (
            EventKind::new(CATEGORY, "opened", 2),
            Readable::TooNew { newest: 1 },
            Some(3),
        ),
    ];
    same("what the old build is refused for", listed, expected.clone())?;

    let allowed = Runtime::builder(store.0.clone())
        .aggregate::<old::Account>()
        .allow_unreadable_events()
        .start()
        .await?;
    let unread = allowed.load(key::<old::Account>("a")).await.map(drop);
    let right = matches!(unread, Err(LoadError::UnknownEvent(_)));
    holds(
        right,
        "an account that the old build loads all the same",
        "UnknownEvent",
        unread,
    )?;
    let report = allowed.check_events().await?;
    let unreadable: Vec<_> = report.unreadable().map(|event| event.kind.clone()).collect();
    let refused: Vec<_> = expected.into_iter().map(|(kind, ..)| kind).collect();
    same("what it cannot read", unreadable, refused)?;
    let all: Vec<_> = report
        .stored
        .iter()
        .map(|event| (&*event.kind.category, event.readable))
        .collect();
    let (unknown, too_new) = (Readable::UnknownName, Readable::TooNew { newest: 1 });
    same(
        "all that is stored",
        all,
        vec![
            ("conformance", Readable::NotRegistered),
            (CATEGORY, unknown),
            (CATEGORY, Readable::Yes),
            (CATEGORY, too_new),
        ],
    )?;

    let report = new_build(&store).await?.check_events().await?;
    same("what the new build cannot read", report.unreadable().count(), 0)?;
    let never = vec![
        EventKind::new(CATEGORY, "deposited", 1),
        EventKind::new(CATEGORY, "opened", 1),
    ];
    same("what it reads for nothing", report.never_stored, never)?;

    later_reads_less(&store, &allowed).await
}

/// A build that has given up an old shape, and retired an event.
async fn later_reads_less(store: &Store, old: &Runtime) -> Checked {
    let old_event = old::Opened {
        owner: "Bob".to_owned(),
    };
    went("an old event", old.append(key::<old::Account>("z"), old_event).await)?;
    let later = Runtime::builder(store.0.clone())
        .aggregate::<later::Account>()
        .allow_unreadable_events();
    let report = later.start().await?.check_events().await?;
    let read: Vec<_> = report
        .stored
        .iter()
        .map(|event| (event.readable, event.count))
        .collect();
    same(
        "what the later build reads",
        read,
        vec![
            (Readable::NotRegistered, None),
            (Readable::UnknownName, Some(1)),
            (Readable::Retired, None),
            (Readable::TooOld { oldest: 2 }, Some(1)),
            (Readable::Yes, None),
        ],
    )
}

pub(crate) async fn i15_start_refuses_what_it_cannot_write(subject: &Subject<'_>) -> Checked {
    let (store, caps) = (subject.open().await, subject.write_caps().await?);
    let later = |store: &Store| Runtime::builder(store.0.clone()).aggregate::<later::Account>().start();
    let running = later(&store).await?;
    let capped = running.cap_writes::<later::Opened>(2).await;
    let right = matches!(&capped, Err(CapError::Unwritable(events)) if events[0].writes_from == 3);
    holds(right, "a cap below what can be written", "Unwritable", capped)?;
    same("the caps after it was refused", caps.all().await?, vec![])?;

    caps.set(WriteCap::new(CATEGORY, "opened", 2)).await?;
    let refused = later(&store).await.map(drop);
    let right = matches!(&refused, Err(StartError::UnwritableEvents(events))
        if events.len() == 1 && events[0].cap == WriteCap::new(CATEGORY, "opened", 2) && events[0].current == 3);
    holds(
        right,
        "the start of a build without a way back",
        "UnwritableEvents",
        refused,
    )?;

    // The process that runs learns of it when it is told to, and writes nothing above the cap from then on.
    let reloaded = running.reload_write_caps().await;
    let right = matches!(reloaded, Err(CapError::Unwritable(_)));
    holds(right, "the caps, read again", "Unwritable", reloaded)?;
    let open = later::Open {
        owner: "Alice".to_owned(),
    };
    let refused = running.execute(key::<later::Account>("a"), open).await;
    let right = matches!(
        refused,
        Err(ExecuteError::Encode(EncodeError::NoWayBack {
            shape_version: 2,
            writes_from: 3,
            ..
        }))
    );
    holds(right, "a command that would write above the cap", "NoWayBack", refused)?;
    same("what is stored", store.log().await?.len(), 0)
}
