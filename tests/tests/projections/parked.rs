//! Parking in sequence, for projections: behind an event that cannot be applied nothing is applied to its rows until it is retried or
//! skipped, and other rows go on.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::{ApplyError, ControlError, Status};
use es_runtime::{Position, ProjectionHandle};
use es_tests::balances::{Send, Sent, Store, Transfer};
use es_tests::bank::{Account, Deposited, Opened};
use es_tests::faults::{Fault, Faulty};
use es_tests::parking::{Model, amount, broken};
use es_tests::random::{config, run};
use es_tests::stores;
use es_tests::waits::{LONG, becomes, caught_up};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn take(amount: i64) -> i64 {
    if broken().contains(&amount) {
        // Without the hook: with debug information the trace that it prints takes seconds.
        std::panic::resume_unwind(Box::new("it is broken"));
    }
    amount
}

macro_rules! seen {
    ($name:ident, $($args:tt)*) => {
        /// The events that were applied to the row of an account, in order.
        #[projection($($args)*)]
        struct $name {
            amounts: Vec<i64>,
        }

        #[projection]
        impl $name {
            #[apply]
            fn opened(_: Opened) -> Self {
                Self { amounts: Vec::new() }
            }

            #[apply]
            fn deposited(&mut self, event: Deposited) {
                self.amounts.push(take(event.amount));
            }

            #[apply(keys = [event.from, event.to])]
            fn sent(&mut self, event: Sent) {
                self.amounts.push(take(event.amount));
            }
        }
    };
}

seen!(Seen, name = "seen", park);
seen!(Alone, name = "alone", park_alone);

/// The same, of deposits alone: the key of each row is the id of the stream.
#[projection(name = "deposits", park)]
struct Deposits {
    amounts: Vec<i64>,
}

#[projection]
impl Deposits {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { amounts: Vec::new() }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.amounts.push(take(event.amount));
    }
}

async fn open(runtime: &Runtime) -> Id<Account> {
    let account = Id::new();
    runtime
        .append(account, [Opened { owner: "Alice".into() }])
        .await
        .unwrap();
    account
}

async fn deposit(runtime: &Runtime, account: Id<Account>, amount: i64) -> Position {
    runtime.append(account, [Deposited { amount }]).await.unwrap().position
}

async fn send(runtime: &Runtime, from: Id<Account>, to: Id<Account>, amount: i64) -> Position {
    let transfer = Id::<Transfer>::new();
    runtime
        .execute(transfer, Send { from, to, amount })
        .await
        .unwrap()
        .position
}

/// Position and number of attempts of each parked event.
async fn parked(projection: &ProjectionHandle<'_>) -> Vec<(u64, u32)> {
    let parked = projection.parked().await.unwrap();
    parked
        .iter()
        .map(|parked| (parked.position.0, parked.attempts))
        .collect()
}

