//! A request that is sent again is known again, whichever process and whichever build it meets.

use std::collections::{BTreeMap, HashMap, HashSet};

use es_runtime::prelude::*;
use es_runtime::{ExecuteError, MemoryStore};

#[value]
enum Split {
    Equal,
    Shares(HashMap<String, u32>),
}

#[event]
struct Invited {
    guests: HashSet<String>,
    seats: HashMap<u32, HashSet<(String, u8)>>,
}

#[command]
struct Invite {
    guests: HashSet<String>,
    seats: HashMap<u32, HashSet<(String, u8)>>,
    splits: Vec<Split>,
    #[serde(flatten)]
    more: HashMap<String, String>,
    nested: HashSet<BTreeMap<String, Vec<u8>>>,
}

#[derive(Aggregate)]
struct Party;

#[aggregate(vis = pub(crate))]
impl Party {
    #[handle]
    fn invite(cmd: Invite) -> Invited {
        let (guests, seats) = (cmd.guests, cmd.seats);
        Invited { guests, seats }
    }

    #[apply]
    fn invited(_: Invited) -> Self {
        Self
    }
}

/// Made anew, as another process makes it: each map and set has another order.
fn invite() -> Invite {
    let names = || (0..20).map(|number| format!("guest {number}"));
    let seats = names().map(|name| (name, 1));
    let shares = || names().zip(0..).collect();
    Invite {
        guests: names().collect(),
        seats: (0..20).map(|table| (table, seats.clone().collect())).collect(),
        splits: vec![Split::Shares(shares()), Split::Equal, Split::Shares(shares())],
        more: names().map(|name| (name.clone(), name)).collect(),
        nested: (0..20)
            .map(|number| BTreeMap::from([(number.to_string(), vec![number])]))
            .collect(),
    }
}

#[tokio::test]
async fn the_order_of_maps_and_sets_does_not_matter() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let party = Id::new();
    let first = runtime
        .execute(party, invite())
        .idempotency_key("command")
        .await
        .unwrap();
    for _ in 0..10 {
        let again = runtime
            .execute(party, invite())
            .idempotency_key("command")
            .await
            .unwrap();
        assert!(again.repeated && again.version == first.version);
    }
    let mut other = invite();
    other.splits.reverse();
    other.splits[0] = Split::Equal;
    let refused = runtime.execute(party, other).idempotency_key("command").await;
    assert!(
        matches!(refused, Err(ExecuteError::IdempotencyMismatch { .. })),
        "the order of a list does"
    );

    let party = Id::<Party>::new();
    let invited = || Party::invite(invite());
    runtime
        .append(party, invited())
        .idempotency_key("events")
        .await
        .unwrap();
    for _ in 0..10 {
        let again = runtime
            .append(party, invited())
            .idempotency_key("events")
            .await
            .unwrap();
        assert!(again.repeated);
    }
}

/// A build with its shape of the command.
macro_rules! build {
    ($build:ident $item:item) => {
        mod $build {
            use es_runtime::prelude::*;

            #[event]
            pub(crate) struct Opened {}

            #[command]
            $item

            #[derive(Aggregate)]
            #[es(name = "account")]
            pub(crate) struct Account;

            #[aggregate(vis = pub(crate))]
            impl Account {
                #[handle]
                fn open(_: Open) -> Opened {
                    Opened {}
                }

                #[apply]
                fn opened(_: Opened) -> Self {
                    Self
                }
            }
        }
    };
}

build! { before
    pub(crate) struct Open {
        pub(crate) owner: String,
        pub(crate) branch: String,
    }
}

build! { after
    pub(crate) struct Open {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) vip: Option<bool>,
        #[serde(rename = "branch")]
        pub(crate) office: String,
        pub(crate) owner: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) tags: Vec<String>,
    }
}

#[tokio::test]
async fn a_request_is_repeated_to_the_next_build() {
    let store = MemoryStore::new();
    let old = Runtime::builder(store.clone()).start().await.unwrap();
    let alice = Id::<before::Account>::new();
    let (owner, branch) = ("Alice".to_owned(), "Berlin".to_owned());
    let open = before::Open {
        owner: owner.clone(),
        branch: branch.clone(),
    };
    old.execute(alice, open).idempotency_key("open").await.unwrap();

    let new = Runtime::builder(store).start().await.unwrap();
    let alice: Id<after::Account> = alice.to_string().parse().unwrap();
    let open = |vip| after::Open {
        vip,
        office: branch.clone(),
        owner: owner.clone(),
        tags: Vec::new(),
    };
    let again = new.execute(alice, open(None)).idempotency_key("open").await.unwrap();
    assert!(again.repeated);
    let refused = new.execute(alice, open(Some(true))).idempotency_key("open").await;
    assert!(matches!(refused, Err(ExecuteError::IdempotencyMismatch { .. })));
}
