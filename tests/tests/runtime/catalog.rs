//! The catalog of what was given to the builder, and aggregates that are known by their names only.

use es_runtime::TargetKind::{Either, Existing, New};
use es_runtime::prelude::*;
use es_runtime::projection::{ControlError, ReadError};
use es_runtime::runtime::{AnyRequest, At};
use es_runtime::store::CursorStore as _;
use es_tests::balances::Balance;
use es_tests::bank::{Account, AccountCommand, Audit, Deposit, InsufficientFunds, Open, Withdraw, account_with};
use es_tests::random;
use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::json;

async fn bank() -> Runtime {
    let builder = Runtime::builder(MemoryStore::new()).aggregate::<Account>();
    builder.start().await.unwrap()
}

/// Its type has serde, and no `Debug`.
#[derive(serde::Serialize, Aggregate)]
#[es(id = String)]
pub(crate) struct Note {
    text: String,
}

#[event]
pub(crate) struct Begun {
    pub(crate) text: String,
}

#[event]
pub(crate) struct Changed {
    pub(crate) text: String,
}

#[command]
pub(crate) struct Write {
    pub(crate) text: String,
}

#[aggregate]
impl Note {
    #[handle]
    fn write(this: Option<&Self>, cmd: Write) -> Option<NoteEvent> {
        match this {
            None => Some(Begun { text: cmd.text }.into()),
            Some(note) if note.text == cmd.text => None,
            Some(_) => Some(Changed { text: cmd.text }.into()),
        }
    }

    #[apply]
    fn begun(event: Begun) -> Self {
        Note { text: event.text }
    }

    #[apply]
    fn changed(&mut self, event: Changed) {
        self.text = event.text;
    }
}

#[tokio::test]
async fn the_catalog_lists_what_the_builder_was_given() {
    let store = MemoryStore::new();
    let builder = Runtime::builder(store).aggregate::<Account>().aggregate::<Note>();
    let runtime = builder.projection::<Balance>().start().await.unwrap();
    let catalog = runtime.catalog();
    let listed: Vec<_> = catalog
        .aggregates
        .iter()
        .map(|aggregate| {
            let events: Vec<_> = aggregate.events.iter().map(|event| event.name).collect();
            let commands = aggregate.commands.iter().map(|command| (command.name, command.target));
            (aggregate.name, events, commands.collect::<Vec<_>>())
        })
        .collect();
    let account = [
        ("open", New),
        ("deposit", Existing),
        ("withdraw", Existing),
        ("audit", Existing),
    ];
    assert_eq!(
        listed,
        [
            ("account", vec!["opened", "deposited", "withdrawn"], account.to_vec()),
            ("note", vec!["begun", "changed"], vec![("write", Either)]),
        ]
    );
    let withdraw = catalog.aggregates[0].command("withdraw").unwrap();
    assert!(withdraw.is_refused_with::<InsufficientFunds>());
    assert!(
        !catalog.aggregates[0]
            .command("deposit")
            .unwrap()
            .is_refused_with::<InsufficientFunds>()
    );
    let [balances] = &catalog.projections[..] else {
        panic!("{catalog:?}")
    };
    assert_eq!(
        (balances.name, balances.version, balances.segments, balances.runs),
        ("balances", 1, 1, true)
    );
}

