//! G: the rows of a projection.

use std::time::Duration;

use es_runtime::store::{
    Commit, CommitError, Compare, FieldValue, Lease, ParkReason, Parked, Row, RowChange, RowCursor, RowQuery, RowTable,
};
use es_runtime::{EventId, Position, StoreError, StoreErrorKind};

use crate::check::{Checked, holds, present, same};
use crate::projections::{LONG, READER, all_rows, append, change, checkpoint, commit, filled, leased, of, table};
use crate::queries::filter;
use crate::subject::{Projections, Subject, at_once};

pub(crate) async fn g19_rows_come_back_as_written(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 3).await?;
    let lease = leased(&store, "owner").await?;
    let longest = "k".repeat(Commit::LONGEST_KEY);
    let rows = [
        ("A", r#"{"count": 1 ,  "a":1.50, "a2":1e2}"#.to_owned()),
        ("a", r#"{"z":1,"a":2}"#.to_owned()),
        ("a ", "null".to_owned()),
        ("ä", "\n[ 1,2 ]\n".to_owned()),
        ("a\u{308}", r#""text""#.to_owned()),
        ("'\"\\%_;--", r#"{"quote":"it's \"so\" \\ \/"}"#.to_owned()),
        (
            "\u{1}\n",
            r#"{"nul":"\u0000","count":"a\u0000b","bell":"\u0007"}"#.to_owned(),
        ),
        (
            "🦀",
            format!(r#"{{"big":{},"small":-0.0,"deep":[[[[{{}}]]]]}}"#, u64::MAX),
        ),
        (&longest, format!(r#"{{"count":"{}"}}"#, "x".repeat(100_000))),
    ];
    let changes = rows.iter().map(|(key, data)| change(key, data.clone(), 2)).collect();
    store.commit(commit(&lease, 0, 2, changes)).await?;

    let written = |key: &str, data: &str| Row {
        key: key.to_owned(),
        data: data.to_owned().into(),
        position: Position(2),
    };
    let mut keys: Vec<String> = rows.iter().map(|(key, _)| (*key).to_owned()).collect();
    keys.insert(3, "none".to_owned());
    keys.push(keys[0].clone());
    let came = store.rows(&table(), &keys).await?;
    let mut expected: Vec<Option<Row>> = rows.iter().map(|(key, data)| Some(written(key, data))).collect();
    expected.insert(3, None);
    expected.push(expected[0].clone());
    same("the rows, in the order of the keys asked for", came, expected)?;
    same("no rows of no keys", store.rows(&table(), &[]).await?, vec![])?;
    let mut listed: Vec<Row> = rows.iter().map(|(key, data)| written(key, data)).collect();
    listed.sort_by(|row, other| row.key.as_bytes().cmp(other.key.as_bytes()));
    same(
        "all rows, by the bytes of their keys",
        all_rows(&store).await?,
        listed.clone(),
    )?;

    let next = RowTable { version: 2, ..table() };
    store.create_table(&next).await?;
    same(
        "the rows of another version",
        store.list_rows(&next, &RowQuery::default()).await?,
        vec![],
    )?;
    let mut beside = commit(&lease, 2, 3, vec![change("A", "{}", 3)]);
    beside.table = next.clone();
    store.commit(beside).await?;
    same("the rows of the first version", all_rows(&store).await?, listed.clone())?;

    let gone = |key: &str| RowChange {
        data: None,
        ..change(key, "", 3)
    };
    store
        .commit(commit(&lease, 3, 3, vec![gone("A"), gone("none"), change("a", "0", 3)]))
        .await?;
    listed.retain(|row| row.key != "A");
    let second = present("the row `a`", listed.iter_mut().find(|row| row.key == "a"))?;
    (second.data, second.position) = ("0".into(), Position(3));
    same(
        "all rows after one was deleted and one changed",
        all_rows(&store).await?,
        listed,
    )
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(result: Result<T, StoreError>, what: impl std::fmt::Display) -> Checked {
    let is = matches!(&result, Err(error) if error.kind() == StoreErrorKind::Rejected);
    holds(is, what, "an error of kind Rejected", result)
}

pub(crate) async fn g21_bad_input_is_refused(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 3).await?;
    let lease = leased(&store, "owner").await?;
    bad_names(&store).await?;
    bad_queries(&store).await?;
    bad_commits(&store, &lease).await?;
    same(
        "that the longest time is allowed",
        store.renew(&lease, Duration::MAX).await?,
        true,
    )?;
    same("the rows after all that", all_rows(&store).await?, vec![])?;
    same(
        "the checkpoint after all that",
        checkpoint(&store).await?,
        Position::ZERO,
    )
}

async fn bad_names(store: &Projections) -> Checked {
    let long = "n".repeat(RowTable::LONGEST_NAME + 1);
    for name in [
        "",
        "Upper",
        "with space",
        "quote\"",
        "1st",
        "sqlite_rows",
        "pg_rows",
        &long,
    ] {
        let bad = RowTable {
            projection: name.to_owned().into(),
            ..table()
        };
        rejected(
            store.create_table(&bad).await,
            format_args!("a table for a projection called {name:?}"),
        )?;
    }
    let longest = RowTable {
        projection: "n".repeat(RowTable::LONGEST_NAME).into(),
        version: u32::MAX,
        ..table()
    };
    store.create_table(&longest).await?;
    store
        .create_table(&RowTable {
            beside: true,
            ..longest.clone()
        })
        .await?;
    same(
        "the rows of the longest name",
        store.list_rows(&longest, &RowQuery::default()).await?,
        vec![],
    )?;
    for name in ["", "a\0b", &"n".repeat(513)] {
        rejected(
            store.acquire(name, "owner", LONG).await,
            format_args!("a lease called {name:?}"),
        )?;
        rejected(
            store.parked(name, Position::ZERO, 1).await,
            format_args!("a reader called {name:?}"),
        )?;
        rejected(
            store.acquire(READER, name, LONG).await,
            format_args!("an owner called {name:?}"),
        )?;
    }
    Ok(())
}

async fn bad_queries(store: &Projections) -> Checked {
    for path in ["", "a..b", "a\"b", "a\0b", &"p".repeat(201)] {
        let bad = RowTable {
            indexes: vec![path.to_owned().into()].into(),
            ..table()
        };
        rejected(store.create_table(&bad).await, format_args!("an index on {path:?}"))?;
        let query = RowQuery {
            order_by: Some(path.to_owned().into()),
            ..RowQuery::default()
        };
        rejected(
            store.list_rows(&table(), &query).await,
            format_args!("an order by {path:?}"),
        )?;
    }
    let nan = RowQuery {
        filters: vec![filter(Compare::Equal, FieldValue::Float(f64::NAN))],
        ..RowQuery::default()
    };
    rejected(store.list_rows(&table(), &nan).await, "a filter for NaN")?;
    let of_key = Some(RowCursor {
        order_by: None,
        value: None,
        key: "a".to_owned(),
    });
    let mixed = RowQuery {
        order_by: Some("count".into()),
        after: of_key,
        ..RowQuery::default()
    };
    rejected(store.list_rows(&table(), &mixed).await, "a cursor of another order")?;
    let absent = RowTable { version: 9, ..table() };
    rejected(
        store.rows(&absent, &["a".to_owned()]).await,
        "rows of a table that is not there",
    )?;
    rejected(
        store.list_rows(&absent, &RowQuery::default()).await,
        "a list of a table that is not there",
    )
}

async fn bad_commits(store: &Projections, lease: &Lease) -> Checked {
    let long = "k".repeat(Commit::LONGEST_KEY + 1);
    let deep = "[".repeat(200) + &"]".repeat(200);
    let twice = vec![change("a", "1", 1), change("a", "2", 1)];
    let nul = Parked {
        position: Position(1),
        event: EventId(uuid::Uuid::nil()),
        reason: ParkReason::Failed,
        error: "a\0b".to_owned(),
        attempts: 1,
    };
    let ok = |rows| commit(lease, 0, 1, rows);
    let mut parking = ok(vec![]);
    parking.advance.park = vec![nul];
    let bad = [
        ("an empty key", ok(vec![change("", "1", 1)])),
        ("a long key", ok(vec![change(&long, "1", 1)])),
        ("a key with a NUL", ok(vec![change("a\0", "1", 1)])),
        ("a key twice", ok(twice)),
        ("an empty row", ok(vec![change("b", "", 1)])),
        ("a row with something behind it", ok(vec![change("b", "{} 1", 1)])),
        ("a row that is not UTF-8", ok(vec![change("b", &b"\"\xff\""[..], 1)])),
        ("a deep row", ok(vec![change("b", deep, 1)])),
        ("a reader without a name", of("", table(), ok(vec![]))),
        ("a NUL in an error", parking),
    ];
    for (what, commit) in bad {
        let result = store.commit(commit).await;
        let is = matches!(&result, Err(CommitError::Store(error))
            if error.kind() == StoreErrorKind::Rejected);
        holds(is, what, "a Store error of kind Rejected", result)?;
    }
    Ok(())
}

pub(crate) async fn g22_tables_are_created_once(subject: &Subject<'_>) -> Checked {
    let handles = [
        subject.projections().await?,
        subject.projections().await?,
        subject.projections().await?,
    ];
    let creating = (0..8).map(|number| {
        let store = handles[number % 3].clone();
        async move { store.create_table(&table()).await }
    });
    for result in at_once(creating).await {
        result?;
    }
    let [store, ..] = &handles;
    append(store, 1).await?;
    let lease = leased(store, "owner").await?;
    store
        .commit(commit(&lease, 0, 1, vec![change("a", r#"{"count":1,"owner":"x"}"#, 1)]))
        .await?;
    let more = RowTable {
        indexes: vec!["count".into(), "owner".into(), "it's - odd".into()].into(),
        ..table()
    };
    store.create_table(&more).await?;
    same("the rows after an index was added", all_rows(store).await?.len(), 1)?;
    let by_owner = RowQuery {
        order_by: Some("owner".into()),
        ..RowQuery::default()
    };
    same(
        "the rows by that index",
        store.list_rows(&more, &by_owner).await?.len(),
        1,
    )
}
