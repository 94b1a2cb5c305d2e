//! What is asked of rows is answered truly, or with an error that says what is wrong with the question.

use std::collections::BTreeMap;
use std::sync::Arc;

use es_runtime::ReadError;
use es_runtime::prelude::*;
use es_runtime::runtime::Page;
use es_runtime::store::{Compare, FieldValue, RowGroup};
use es_tests::balances::Store;
use es_tests::waits::caught_up;

#[value]
#[derive(Eq)]
enum Channel {
    Branch,
    Online,
}

#[value]
struct Cents(i64);

#[value]
struct Address {
    city: String,
    zip: Option<u32>,
}

#[event]
struct Reported {
    note: String,
    cents: Option<i64>,
    channel: Channel,
    urgent: bool,
    city: String,
}

#[command]
struct Report {
    note: String,
    cents: Option<i64>,
    channel: Channel,
    urgent: bool,
    city: String,
}

#[derive(Aggregate)]
struct Case;

#[aggregate]
impl Case {
    #[handle]
    fn report(cmd: Report) -> Reported {
        Reported {
            note: cmd.note,
            cents: cmd.cents,
            channel: cmd.channel,
            urgent: cmd.urgent,
            city: cmd.city,
        }
    }

    #[apply]
    fn reported(_: Reported) -> Self {
        Self
    }
}

#[projection(name = "cases", index = ["channel", "cents", "dotted.name", "urgent"])]
struct CaseRow {
    id: Id<Case>,
    at: Timestamp,
    note: String,
    cents: Option<Cents>,
    channel: Channel,
    urgent: bool,
    address: Address,
    #[serde(rename = "dotted.name")]
    dotted: String,
    tags: Vec<String>,
    limits: BTreeMap<String, i64>,
    anything: Option<(i64, i64)>,
}

#[projection]
impl CaseRow {
    #[apply]
    fn reported(event: Reported, meta: &Meta<Case>) -> Self {
        Self {
            id: *meta.id(),
            at: meta.recorded_at(),
            dotted: event.city.clone(),
            note: event.note,
            cents: event.cents.map(Cents),
            channel: event.channel,
            urgent: event.urgent,
            address: Address {
                city: event.city,
                zip: None,
            },
            tags: Vec::new(),
            limits: BTreeMap::from([("daily".to_owned(), 7)]),
            anything: None,
        }
    }
}

#[projection(name = "notes", memory)]
struct Note {
    channel: Channel,
}

#[projection]
impl Note {
    #[apply]
    fn reported(event: Reported) -> Self {
        Self { channel: event.channel }
    }
}

/// So many cases: with ties, and every third without an amount.
async fn filled(store: &Store, cases: i64) -> (Runtime, Vec<Id<Case>>) {
    let builder = Runtime::builder(Arc::clone(store));
    let runtime = builder
        .projection::<CaseRow>()
        .projection::<Note>()
        .start()
        .await
        .unwrap();
    let mut ids = Vec::new();
    for number in 0..cases {
        let id = Id::new();
        let report = Report {
            note: format!("note {number}"),
            cents: (number % 3 != 0).then_some(number % 5),
            channel: if number % 4 == 0 {
                Channel::Branch
            } else {
                Channel::Online
            },
            urgent: number % 2 == 0,
            city: format!("city {}", number % 2),
        };
        runtime.execute(id, report).await.unwrap();
        ids.push(id);
    }
    caught_up::<CaseRow>(&runtime).await;
    caught_up::<Note>(&runtime).await;
    (runtime, ids)
}

/// One with this note, as the last one.
async fn noted(runtime: &Runtime, note: &str) -> Id<Case> {
    let id = Id::new();
    let report = Report {
        note: note.to_owned(),
        cents: None,
        channel: Channel::Branch,
        urgent: false,
        city: String::new(),
    };
    runtime.execute(id, report).wait_for::<CaseRow>().await.unwrap();
    id
}