#[tokio::test]
async fn a_state_is_shown_as_far_as_its_type_goes() {
    let runtime = Runtime::builder(MemoryStore::new())
        .aggregate::<Note>()
        .start()
        .await
        .unwrap();
    let account = account_with(&runtime, 5).await;
    let shown = runtime.any_of::<Account>().instance(&account.to_string()).unwrap();
    let shown = shown.state(At::Now).await.unwrap().unwrap().state;
    assert_eq!(
        (shown.text.as_str(), shown.json),
        ("Account {\n    owner: \"Alice\",\n    balance: 5,\n}", None)
    );

    let note = runtime.any("note").unwrap().instance("a/b ü").unwrap();
    assert_eq!(note.state(At::Now).await.unwrap(), None);
    note.execute("write", br#"{"text": "x"}"#, AnyRequest::new())
        .await
        .unwrap();
    let shown = note.state(At::Now).await.unwrap().unwrap().state;
    assert_eq!(shown.json.as_deref(), Some(br#"{"text":"x"}"#.as_slice()));
    assert!(shown.text.ends_with("Note"), "{}", shown.text);
}

#[tokio::test]
async fn what_is_not_of_the_aggregate_is_named() {
    let runtime = bank().await;
    assert!(runtime.any("Account").is_none());
    let account = runtime.any("account").unwrap();
    for id in ["", "alice", "../account", "\0", &"x".repeat(100_000)] {
        let invalid = account.instance(id).unwrap_err();
        assert_eq!(invalid.field, "id");
        assert!(invalid.reason.len() < 1000, "{invalid}");
    }
    let alice = account.instance(&Id::<Account>::new().to_string()).unwrap();
    let refused = async |command: &str, json: &[u8]| match alice.execute(command, json, AnyRequest::new()).await {
        Err(ExecuteError::Invalid(invalid)) => invalid.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused("opne", b"{}").await,
        "`command` is invalid: \"opne\" is not a command of `account`, which knows `open`, `deposit`, `withdraw`, `audit`"
    );
    assert_eq!(
        refused("open", b"{}").await,
        "`open` is invalid: missing field `owner` at line 1 column 2"
    );
    assert!(refused("open", b"").await.starts_with("`open` is invalid: EOF"));
    assert!(
        refused("open", &b"[".repeat(100_000))
            .await
            .starts_with("`open` is invalid: ")
    );
}

#[tokio::test]
async fn a_refusal_of_a_command_as_data_gives_back_the_handlers_own() {
    let runtime = bank().await;
    let id = account_with(&runtime, 5).await;
    let refused = runtime.execute(id, AccountCommand::from(Withdraw { amount: 6 })).await;
    match refused {
        Err(ExecuteError::Refused(refusal)) => {
            assert_eq!(refusal.downcast_ref(), Some(&InsufficientFunds { balance: 5 }));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_texts_of_one_id_are_one_instance() {
    let runtime = bank().await;
    let id = account_with(&runtime, 0).await;
    let account = runtime.any("account").unwrap();
    let shouted = account.instance(&id.to_string().to_uppercase()).unwrap();
    assert_eq!(shouted.stream(), account.instance(&id.to_string()).unwrap().stream());
    assert_eq!(shouted.stream(), account.instance_of(id.uuid()).unwrap().stream());
    assert!(
        runtime.any_of::<Note>().instance_of(id.uuid()).is_none(),
        "a natural key is not a UUID"
    );
}

proptest! {
    #![proptest_config(random::config(32, 512))]

    /// A command that arrives as data does what the same command does as a value.
    #[test]
    fn a_command_as_data_is_the_command(commands in proptest::collection::vec((0..4_u8, -3..9_i64), 1..20)) {
        random::run(async {
            let (as_data, typed) = (bank().await, bank().await);
            let id = Id::<Account>::new();
            let instance = as_data.any("account").unwrap().instance(&id.to_string()).unwrap();
            for (kind, amount) in commands {
                let (name, json, command): (_, _, AccountCommand) = match kind {
                    0 => ("open", json!({"owner": "Alice"}), Open { owner: "Alice".into() }.into()),
                    1 => ("deposit", json!({"amount": amount}), Deposit { amount }.into()),
                    2 => ("withdraw", json!({"amount": amount}), Withdraw { amount }.into()),
                    _ => ("audit", json!(null), Audit.into()),
                };
                let json = json.to_string();
                let dry = instance.dry_run(name, json.as_bytes(), At::Now).await;
                let ours = instance.execute(name, json.as_bytes(), AnyRequest::new()).await;
                let theirs = typed.execute(id, command).await;
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
                assert_eq!(dry.is_ok(), ours.is_ok());
                assert_eq!(dry.map_or(0, |events| events.len()), ours.map_or(0, |receipt| receipt.events));
            }
            let steps: Vec<_> = instance.history(0).map(Result::unwrap).collect().await;
            for (index, step) in steps.iter().enumerate() {
                let version = Version(index as u64 + 1);
                assert_eq!(step.stored.version, version);
                let then = instance.state(At::Version(version)).await.unwrap().unwrap();
                assert_eq!(step.state.as_ref(), Some(&then.state));
                let later: Vec<_> = instance.history(version).map(Result::unwrap).collect().await;
                assert_eq!(later, steps[index..]);
            }
        });
    }
}

#[tokio::test]
async fn an_opened_runtime_takes_no_lease_and_runs_nothing() {
    let store = MemoryStore::new();
    let opened = Runtime::builder(store.clone())
        .projection::<Balance>()
        .open()
        .await
        .unwrap();
    let account = account_with(&opened, 5).await;
    let impatient = opened.get::<Balance>(account).timeout(std::time::Duration::ZERO).await;
    assert!(matches!(impatient, Err(ReadError::NotReady { .. })), "{impatient:?}");
    assert!(store.lease("balances@1").await.unwrap().is_none());
    assert!(matches!(
        opened.projection::<Balance>().rebuild().await,
        Err(ControlError::Elsewhere { .. })
    ));

    let runs = Runtime::builder(store.clone())
        .projection::<Balance>()
        .start()
        .await
        .unwrap();
    let receipt = opened
        .execute(account, Deposit { amount: 2 })
        .wait_for::<Balance>()
        .await
        .unwrap();
    let row = opened
        .get::<Balance>(account)
        .after(receipt.position)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.cents, 7);
    drop(runs);
}

#[tokio::test]
async fn a_projection_is_operated_without_its_type() {
    let builder = Runtime::builder(MemoryStore::new()).projection::<Balance>();
    let runtime = builder.start().await.unwrap();
    let handles: Vec<_> = runtime.projections().collect();
    let names: Vec<_> = handles.iter().map(|handle| (handle.name(), handle.version())).collect();
    assert_eq!(names, [("balances", 1)]);
    let receipt = runtime
        .execute(Id::new(), Open { owner: "Alice".into() })
        .await
        .unwrap();
    let waited = handles[0].wait_for(receipt.position, es_tests::waits::LONG).await;
    waited.unwrap();
    let skipped = handles[0].skip(receipt.position, "a mistake").await;
    assert!(matches!(skipped, Err(ControlError::NotParked { .. })), "{skipped:?}");
}

#[tokio::test]
async fn a_runtime_that_only_reads_shows_what_another_one_projects() {
    let store = MemoryStore::new();
    let reads = Runtime::builder(store.clone())
        .reads::<Balance>()
        .start()
        .await
        .unwrap();
    assert!(!reads.catalog().projections[0].runs);
    assert_eq!(reads.list::<Balance>().await.unwrap().rows, []);
    let runs = Runtime::builder(store).projection::<Balance>().start().await.unwrap();
    let account = account_with(&runs, 0).await;
    for amount in 1..100 {
        let receipt = runs.execute(account, Deposit { amount }).await.unwrap();
        let row = reads
            .get::<Balance>(account)
            .after(receipt.position)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.cents, (1..=amount).sum::<i64>());
    }
}
