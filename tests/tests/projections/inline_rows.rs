//! The promises of inline rows, on every store: rows and events are stored together or not at all.

use std::sync::Arc;

use crate::inline_alike;
use crate::inline_balances::{InlineBalance, dump};
use es_runtime::prelude::*;
use es_runtime::projection::{AnyKey, ApplyError, RowMismatch};
use es_runtime::runtime::Past;
use es_runtime::{
    AppendError, Clock as _, ExecuteError, InlineMeta, Position, ReadError, RetryPolicy, StartError, Version,
};
use es_tests::balances::{Send, Settle, Store, Transfer, folded};
use es_tests::bank::{Account, Audit, Deposit, Deposited, Open, Opened, Withdraw, account_with, balance};
use es_tests::faults::Faulty;
use es_tests::stores::clock;
use futures_util::future::try_join_all;

/// Of several writers on one stream each is tried again often enough.
fn builder<S: EventStore>(store: S) -> es_runtime::Builder<S> {
    Runtime::builder(store).retry(RetryPolicy::default().attempts(1_000))
}

async fn start(store: &Store) -> Runtime {
    let builder = builder(Arc::clone(store)).projection::<InlineBalance>();
    builder.start().await.unwrap()
}

/// One row for all accounts, and one for each owner: made by whoever comes first.
#[projection(name = "owners", inline)]
struct Owner {
    accounts: u64,
    /// The order of what happened.
    chain: u64,
}

/// The key of the one row of all accounts.
const ALL: &str = "all";

#[projection]
impl Owner {
    #[apply(keys = [ALL.to_owned(), format!("of {}", event.owner)])]
    fn opened(this: Option<Self>, event: Opened) -> Self {
        let mut row = this.unwrap_or(Self { accounts: 0, chain: 7 });
        row.accounts += 1;
        row.chain = (row.chain * 31 + event.owner.len() as u64) % 1_000_003;
        row
    }
}

/// A mean, which JSON cannot always hold.
#[projection(name = "means", inline)]
struct Mean {
    cents: f64,
}

#[projection]
impl Mean {
    #[apply]
    fn any(_: Option<Self>, event: Deposited, meta: &InlineMeta<Account>) -> Self {
        let zero = if event.amount == 13 { 0.0 } else { 1.0 };
        assert!(meta.version() > Version(1));
        #[expect(clippy::cast_precision_loss, reason = "the amounts are small")]
        Self {
            cents: event.amount as f64 / zero,
        }
    }
}

/// A build in which accounts have a row from their first deposit on.
#[projection(name = "inline_balances", version = 2, inline)]
struct Newer {
    cents: i64,
}

#[projection]
impl Newer {
    #[apply]
    fn deposited(this: Option<Self>, event: Deposited) -> Self {
        Self {
            cents: this.map_or(0, |row| row.cents) + event.amount,
        }
    }
}

