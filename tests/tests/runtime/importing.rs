//! Imports of the past, on every store: each event once, in the order of the source, whatever interrupts it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::prelude::*;
use es_runtime::runtime::{AnyPast, Imported};
use es_runtime::store::ProjectionStore;
use es_runtime::store::ReadLog;
use es_runtime::{AppendError, ImportError, Limits, Misapplied, Past, RecordedEvent, RetryPolicy, Version};
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, InsufficientFunds, Opened, Withdraw, Withdrawn};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

/// Account number so many.
fn account(number: u128) -> Id<Account> {
    Id::from_uuid(Uuid::from_u128(number))
}

/// So many seconds into the year 2020.
fn second(second: u64) -> Timestamp {
    Timestamp::from_micros(1_577_836_800_000_000 + i64::try_from(second).unwrap() * 1_000_000).unwrap()
}

/// A line of the source: an account, and what happened to it.
type Line = (u128, AccountEvent);

fn opened(number: u128) -> Line {
    (
        number,
        Opened {
            owner: number.to_string(),
        }
        .into(),
    )
}

fn deposited(number: u128, amount: i64) -> Line {
    (number, Deposited { amount }.into())
}

/// Lines of several accounts, one in the other, each as the item of its second.
fn lines(count: usize) -> Vec<Line> {
    let mut known = BTreeMap::new();
    let mut random: u64 = 7;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let line = |_| {
        let number = u128::from(next() % 7);
        let amount = known.entry(number).or_insert(0);
        *amount += 1;
        match *amount {
            1 => opened(number),
            // The same again and again, so that events are told apart by their places.
            amount if amount % 3 == 0 => deposited(number, 5),
            amount => deposited(number, amount),
        }
    };
    (0..count).map(line).collect()
}

fn items(lines: &[Line]) -> impl Stream<Item = Past<Account>> + Send + use<> {
    let items: Vec<_> = lines
        .iter()
        .zip(1..)
        .map(|((number, event), time)| {
            Past::of(account(*number))
                .at(second(time), event.clone())
                .actor("import")
        })
        .collect();
    stream::iter(items)
}

async fn start(store: &Arc<dyn ProjectionStore>) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

async fn log(store: &Arc<dyn ProjectionStore>) -> Vec<RecordedEvent> {
    store.read_log(ReadLog::new()).try_collect().await.unwrap()
}

/// What the log holds is what the lines say: once each, in their order, at their times.
#[track_caller]
fn assert_holds(log: &[RecordedEvent], lines: &[Line]) {
    let mut versions: BTreeMap<u128, u64> = BTreeMap::new();
    let expected: Vec<_> = lines
        .iter()
        .zip(1..)
        .map(|((number, event), time)| {
            let version = versions.entry(*number).or_default();
            *version += 1;
            (
                account(*number).to_string(),
                *version,
                format!("{event:?}"),
                second(time),
            )
        })
        .collect();
    let held: Vec<_> = log
        .iter()
        .map(|event| {
            let decoded = decoded(event);
            (
                event.stream.id().to_owned(),
                event.version.0,
                decoded,
                event.occurred_at(),
            )
        })
        .collect();
    assert_eq!(held, expected);
}

fn decoded(event: &RecordedEvent) -> String {
    use es_runtime::EventEnum as _;
    let events = AccountEvent::decode(&event.name, event.shape_version, &event.payload).unwrap();
    let events: Vec<String> = events.into_iter().map(|event| format!("{event:?}")).collect();
    events.concat()
}

fn counts(imported: Imported) -> (u64, u64, u64) {
    (imported.items, imported.events, imported.stored)
}

