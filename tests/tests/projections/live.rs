//! What projections promise whose rows are folded when they are asked for.

use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::AnyKey;
use es_runtime::projection::{ApplyError, LiveError};
use es_runtime::store::Append;
use es_runtime::{Clock as _, EventId, ExpectedVersion, Key as _, Metadata, NewEvent, Position};
use es_tests::balances::{Balance, Send, Sent, Settle, Transfer, folded, start};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};

/// What happened to an account. Each event belongs to the row of its stream, also that of a transfer of the same id.
#[projection(live)]
struct Statement {
    lines: Vec<(Position, i64)>,
}

#[projection]
impl Statement {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { lines: Vec::new() }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        self.lines.push((meta.position(), event.amount));
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn, meta: &Meta<Account>) {
        self.lines.push((meta.position(), -event.amount));
    }

    #[apply]
    fn sent(&mut self, event: Sent, meta: &Meta<Transfer>) {
        self.lines.push((meta.position(), -event.amount));
    }
}

/// An event that no build knows.
fn unknown() -> NewEvent {
    NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "interest_paid".into(),
        shape_version: 1,
        payload: r#"{"amount":100}"#.into(),
        metadata: Metadata::EMPTY,
    }
}

es_tests::on_every_store_and_postgres! {
    async fn a_row_shows_what_has_happened_without_waiting(store: _, _clock: _) {
        let runtime = Runtime::builder(store).start().await.unwrap();
        let alice = account_with(&runtime, 50).await;
        account_with(&runtime, 7).await;
        let receipt = runtime.execute(alice, Withdraw { amount: 20 }).await.unwrap();
        let row = runtime.live::<Statement>().of(alice).await.unwrap().unwrap();
        assert_eq!(row.lines.iter().map(|(_, cents)| *cents).collect::<Vec<_>>(), [50, -20]);
        assert_eq!((row.position, row.key), (receipt.position, alice.to_string()));
        assert_eq!(runtime.live::<Statement>().of(AnyKey::new("nobody")).await.unwrap(), None);
    }

    /// Of a projection that the store keeps too, it tells each row as it was at each position.
    async fn up_to_a_position_it_shows_what_was_kept_then(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 50).await, account_with(&runtime, 7).await);
        let transfer = Id::<Transfer>::new();
        let mut kept = Vec::new();
        let mut keep = async |position| {
            let mut rows = runtime.list::<Balance>().after(position).await.unwrap().rows;
            rows.sort_by(|one, other| one.key.cmp(&other.key));
            kept.push((position, rows));
        };
        keep(runtime.execute(transfer, Send { from: alice, to: bob, amount: 3 }).await.unwrap().position).await;
        for _ in 0..3 {
            keep(runtime.execute(bob, Withdraw { amount: 1 }).await.unwrap().position).await;
            keep(runtime.execute(alice, Deposit { amount: 2 }).await.unwrap().position).await;
        }
        keep(runtime.execute(transfer, Settle { account: alice }).await.unwrap().position).await;
        for (position, rows) in kept {
            assert_eq!(runtime.live::<Balance>().up_to(position).await.unwrap(), rows, "up to {position}");
            for row in rows {
                let live = runtime.live::<Balance>().of(AnyKey::new(&row.key)).up_to(position).await.unwrap();
                assert_eq!(live, Some(row), "up to {position}");
            }
        }
        assert_eq!(runtime.live::<Balance>().of(alice).await.unwrap(), None, "it was settled");
        let now = runtime.live::<Balance>().await.unwrap();
        let now: Vec<_> = now.into_iter().map(|row| (row.key, serde_json::to_string(&row.row).unwrap(), row.position.0)).collect();
        assert_eq!(now, folded(&store).await);
    }

    async fn the_streams_of_one_id_are_folded_in_the_order_of_the_log(store: _, _clock: _) {
        let runtime = Runtime::builder(store).start().await.unwrap();
        let alice = account_with(&runtime, 0).await;
        let same = Id::<Transfer>::from_uuid(alice.uuid());
        let mut expected = Vec::new();
        for round in 1..=5 {
            expected.push((runtime.execute(alice, Deposit { amount: round }).await.unwrap().position, round));
            if round == 3 {
                let send = Send { from: alice, to: alice, amount: 100 };
                expected.push((runtime.execute(same, send).await.unwrap().position, -100));
            }
        }
        assert_eq!(runtime.live::<Statement>().of(alice).await.unwrap().unwrap().lines, expected);
    }

    async fn an_event_that_cannot_be_applied_is_told_with_its_place(store: _, _clock: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let (alice, bob) = (account_with(&runtime, 50).await, account_with(&runtime, 7).await);
        store.append(Append::new(bob.stream_id(), ExpectedVersion::Any, vec![unknown()])).await.unwrap();
        let head = store.head().await.unwrap();

        assert!(runtime.live::<Statement>().of(alice).await.unwrap().is_some(), "it is not of her stream");
        let of_bob = runtime.live::<Statement>().of(bob).await.unwrap_err();
        let of_all = runtime.live::<Statement>().await.unwrap_err();
        // The projection with keys must look at every event.
        let of_keys = runtime.live::<Balance>().of(alice).await.unwrap_err();
        for error in [of_bob, of_all, of_keys] {
            let LiveError::NotApplied { stream, position, name, source, .. } = error else { panic!("{error}") };
            assert_eq!((stream, position, &*name), (bob.stream_id(), head, "interest_paid"));
            assert!(matches!(*source, ApplyError::Unknown(_)), "{source}");
        }
        let before = runtime.live::<Statement>().of(bob).up_to(head.0 - 1).await.unwrap();
        assert!(before.is_some(), "there it did not stand yet");
    }
}

mod as_of {
    use super::*;

    es_tests::on_every_store! {
        async fn at_a_time_it_shows_what_was_recorded_by_then(store: _, clock: _) {
            let runtime = Runtime::builder(store).start().await.unwrap();
            let alice = account_with(&runtime, 50).await;
            let then = clock.now();
            clock.advance(Duration::from_secs(60));
            runtime.execute(alice, Deposit { amount: 1 }).await.unwrap();
            let lines = async |time| {
                let row = runtime.live::<Statement>().as_of(time).of(alice).await.unwrap();
                row.map_or(0, |row| row.row.lines.len())
            };
            assert_eq!(lines(then).await, 1);
            assert_eq!(lines(clock.now()).await, 2);
            assert_eq!(lines("1999-12-31T00:00:00Z".parse().unwrap()).await, 0);
        }
    }
}