/// What the error says of the fields that there are.
#[track_caller]
fn unknown(answer: Result<Page<CaseRow>, ReadError>, wanted: &str, nearest: &str) {
    let error = answer.unwrap_err();
    let text = error.to_string();
    let ReadError::UnknownField { field, known, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((&*field, &*known[0]), (wanted, nearest), "{known:?}");
    assert!(text.contains("projection `cases`") && text.contains(nearest), "{text}");
}

#[track_caller]
fn misfit<T: std::fmt::Debug>(answer: Result<T, ReadError>, text: &str) {
    let error = answer.unwrap_err();
    assert!(matches!(error, ReadError::FieldType { .. }), "{error}");
    assert_eq!(error.to_string(), text);
}

es_tests::on_every_store_and_postgres! {
    async fn a_field_that_the_row_does_not_have_is_an_error_with_those_that_it_has(store: _, _clock: _) {
        let (runtime, _) = filled(&store, 1).await;
        let list = || runtime.list::<CaseRow>();
        unknown(list().filter("centz", Compare::Equal, 5).await, "centz", "cents");
        unknown(list().order_by("Channel").await, "Channel", "channel");
        unknown(list().order_by("address.town").await, "address.town", "address.city");
        unknown(list().filter("dotted", Compare::Equal, "x").await, "dotted", "dotted.name");
        let counted = list().filter("centz", Compare::Equal, 5).count().await;
        assert!(matches!(counted, Err(ReadError::UnknownField { .. })), "{counted:?}");
        let grouped = list().group_by("chanel").await;
        assert!(matches!(grouped, Err(ReadError::UnknownField { .. })), "{grouped:?}");
    }

    async fn a_value_that_never_compares_with_the_field_is_an_error(store: _, _clock: _) {
        let (runtime, _) = filled(&store, 1).await;
        let list = || runtime.list::<CaseRow>();
        let of = "of projection `cases` is";
        misfit(
            list().filter("cents", Compare::Equal, "5").await,
            &format!("field `cents` {of} a number: it does not compare with the text \"5\""),
        );
        misfit(
            list().filter("note", Compare::AtLeast, 5).await,
            &format!("field `note` {of} text: it does not compare with the number 5"),
        );
        misfit(
            list().filter("urgent", Compare::Equal, 1).await,
            &format!("field `urgent` {of} a bool: it does not compare with the number 1"),
        );
        misfit(
            list().filter("cents", Compare::Equal, true).await,
            &format!("field `cents` {of} a number: it does not compare with the bool true"),
        );
        misfit(
            list().filter("channel", Compare::Equal, "online").await,
            &format!("field `channel` {of} one of `Branch`, `Online`: it does not compare with the text \"online\""),
        );
        misfit(
            list().filter("address", Compare::Equal, "Bern").await,
            &format!("field `address` {of} an object: it does not compare with the text \"Bern\""),
        );
        misfit(
            list().filter("note.length", Compare::Equal, 1).await,
            &format!("field `note` {of} text: it has no field `length`"),
        );
        misfit(list().order_by("tags").await, &format!("field `tags` {of} a list: rows are ordered by a number, text or a bool"));
    }

    async fn each_field_is_found_under_the_name_that_it_is_stored_by(store: _, _clock: _) {
        let (runtime, ids) = filled(&store, 6).await;
        let found = async |field: &'static str, value: FieldValue| {
            let list = runtime.list::<CaseRow>().filter(field, Compare::Equal, value);
            list.order_by(field).await.unwrap().rows.len()
        };
        assert_eq!(found("id", ids[3].into()).await, 1);
        let at = runtime.get::<CaseRow>(ids[3]).await.unwrap().unwrap().at;
        assert!(found("at", at.into()).await >= 1);
        assert_eq!(found("note", "note 3".into()).await, 1);
        assert_eq!(found("cents", 4.into()).await, 1);
        assert_eq!(found("cents", 4.0.into()).await, 1);
        assert_eq!(found("channel", "Branch".into()).await, 2);
        assert_eq!(found("urgent", true.into()).await, 3);
        assert_eq!(found("address.city", "city 1".into()).await, 3);
        assert_eq!(found("dotted.name", "city 1".into()).await, 3);
        assert_eq!(found("limits.daily", 7.into()).await, 6);
        assert_eq!(found("address.zip", 7.into()).await, 0);
    }

    async fn rows_with_null_come_last_or_first_and_each_is_on_one_page(store: _, _clock: _) {
        let (runtime, _) = filled(&store, 16).await;
        let list = || runtime.list::<CaseRow>().order_by("cents");
        let by_key = runtime.list::<CaseRow>().await.unwrap();
        assert_eq!(by_key.rows.len(), 16);
        for (descending, nulls_first) in [(false, false), (true, false), (false, true), (true, true)] {
            let asked = || {
                let list = if descending { list().descending() } else { list() };
                if nulls_first { list.nulls_first() } else { list }
            };
            let whole = asked().await.unwrap();
            let values: Vec<Option<i64>> = whole.rows.iter().map(|row| row.cents.as_ref().map(|cents| cents.0)).collect();
            let mut expected: Vec<Option<i64>> = (0..16).map(|number| (number % 3 != 0).then_some(number % 5)).collect();
            expected.sort_by_key(|value| {
                let value = value.map(|value| if descending { -value } else { value });
                (value.is_none() != nulls_first, value)
            });
            assert_eq!(values, expected);
            for limit in [1, 3, 7, 16] {
                let (mut keys, mut next) = (Vec::new(), None);
                loop {
                    let list = asked().limit(limit);
                    let page = match next.take() {
                        Some(next) => list.page(next).await.unwrap(),
                        None => list.await.unwrap(),
                    };
                    keys.extend(page.rows.iter().map(|row| row.key.clone()));
                    next = page.next;
                    if next.is_none() {
                        break;
                    }
                }
                let all: Vec<String> = whole.rows.iter().map(|row| row.key.clone()).collect();
                assert_eq!(keys, all, "pages of {limit}");
            }
        }
        let other = by_key.rows.len();
        let page = runtime.list::<CaseRow>().order_by("note").limit(1).await.unwrap();
        let mixed = list().page(page.next.unwrap()).await;
        assert!(matches!(mixed, Err(ReadError::Store(_))), "a page of another order, of {other} rows");
    }

    async fn text_of_any_length_and_with_any_character_is_found(store: _, _clock: _) {
        let (runtime, _) = filled(&store, 2).await;
        let long = "x".repeat(5_000);
        for note in [&*long, &format!("{long}y"), "a\0b", "\u{e001}0", "it's \"quoted\" \\u0000"] {
            let id = noted(&runtime, note).await;
            let found = runtime.list::<CaseRow>().filter("note", Compare::Equal, note).await.unwrap().rows;
            assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [id], "{note:?}");
        }
        assert_eq!(runtime.list::<CaseRow>().order_by("note").await.unwrap().rows.len(), 7);
        let behind = runtime.list::<CaseRow>().filter("note", Compare::Greater, &*long).count().await.unwrap();
        assert_eq!(behind, 2);
    }

    async fn rows_are_counted_together_and_by_a_field(store: _, _clock: _) {
        let (runtime, _) = filled(&store, 16).await;
        let list = || runtime.list::<CaseRow>();
        assert_eq!(list().count().await.unwrap(), 16);
        assert_eq!(list().filter("urgent", Compare::Equal, true).count().await.unwrap(), 8);
        let group = |value: FieldValue, count| RowGroup { value: Some(value), count };
        let by_channel = [group("Branch".into(), 4), group("Online".into(), 12)];
        assert_eq!(list().group_by("channel").await.unwrap(), by_channel);
        let urgent = list().filter("channel", Compare::Equal, "Online").group_by("urgent").await.unwrap();
        assert_eq!(urgent, [group(false.into(), 8), group(true.into(), 4)]);
        let dotted = list().group_by("dotted.name").await.unwrap();
        assert_eq!(dotted, [group("city 0".into(), 8), group("city 1".into(), 8)]);
        let cents = list().group_by("cents").await.unwrap();
        assert_eq!(cents.iter().map(|group| group.count).sum::<u64>(), 16);
        assert_eq!(cents.last().unwrap(), &RowGroup { value: None, count: 6 });

        let error = list().group_by("note").await.unwrap_err();
        assert!(matches!(error, ReadError::NotIndexed { .. }), "{error}");
        assert!(error.to_string().contains("declare it with `index = [\"note\"]`"), "{error}");
        // In memory no index is needed.
        assert_eq!(runtime.list::<Note>().group_by("channel").await.unwrap(), by_channel);
        let none = Runtime::builder(es_runtime::MemoryStore::new()).projection::<Note>().start().await.unwrap();
        assert_eq!(none.list::<Note>().count().await.unwrap(), 0);
        assert_eq!(none.list::<Note>().group_by("channel").await.unwrap(), []);
    }
}