es_tests::on_every_store_and_postgres! {
    async fn the_log_has_the_order_and_the_times_of_the_source(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(300));
        let mut seen = Vec::new();
        let imported = runtime.import("bank", items(&lines)).progress(|so_far| seen.push(so_far)).await.unwrap();
        assert_eq!((counts(imported), imported.position), ((300, 300, 300), store.head().await.unwrap()));
        let held = log(&store).await;
        assert_holds(&held, &lines);
        assert!(held.iter().all(|event| event.metadata.actor() == Some("import")));
        assert_eq!(seen.last(), Some(&imported));
        assert!(seen.is_sorted_by_key(|so_far| so_far.items) && seen.len() > 1);
        let ids: std::collections::BTreeSet<_> = held.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), 300);
    }

    async fn a_second_run_stores_nothing_however_it_is_cut(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(120));
        runtime.import("bank", items(&lines)).await.unwrap();
        for batch in [1_000, 1_000, 1, 2, 17, 0] {
            let again = runtime.import("bank", items(&lines)).batch(batch).await.unwrap();
            assert_eq!(counts(again), (120, 120, 0), "{batch}");
        }
        // And another process, which remembers nothing, and tries nothing twice.
        let other = Runtime::builder(Arc::clone(&store)).retry(RetryPolicy::never()).start().await.unwrap();
        assert_eq!(other.import("bank", items(&lines)).batch(11).await.unwrap().stored, 0);
        let again = start(&store).await.import("bank", items(&lines)).await.unwrap();
        assert_eq!(again.stored, 0);
        assert_holds(&log(&store).await, &lines);
    }

    async fn a_run_that_was_cut_off_is_completed_by_the_next(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(150));
        let mut before = 0;
        for (stop, batch) in [(0, 10), (1, 10), (30, 7), (31, 1_000), (90, 3), (149, 50)] {
            // A source that hangs: the import is dropped there, whatever it has in hand.
            let source = items(&lines[..stop]).chain(stream::pending());
            let reached = Arc::new(AtomicU64::new(0));
            let source = source.inspect({
                let reached = Arc::clone(&reached);
                move |_| { reached.fetch_add(1, Ordering::SeqCst); }
            });
            let import = runtime.import("bank", source).batch(batch).into_future();
            let ended = tokio::select! {
                ended = import => Some(ended),
                () = es_tests::waits::wait_until(|| reached.load(Ordering::SeqCst) == stop as u64) => None,
            };
            assert!(ended.is_none());
            let held = log(&store).await;
            assert!(held.len() >= before && held.len() <= stop.max(before), "{} of {stop}", held.len());
            before = held.len();
            assert_holds(&held, &lines[..before]);
        }
        let completed = runtime.import("bank", items(&lines)).await.unwrap();
        assert_eq!(completed.stored, 150 - before as u64);
        assert_holds(&log(&store).await, &lines);
    }

    async fn a_source_that_has_grown_is_imported_to_its_end(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(200));
        for (end, batch) in [(0, 9), (50, 9), (51, 9), (120, 1_000), (200, 4)] {
            runtime.import("bank", items(&lines[..end])).batch(batch).await.unwrap();
            assert_holds(&log(&store).await, &lines[..end]);
        }
    }

    async fn a_source_that_fails_has_all_before_it_imported(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(20));
        let source = items(&lines[..13]).map(Ok).chain(stream::iter([Err(std::fmt::Error)])).chain(items(&lines[13..]).map(Ok));
        let error = runtime.import("bank", source).await.unwrap_err();
        assert!(matches!(error, ImportError::Source { item: 14, .. }), "{error}");
        assert!(std::error::Error::source(&error).unwrap().is::<std::fmt::Error>());
        assert_holds(&log(&store).await, &lines[..13]);
        assert_eq!(runtime.import("bank", items(&lines)).await.unwrap().stored, 7);
    }

    async fn an_item_that_does_not_fold_is_named(store: _, _clock: _) {
        let runtime = start(&store).await;
        for (index, batch) in [1, 2, 1_000].into_iter().enumerate() {
            let name = format!("bank-{batch}");
            let first = 10 * (index as u128 + 1);
            let good = [opened(first), opened(first + 1), deposited(first, 1), deposited(first + 1, 2)];
            let before = log(&store).await.len();
            for (bad, misapplied) in [
                (opened(first), Misapplied::AlreadyCreated("opened")),
                (opened(first + 1), Misapplied::AlreadyCreated("opened")),
                (deposited(first + 2, 1), Misapplied::NotCreated("deposited")),
            ] {
                let source = [&good[..], &[bad], &[opened(first + 3)]].concat();
                let error = runtime.import(&name, items(&source)).batch(batch).await.unwrap_err();
                let ImportError::Refused { item: 5, source, .. } = &error else { panic!("{error}") };
                assert!(matches!(**source, ExecuteError::Misapplied { source, .. } if source == misapplied), "{source}");
                assert_holds(&log(&store).await[before..], &good);
            }
        }
        // Within one item.
        let twice = Past::of(account(99)).at(second(1), (Opened { owner: "A".into() }, Opened { owner: "B".into() }));
        let error = runtime.import("twice", stream::iter([twice])).await.unwrap_err();
        assert!(matches!(error, ImportError::Refused { item: 1, .. }), "{error}");
    }

    async fn a_stream_that_others_have_written_is_refused(store: _, _clock: _) {
        let runtime = start(&store).await;
        runtime.append(account(1), Opened { owner: "1".into() }).occurred_at(second(1)).await.unwrap();
        let head = store.head().await.unwrap().0;
        let refused = async |name: &str, source: Vec<Line>, batch: usize| {
            let error = runtime.import(name, items(&source)).batch(batch).await.unwrap_err();
            let ImportError::Foreign { item, stream, version, .. } = error else { panic!("{error}") };
            (item, stream.id().to_owned(), version.0)
        };
        let of_one = account(1).to_string();
        // Also where the content is the same, and where it would fold.
        assert_eq!(refused("bank", vec![opened(1)], 1_000).await, (1, of_one.clone(), 1));
        assert_eq!(refused("bank", vec![opened(2), deposited(1, 5)], 1_000).await, (2, of_one.clone(), 1));
        assert_eq!(store.head().await.unwrap().0, head + 1, "what came before it is stored");
        // In the midst of an import.
        runtime.import("other", items(&[opened(3), opened(4)])).await.unwrap();
        runtime.execute(account(3), Deposit { amount: 1 }).await.unwrap();
        let longer = vec![opened(3), opened(4), deposited(4, 1), deposited(3, 5), deposited(4, 2)];
        for batch in [1_000, 1] {
            assert_eq!(refused("other", longer.clone(), batch).await, (4, account(3).to_string(), 2));
        }
        // Under another name it is another import.
        assert_eq!(refused("renamed", longer, 1_000).await.0, 1);
    }

    async fn an_item_that_was_changed_is_named(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(60));
        runtime.import("bank", items(&lines)).await.unwrap();
        let head = store.head().await.unwrap();
        for batch in [1_000, 1, 7] {
            let mut other = lines.clone();
            other[40] = deposited(other[40].0, 4_711);
            let error = runtime.import("bank", items(&other)).batch(batch).await.unwrap_err();
            assert!(matches!(error, ImportError::Changed { item: 41, .. }), "{error}");
            // One is gone, and what comes behind it has moved up.
            let mut fewer = lines.clone();
            fewer.remove(40);
            let error = runtime.import("bank", items(&fewer)).batch(batch).await.unwrap_err();
            assert!(matches!(error, ImportError::Changed { item: 41.., .. }), "{error}");
            // One came in between.
            let mut more = lines.clone();
            more.insert(40, deposited(lines[0].0, 1));
            let error = runtime.import("bank", items(&more)).batch(batch).await.unwrap_err();
            assert!(matches!(error, ImportError::Changed { item: 41.., .. }), "{error}");
        }
        // At another time.
        let late = lines.iter().zip(2..).map(|((number, event), time)| Past::of(account(*number)).at(second(time), event.clone()));
        let error = runtime.import("bank", stream::iter(late.collect::<Vec<_>>())).await.unwrap_err();
        assert!(matches!(error, ImportError::Changed { item: 1, .. }), "{error}");
        assert_eq!(store.head().await.unwrap(), head);
    }

    async fn what_else_is_recorded_may_differ_from_run_to_run(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(30));
        for run in 0..2 {
            let source = items(&lines).map(move |item| item.metadata("run", run).correlation(run));
            assert_eq!(runtime.import("bank", source).await.unwrap().stored, if run == 0 { 30 } else { 0 });
        }
        assert!(log(&store).await.iter().all(|event| event.metadata.correlation_id() == Some("0")));
    }

    async fn behind_an_import_commands_go_on_and_it_can_be_run_again(store: _, _clock: _) {
        let (runtime, lines) = (start(&store).await, lines(40));
        runtime.import("bank", items(&lines)).await.unwrap();
        for (number, _) in &lines[..7] {
            runtime.execute(account(*number), Deposit { amount: 1 }).await.unwrap();
        }
        let head = store.head().await.unwrap();
        for batch in [1_000, 3] {
            assert_eq!(runtime.import("bank", items(&lines)).batch(batch).await.unwrap().stored, 0);
        }
        assert_eq!(store.head().await.unwrap(), head);
        // The states that this process had in mind before the import are not what it decides on.
        runtime.import("more", items(&[opened(50)])).await.unwrap();
        let refused = runtime.execute(account(50), Withdraw { amount: 1 }).await;
        assert!(matches!(refused, Err(ExecuteError::Refused(InsufficientFunds { balance: 0 }))), "{refused:?}");
    }

    async fn several_imports_of_the_same_at_once_store_each_event_once(store: _, _clock: _) {
        let lines = Arc::new(lines(200));
        let mut runs = Vec::new();
        for batch in [1_000, 1_000, 5, 3] {
            let (runtime, lines) = (start(&store).await, Arc::clone(&lines));
            runs.push(tokio::spawn(async move { runtime.import("bank", items(&lines)).batch(batch).await }));
        }
        let mut stored = 0;
        for run in runs {
            stored += run.await.unwrap().unwrap().stored;
        }
        assert_eq!(stored, 200);
        assert_holds(&log(&store).await, &lines);
    }

    async fn an_item_may_hold_more_than_a_batch(store: _, _clock: _) {
        let runtime = start(&store).await;
        let long = |number: u128| {
            let opened = Past::of(account(number)).at(second(0), Opened { owner: "Alice".into() });
            (1..250).fold(opened, |past, time| past.at(second(time), (Deposited { amount: 2 }, Withdrawn { amount: 1 })))
        };
        let source = || stream::iter([long(1), long(2), Past::of(account(3)), long(4)]);
        for (batch, stored) in [(100, 3 * 499), (1_000, 0), (1, 0)] {
            let imported = runtime.import("long", source()).batch(batch).await.unwrap();
            assert_eq!(counts(imported), (4, 3 * 499, stored));
        }
        let loaded = runtime.load(account(2)).as_of_occurred(second(100)).await.unwrap().unwrap();
        assert_eq!((loaded.balance, loaded.version), (100, Version(201)));
        assert_eq!(runtime.load(account(3)).await.unwrap(), None);
    }

    async fn batches_are_bounded_in_bytes_and_one_event_too_large_is_named(store: _, _clock: _) {
        let runtime = start(&store).await;
        let big = |number, megabytes: usize| (number, AccountEvent::from(Opened { owner: "o".repeat(megabytes << 18) }));
        let source: Vec<_> = (1..=24).map(|number| big(number, 3)).collect();
        let mut batches = Vec::new();
        runtime.import("big", items(&source)).progress(|so_far| batches.push(so_far.events)).await.unwrap();
        let sizes: Vec<_> = std::iter::once(batches[0]).chain(batches.windows(2).map(|pair| pair[1] - pair[0])).collect();
        assert_eq!(sizes, [5, 5, 5, 5, 4], "at most 4 MiB");

        let head = store.head().await.unwrap();
        let source = [opened(31), opened(32), big(33, 5), opened(34)];
        let error = runtime.import("too big", items(&source)).await.unwrap_err();
        let ImportError::Refused { item: 3, source, .. } = error else { panic!("{error}") };
        assert!(matches!(*source, ExecuteError::Append(AppendError::LimitExceeded(_))), "{source}");
        assert_eq!(store.head().await.unwrap().0, head.0 + 2);
    }

    async fn no_more_is_taken_from_the_source_than_a_batch_holds(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (taken, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let source = (0..3_000_u128).map(|number| Past::of(account(number)).at(second(1), Opened { owner: "Alice".into() }));
        let source = stream::iter(source).inspect({
            let taken = Arc::clone(&taken);
            move |_| { taken.fetch_add(1, Ordering::SeqCst); }
        });
        let imported = runtime.import("wide", source).batch(50).progress(|so_far| {
            most.fetch_max(taken.load(Ordering::SeqCst) - so_far.items, Ordering::SeqCst);
        }).await.unwrap();
        assert_eq!(imported.stored, 3_000);
        assert_eq!(most.load(Ordering::SeqCst), 1, "the item that has no room in the batch");
    }

    async fn events_of_several_aggregates_come_in_the_order_of_the_source(store: _, _clock: _) {
        let runtime = start(&store).await;
        let source = || {
            let items: Vec<AnyPast> = (0..20_u8).flat_map(|number| {
                let note: AnyPast = Past::of(KeyOf::<Note>::new(number.to_string())).at(second(1), Written { text: "Hello".into() }).into();
                let account = Past::of(account(u128::from(number))).at(second(1), Opened { owner: "Alice".into() });
                [note, account.into()]
            }).collect();
            stream::iter(items)
        };
        for stored in [40, 0] {
            assert_eq!(runtime.import("both", source()).await.unwrap().stored, stored);
        }
        let categories: Vec<_> = log(&store).await.iter().map(|event| event.stream.category().to_owned()).collect();
        assert!(categories.chunks(2).all(|pair| pair == ["note", "account"]), "{categories:?}");
    }

    async fn an_event_that_is_stored_in_an_older_shape_is_the_same(store: _, _clock: _) {
        let runtime = start(&store).await;
        let source = |text: &str| stream::iter([Past::of(KeyOf::<Note>::new("1")).at(second(1), Written { text: text.into() })]);
        runtime.cap_writes::<Written>(1).await.unwrap();
        runtime.import("notes", source("Hello")).await.unwrap();
        assert_eq!(log(&store).await[0].shape_version, 1);
        runtime.lift_write_cap::<Written>().await.unwrap();
        assert_eq!(runtime.import("notes", source("Hello")).await.unwrap().stored, 0);
        let error = runtime.import("notes", source("Bye")).await.unwrap_err();
        assert!(matches!(error, ImportError::Changed { item: 1, .. }), "{error}");
    }

    async fn an_import_is_no_part_of_a_transaction(store: _, _clock: _) {
        let runtime = start(&store).await;
        runtime.import("bank", items(&[opened(1)])).await.unwrap();
        runtime.atomically(async |tx| {
            tx.execute(account(1), Deposit { amount: 1 }).await?;
            let error = runtime.import("bank", items(&[opened(1), deposited(1, 5)])).await.unwrap_err();
            let ImportError::Refused { source, .. } = error else { panic!("{error}") };
            assert!(matches!(*source, ExecuteError::InTransaction { .. }), "{source}");
            Ok(())
        }).await.unwrap();
    }
}

/// A note was written.
#[event(version = 2)]
struct Written {
    #[event(renamed(from = "words", since = 2))]
    text: String,
}

#[command]
struct Write {
    text: String,
}

#[derive(Debug, Aggregate)]
#[es(name = "note", id = String)]
struct Note;

#[aggregate]
impl Note {
    #[handle]
    fn write(cmd: Write) -> Written {
        Written { text: cmd.text }
    }

    #[apply]
    fn written(_: Written) -> Self {
        Self
    }
}

/// A store that takes less than the import would give it.
#[tokio::test]
async fn a_batch_is_not_larger_than_the_store_takes() {
    let mut limits = Limits::default();
    (limits.events, limits.bytes) = (3, 400);
    let store: Arc<dyn ProjectionStore> = Arc::new(MemoryStore::new().with_limits(limits));
    let (runtime, lines) = (start(&store).await, lines(100));
    runtime.import("bank", items(&lines)).await.unwrap();
    assert_holds(&log(&store).await, &lines);
}