es_tests::on_every_store_and_postgres! {
    async fn behind_a_parked_event_its_row_waits_and_a_retry_applies_all_in_order(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Deposits>().start().await.unwrap();
        let (alice, bob) = (open(&runtime).await, open(&runtime).await);
        let (bad, ours, theirs) = (amount(true), [amount(false), amount(false)], amount(false));
        let first = deposit(&runtime, alice, bad).await;
        let second = deposit(&runtime, alice, ours[0]).await;
        deposit(&runtime, bob, theirs).await;
        let third = deposit(&runtime, alice, ours[1]).await;
        caught_up::<Deposits>(&runtime).await;
        let projection = runtime.projection::<Deposits>();
        assert_eq!(parked(&projection).await, [(first.0, 1), (second.0, 0), (third.0, 0)]);
        let behind = &projection.parked().await.unwrap()[1];
        assert!(behind.error.contains(&format!("behind position {first}")), "{behind:?}");
        let amounts = async |account| runtime.get::<Deposits>(account).await.unwrap().unwrap().amounts.clone();
        assert_eq!((amounts(alice).await, amounts(bob).await), (vec![], vec![theirs]));

        let refused = projection.retry(second).await.unwrap_err();
        assert!(matches!(refused, ControlError::Behind { first: ahead, .. } if ahead == first), "{refused}");
        let failed = projection.retry(first).await.unwrap_err();
        assert!(matches!(failed, ControlError::Failed(ApplyError::Panicked(_))), "{failed}");
        assert_eq!(parked(&projection).await, [(first.0, 2), (second.0, 0), (third.0, 0)]);
        broken().remove(&bad);
        projection.retry(first).await.unwrap();
        assert_eq!(parked(&projection).await, []);
        assert_eq!(amounts(alice).await, [bad, ours[0], ours[1]]);
        let last = amount(false);
        deposit(&runtime, alice, last).await;
        caught_up::<Deposits>(&runtime).await;
        assert_eq!(amounts(alice).await.last(), Some(&last));
    }

    async fn when_a_parked_event_is_skipped_the_next_one_comes_first(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Deposits>().start().await.unwrap();
        let account = open(&runtime).await;
        let (good, worse) = (amount(false), amount(true));
        let first = deposit(&runtime, account, amount(true)).await;
        let second = deposit(&runtime, account, good).await;
        let third = deposit(&runtime, account, worse).await;
        let fourth = deposit(&runtime, account, amount(false)).await;
        caught_up::<Deposits>(&runtime).await;
        let projection = runtime.projection::<Deposits>();
        projection.skip(first, "booked by hand").await.unwrap();
        assert_eq!(parked(&projection).await, [(second.0, 0), (third.0, 0), (fourth.0, 0)], "nothing is applied by that");
        projection.retry(second).await.unwrap();
        assert_eq!(parked(&projection).await, [(third.0, 1), (fourth.0, 0)], "it ends at the next that fails");
        let row = runtime.get::<Deposits>(account).await.unwrap().unwrap();
        assert_eq!(row.amounts, [good]);
        projection.skip(fourth, "not wanted").await.unwrap();
        broken().remove(&worse);
        projection.retry(third).await.unwrap();
        let row = runtime.get::<Deposits>(account).await.unwrap().unwrap();
        assert_eq!(row.amounts, [good, worse]);
    }

    async fn a_row_that_events_of_several_streams_change_waits_for_each_of_them(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Seen>().start().await.unwrap();
        let [alice, bob, carol] = [open(&runtime).await, open(&runtime).await, open(&runtime).await];
        let (bad, sent, got, free) = (amount(true), amount(false), amount(false), amount(false));
        let first = deposit(&runtime, alice, bad).await;
        let second = send(&runtime, alice, bob, sent).await;
        let third = deposit(&runtime, bob, got).await;
        deposit(&runtime, carol, free).await;
        caught_up::<Seen>(&runtime).await;
        let projection = runtime.projection::<Seen>();
        assert_eq!(parked(&projection).await, [(first.0, 1), (second.0, 0), (third.0, 0)]);
        broken().remove(&bad);
        projection.retry(first).await.unwrap();
        let amounts = async |account| runtime.get::<Seen>(account).await.unwrap().unwrap().amounts.clone();
        assert_eq!(amounts(alice).await, [bad, sent]);
        assert_eq!((amounts(bob).await, amounts(carol).await), (vec![sent, got], vec![free]));
    }

    async fn parked_alone_the_row_goes_on(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Alone>().start().await.unwrap();
        let account = open(&runtime).await;
        let (bad, good) = (amount(true), amount(false));
        let first = deposit(&runtime, account, bad).await;
        deposit(&runtime, account, good).await;
        caught_up::<Alone>(&runtime).await;
        let projection = runtime.projection::<Alone>();
        assert_eq!(parked(&projection).await, [(first.0, 1)]);
        broken().remove(&bad);
        projection.retry(first).await.unwrap();
        let row = runtime.get::<Alone>(account).await.unwrap().unwrap();
        assert_eq!(row.amounts, [good, bad]);
    }

    async fn behind_ten_thousand_parked_events_it_holds(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Deposits>().start().await.unwrap();
        let (account, other) = (open(&runtime).await, open(&runtime).await);
        let bad = amount(true);
        let first = deposit(&runtime, account, bad).await;
        for _ in 0..20 {
            runtime.append(account, vec![Deposited { amount: amount(false) }; 500]).await.unwrap();
        }
        let last = first.0 + 10_000;
        deposit(&runtime, other, amount(false)).await;
        let held = becomes::<Deposits>(&runtime, Status::Held).await;
        assert_eq!((held.position.0, held.parked), (last - 1, 10_000));
        let failure = held.last_error.expect("it says why");
        assert_eq!(failure.position.map(|position| position.0), Some(last));
        assert!(failure.error.contains("10000 events are parked"), "{failure:?}");
        broken().remove(&bad);
        runtime.projection::<Deposits>().retry(first).await.unwrap();
        caught_up::<Deposits>(&runtime).await;
        let row = runtime.get::<Deposits>(account).await.unwrap().unwrap();
        assert_eq!(row.amounts.len(), 10_001);
    }
}