es_tests::on_every_store_and_postgres! {
    async fn rows_show_an_event_as_soon_as_it_is_stored(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 50).await;
        let row = runtime.get::<InlineBalance>(alice).await.unwrap().unwrap();
        assert_eq!((row.cents, row.events, row.position), (50, 2, Position(2)));
        runtime.append(alice, [Deposited { amount: 5 }, Deposited { amount: 6 }]).await.unwrap();
        assert_eq!(runtime.get::<InlineBalance>(alice).await.unwrap().unwrap().cents, 61);

        let bob = account_with(&runtime, 1).await;
        runtime
            .atomically(async |tx| {
                tx.execute(alice, Withdraw { amount: 20 }).await?;
                tx.execute(bob, Deposit { amount: 20 }).await
            })
            .await
            .unwrap();
        let richest = runtime.list::<InlineBalance>().order_by("cents").descending().await.unwrap().rows;
        assert_eq!(richest.iter().map(|row| row.cents).collect::<Vec<_>>(), [41, 21]);
        let transfer = Id::<Transfer>::new();
        runtime.execute(transfer, Send { from: alice, to: bob, amount: 3 }).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        runtime.execute(transfer, Settle { account: bob }).await.unwrap();
        assert!(runtime.get::<InlineBalance>(bob).await.unwrap().is_none());
        assert_eq!(dump(&store).await, folded(&store).await);

        let receipt = runtime.execute(alice, Withdraw { amount: 1 }).wait_for::<InlineBalance>().await.unwrap();
        let health = runtime.projection::<InlineBalance>().status().await.unwrap();
        assert!(health.ready && health.position == receipt.position, "{health:?}");
        // A command that stores nothing changes no row.
        runtime.execute(alice, Audit).wait_for::<InlineBalance>().await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        assert_eq!(runtime.live::<InlineBalance>().await.unwrap(), runtime.list::<InlineBalance>().await.unwrap().rows);
        runtime.shutdown().await.unwrap();
    }

    async fn an_event_that_does_not_fit_its_row_refuses_the_append(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 50).await, account_with(&runtime, 50).await);
        runtime.execute(Id::<Transfer>::new(), Send { from: alice, to: bob, amount: 3 }).await.unwrap();
        let transfer = Id::<Transfer>::new();
        runtime.execute(transfer, Send { from: alice, to: bob, amount: 3 }).await.unwrap();
        runtime.execute(transfer, Settle { account: bob }).await.unwrap();
        let (before, head) = (dump(&store).await, store.head().await.unwrap());
        for (to, amount) in [(bob, 1), (alice, 15)] {
            let refused = runtime.execute(to, Deposit { amount }).await.unwrap_err();
            let ExecuteError::Append(AppendError::ProjectionFailed { projection, event, source }) = refused else { panic!("{refused}") };
            let event = event.expect("it is known which");
            assert_eq!((projection, event.version, &*event.name), ("inline_balances", Version(3), "deposited"));
            match *source {
                ApplyError::Mismatch { key, mismatch: RowMismatch::Missing("deposited") } => assert_eq!(key, bob.to_string()),
                ApplyError::Panicked(panic) => assert_eq!((to, &*panic), (alice, "15 is too much")),
                other => panic!("{other}"),
            }
        }
        // Neither of two accounts changes, and neither of two rows.
        let both = runtime
            .atomically(async |tx| {
                tx.execute(alice, Deposit { amount: 1 }).await?;
                tx.execute(bob, Deposit { amount: 1 }).await
            })
            .await;
        assert!(matches!(both, Err(ExecuteError::Append(AppendError::ProjectionFailed { .. }))), "{both:?}");
        let sent = runtime.execute(Id::<Transfer>::new(), Send { from: alice, to: bob, amount: 3 }).await;
        assert!(matches!(sent, Err(ExecuteError::Append(AppendError::ProjectionFailed { .. }))), "{sent:?}");
        assert_eq!((dump(&store).await, store.head().await.unwrap()), (before, head));
        // The next one counts, and the state is that of the log.
        runtime.execute(alice, Deposit { amount: 1 }).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        assert_eq!((balance(&runtime, alice).await, balance(&runtime, bob).await), (51, 50));
    }

    async fn a_row_that_would_not_come_back_refuses_the_append(store: _, _clock: _) {
        let runtime = builder(store.clone()).projection::<Mean>().start().await.unwrap();
        let alice = account_with(&runtime, 2).await;
        let refused = runtime.execute(alice, Deposit { amount: 13 }).await.unwrap_err();
        let ExecuteError::Append(AppendError::ProjectionFailed { source, .. }) = refused else { panic!("{refused}") };
        assert!(matches!(*source, ApplyError::Unstorable { .. }), "{source}");
        assert_eq!(store.head().await.unwrap(), Position(2));
        assert!((runtime.get::<Mean>(alice).await.unwrap().unwrap().cents - 2.0).abs() < f64::EPSILON);
    }

    async fn a_request_that_is_repeated_counts_once(store: _, _clock: _) {
        inline_alike::repeated_counts_once(&start(&store).await).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn of_writers_that_meet_in_a_stream_each_counts_once(store: _, _clock: _) {
        let runtimes = [start(&store).await, start(&store).await, start(&store).await, start(&store).await];
        let alice = inline_alike::writers_meet_in_a_stream(&runtimes).await;
        assert_eq!(runtimes[0].get::<InlineBalance>(alice).await.unwrap().unwrap().cents, 1 + 4 * 55);
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    /// A read, a fold and a write of another stream come between no two of these.
    async fn a_row_that_streams_share_is_the_fold_of_all_of_them(store: _, _clock: _) {
        let mut runtimes = Vec::new();
        for _ in 0..2 {
            runtimes.push(builder(store.clone()).projection::<Owner>().start().await.unwrap());
        }
        let opened = (0..40).map(async |number: usize| {
            let owner = "x".repeat(number % 5 + 1);
            runtimes[number % 2].execute(Id::<Account>::new(), Open { owner }).await
        });
        try_join_all(opened).await.unwrap();
        let live = runtimes[0].live::<Owner>().await.unwrap();
        assert_eq!(live, runtimes[1].list::<Owner>().await.unwrap().rows);
        assert_eq!(runtimes[0].get::<Owner>(AnyKey::new(ALL)).await.unwrap().unwrap().accounts, 40);
        assert_eq!(live.len(), 6);
    }

    async fn one_that_is_added_later_is_built_before_the_first_append(store: _, _clock: _) {
        let plain = builder(store.clone()).start().await.unwrap();
        for amount in 1..30 {
            account_with(&plain, amount % 12 + 1).await;
        }
        let runtime = start(&store).await;
        assert_eq!(dump(&store).await, folded(&store).await);
        let alice = account_with(&runtime, 1).await;
        assert_eq!(dump(&store).await, folded(&store).await);
        // And so is another version, while the build before goes on with its own.
        let newer = builder(store.clone()).projection::<Newer>().start().await.unwrap();
        for _ in 0..3 {
            newer.execute(alice, Deposit { amount: 2 }).await.unwrap();
            runtime.execute(alice, Deposit { amount: 3 }).await.unwrap();
        }
        let last = newer.execute(alice, Withdraw { amount: 1 }).await.unwrap();
        assert_eq!(newer.get::<Newer>(alice).await.unwrap().unwrap().cents, 16);
        let old = runtime.get::<InlineBalance>(alice).after(last.position).await.unwrap();
        assert_eq!(old.unwrap().cents, 15);
    }

    async fn what_it_cannot_apply_of_the_log_stops_the_start(store: _, _clock: _) {
        let plain = builder(store.clone()).start().await.unwrap();
        let alice = account_with(&plain, 1).await;
        let poison = plain.execute(alice, Deposit { amount: 15 }).await.unwrap();
        let refused = builder(store.clone()).projection::<InlineBalance>().start().await.unwrap_err();
        let StartError::Inline { projection, failure } = refused else { panic!("{refused}") };
        assert_eq!((projection, failure.position), ("inline_balances", Some(poison.position)));
        assert!(failure.error.contains("15 is too much"), "{}", failure.error);
    }

    async fn what_is_appended_without_it_is_taken_in_before_the_next_append(store: _, _clock: _) {
        let (with, without) = (start(&store).await, builder(store.clone()).start().await.unwrap());
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        let alice = inline_alike::others_append_without_it(&with, &without, check).await;
        assert_eq!(dump(&store).await.len(), 11);
        // An event of others that it cannot apply is reported.
        let poison = without.execute(alice, Deposit { amount: 15 }).await.unwrap();
        for _ in 0..5 {
            let refused = with.execute(alice, Deposit { amount: 2 }).await.unwrap_err();
            let ExecuteError::Append(AppendError::ProjectionBehind { projection: "inline_balances", source }) = refused else { panic!("{refused}") };
            assert!(matches!(*source, ReadError::Held { position, .. } if position == poison.position), "{source}");
        }
        with.projection::<InlineBalance>().skip(poison.position, "booked by hand").await.unwrap();
        with.execute(alice, Deposit { amount: 2 }).await.unwrap();
        assert_eq!(with.get::<InlineBalance>(alice).await.unwrap().unwrap().cents, 13);
    }

    async fn appends_wait_for_a_rebuild(store: _, _clock: _) {
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        inline_alike::appends_wait_for_a_rebuild::<InlineBalance>(&start(&store).await, check).await;
    }

    async fn imported_events_are_in_the_rows(store: _, _clock: _) {
        let runtime = start(&store).await;
        let ids: Vec<Id<Account>> = (0..30).map(|_| Id::new()).collect();
        let opened = ids.iter().map(|id| Past::of(*id).at(clock().now(), Opened { owner: "Ann".into() }));
        let deposited = ids.iter().map(|id| Past::of(*id).at(clock().now(), Deposited { amount: 3 }));
        let items: Vec<_> = opened.chain(deposited).collect();
        runtime.import("bank", futures_util::stream::iter(items)).batch(7).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        assert_eq!(dump(&store).await.len(), 30);
    }

    async fn rows_and_events_stand_or_fall_together_whatever_fails(store: _, _clock: _) {
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = builder(faulty.clone()).projection::<InlineBalance>().start().await.unwrap();
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        inline_alike::stand_or_fall_whatever_fails(&faulty, &runtime, check).await;
    }
}