/// One step of a history. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Deposit(usize, bool),
    Send(usize, usize, bool),
    /// The amount can be applied from now on.
    Mend(usize),
    Retry(usize),
    Skip(usize),
    Fault(Fault),
    /// Another runtime starts, and the one before ends.
    TakeOver,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let any = 0..100_usize;
    let is_broken = || prop::bool::weighted(0.2);
    let step = prop_oneof![
        2 => Just(Step::Open),
        8 => (any.clone(), is_broken()).prop_map(|(account, is_broken)| Step::Deposit(account, is_broken)),
        4 => (any.clone(), any.clone(), is_broken()).prop_map(|(from, to, is_broken)| Step::Send(from, to, is_broken)),
        2 => any.clone().prop_map(Step::Mend),
        2 => any.clone().prop_map(Step::Retry),
        1 => any.prop_map(Step::Skip),
        2 => select(Fault::ALL.to_vec()).prop_map(Step::Fault),
        1 => Just(Step::TakeOver),
    ];
    vec(step, 1..50)
}

async fn project(store: &Faulty) -> Runtime {
    for _ in 0..100 {
        if let Ok(runtime) = Runtime::builder(store.clone()).projection::<Seen>().start().await {
            return runtime;
        }
    }
    panic!("it never starts");
}

/// Rows and parked events are what the model says.
async fn agrees(runtime: &Runtime, faulty: &Faulty, store: &Store, model: &Model) {
    let head = store.head().await.unwrap();
    while let Err(error) = runtime.projection::<Seen>().wait_for(head, LONG).await {
        assert!(
            !faulty.planned().is_empty() || !error.to_string().contains("was to be"),
            "{error}"
        );
    }
    faulty.forgive();
    for (key, amounts) in &model.rows {
        let key: Id<Account> = key.parse().unwrap();
        let row = runtime.get::<Seen>(key).await.unwrap().unwrap();
        assert_eq!(&row.amounts, amounts);
    }
    let parked = parked(&runtime.projection::<Seen>()).await;
    assert!(
        parked.iter().map(|(position, _)| position).eq(model.parked.keys()),
        "{parked:?} {:?}",
        model.parked
    );
}

async fn comes_out_right(store: Store, history: Vec<Step>) {
    let faulty = Faulty::new(Arc::clone(&store));
    let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut projecting = project(&faulty).await;
    let (mut model, mut accounts) = (Model::default(), Vec::new());
    for step in history {
        if accounts.is_empty() || matches!(step, Step::Open) {
            let account = open(&bank).await;
            model.rows.insert(account.to_string(), Vec::new());
            accounts.push(account);
        }
        let account = |number: usize| accounts[number % accounts.len()];
        match step {
            Step::Open => {}
            Step::Deposit(to, is_broken) => {
                let (to, amount) = (account(to), amount(is_broken));
                let position = deposit(&bank, to, amount).await;
                model.happened(position.0, [to], amount);
            }
            Step::Send(from, to, is_broken) => {
                let (from, to, amount) = (account(from), account(to), amount(is_broken));
                let position = send(&bank, from, to, amount).await;
                model.happened(position.0, [from, to], amount);
            }
            Step::Fault(fault) => faulty.plan([fault]),
            Step::TakeOver => projecting = project(&faulty).await,
            Step::Mend(_) | Step::Retry(_) | Step::Skip(_) if model.parked.is_empty() => {}
            Step::Mend(number) => {
                agrees(&projecting, &faulty, &store, &model).await;
                let (_, amount) = model.parked.values().nth(number % model.parked.len()).unwrap();
                broken().remove(amount);
            }
            Step::Retry(number) | Step::Skip(number) => {
                agrees(&projecting, &faulty, &store, &model).await;
                let position = *model.parked.keys().nth(number % model.parked.len()).unwrap();
                let projection = projecting.projection::<Seen>();
                let is_retry = matches!(step, Step::Retry(_));
                let answer = loop {
                    let answer = if is_retry {
                        projection.retry(position).await
                    } else {
                        projection.skip(position, "not wanted").await
                    };
                    // The runtime before ends in its own time.
                    if !matches!(answer, Err(ControlError::Elsewhere { .. })) {
                        break answer;
                    }
                };
                if is_retry {
                    assert_eq!(answer.is_ok(), model.retry(position), "{answer:?}");
                } else {
                    answer.unwrap();
                    model.parked.remove(&position);
                }
                agrees(&projecting, &faulty, &store, &model).await;
            }
        }
    }
    agrees(&projecting, &faulty, &store, &model).await;
}

proptest! {
    #![proptest_config(config(24, 500))]

    #[test]
    fn on_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }
}

proptest! {
    #![proptest_config(config(6, 200))]

    #[test]
    fn on_sqlite(history in history()) {
        let folder = es_tests::tempdir().unwrap();
        run(async {
            let store = es_tests::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), history).await;
        });
    }

    #[test]
    fn on_postgres(history in history()) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), history).await });
    }
}
