//! G: what is built beside, and takes the place of what is shown.

use es_runtime::Position;
use es_runtime::store::ReadLog;
use es_runtime::store::{
    Commit, CommitError, Difference, Differences, Lease, ParkReason, Parked, Replace, Row, RowTable,
};
use futures_util::TryStreamExt as _;

use crate::check::{Checked, Stop, holds, same};
use crate::projections::{READER, all_rows, change, checkpoint, commit, filled, leased, of, table};
use crate::scale::scaled;
use crate::subject::{Projections, Subject};

/// The reader that builds beside.
const BESIDE: &str = "counts beside";

fn beside() -> RowTable {
    RowTable {
        beside: true,
        ..table()
    }
}

fn replace(lease: &Lease, from: u64, to: u64) -> Replace {
    Replace {
        lease: lease.clone(),
        reader: READER.to_owned(),
        table: table(),
        from: Position(from),
        beside: BESIDE.to_owned(),
        table_beside: beside(),
        to: Position(to),
    }
}

/// A commit of the one beside.
fn built(lease: &Lease, from: u64, to: u64, rows: Vec<es_runtime::store::RowChange>) -> Commit {
    of(BESIDE, beside(), commit(lease, from, to, rows))
}

async fn parked(store: &Projections, position: u64) -> Checked<Parked> {
    let query = ReadLog::new().from(Position(position)).limit(1);
    let event = store.read_log(query).try_next().await?;
    let event = event.ok_or_else(|| Stop::broken("the log", "an event to park", "none"))?;
    Ok(Parked {
        position: Position(position),
        event: event.id,
        reason: ParkReason::Failed,
        error: "bad".to_owned(),
        attempts: 1,
    })
}

async fn parked_at(store: &Projections, reader: &str) -> Checked<Vec<u64>> {
    let parked = store.parked(reader, Position::ZERO, 10).await?;
    Ok(parked.into_iter().map(|parked| parked.position.0).collect())
}

pub(crate) async fn g23_rebuilt_rows_replace_shown_ones(subject: &Subject<'_>) -> Checked {
    let rounds = scaled(10, 100);
    let store = filled(subject, 2 + rounds).await?;
    let reader = subject.projections().await?;
    let lease = leased(&store, "owner").await?;
    let mut first = commit(
        &lease,
        0,
        1,
        vec![change("gone", "{}", 1), change("kept", r#"{"count":1}"#, 1)],
    );
    first.advance.park = vec![parked(&store, 1).await?];
    store.commit(first).await?;

    for round in 1..=rounds {
        let to = round + 1;
        store.create_table(&beside()).await?;
        // Far more rows than one: whoever could see a part of them would.
        let mut rows: Vec<_> = (0..200)
            .map(|key| change(&format!("row {key:03}"), format!(r#"{{"count":{round}}}"#), to))
            .collect();
        rows.push(change("kept", r#"{"count":1}"#, 1));
        let mut build = built(&lease, 0, to, rows);
        build.advance.park = vec![parked(&store, to).await?];
        store.commit(build).await?;
        let watching = {
            let reader = reader.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..20 {
                    let mut rows = all_rows(&reader).await?;
                    rows.retain(|row| row.key.starts_with("row"));
                    seen.push(rows);
                }
                Checked::Ok(seen)
            })
        };
        store.replace(replace(&lease, round, to)).await?;
        let seen = watching
            .await
            .map_err(|error| Stop::broken("a reader", "no panic", error))??;
        for rows in seen {
            let is_whole = rows.is_empty() && round == 1
                || rows.len() == 200 && rows.windows(2).all(|pair: &[Row]| pair[0].data == pair[1].data);
            holds(
                is_whole,
                "what a reader sees meanwhile",
                "all of the one or of the other",
                &rows,
            )?;
        }
        let rows = all_rows(&reader).await?;
        same("how many rows there are", rows.len(), 201)?;
        holds(
            rows[0].key == "kept" && rows[0].position == Position(1),
            "an equal row",
            "left as it was",
            &rows[0],
        )?;
        same("the position of a new row", rows[1].position, Position(to))?;
        same("the checkpoint", checkpoint(&reader).await?, Position(to))?;
        same("the parked events", parked_at(&reader, READER).await?, vec![to])?;
        same("those beside", parked_at(&reader, BESIDE).await?, vec![])?;
        same("the checkpoint beside", store.checkpoint(BESIDE).await?, None)?;
        let gone = store.rows(&beside(), &["kept".to_owned()]).await;
        holds(gone.is_err(), "the table beside", "to be gone", &gone)?;
    }
    store
        .commit(commit(
            &lease,
            rounds + 1,
            rounds + 2,
            vec![change("kept", "{}", rounds + 2)],
        ))
        .await?;
    same("the checkpoint", checkpoint(&reader).await?, Position(rounds + 2))
}

pub(crate) async fn g24_refused_replacement_changes_nothing(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 9).await?;
    let lease = leased(&store, "owner").await?;
    store
        .commit(commit(&lease, 0, 3, vec![change("a", r#"{"count":1}"#, 3)]))
        .await?;
    let no_table = store.replace(replace(&lease, 3, 5)).await;
    holds(
        no_table.is_err(),
        "a replacement by what is not there",
        "refused",
        &no_table,
    )?;
    store.create_table(&beside()).await?;
    store
        .commit(built(&lease, 0, 5, vec![change("a", r#"{"count":2}"#, 5)]))
        .await?;
    let before = all_rows(&store).await?;

    for (from, to) in [(2, 5), (4, 5), (3, 4), (3, 6)] {
        let moved = store.replace(replace(&lease, from, to)).await;
        let is = matches!(&moved, Err(CommitError::Moved { .. }));
        holds(is, "a replacement from elsewhere", "Moved", &moved)?;
    }
    let back = store.replace(replace(&lease, 6, 5)).await;
    holds(back.is_err(), "a replacement that would go back", "refused", &back)?;
    let stale = Lease {
        epoch: lease.epoch + 1,
        ..lease.clone()
    };
    let lost = store.replace(replace(&stale, 3, 5)).await;
    let is = matches!(&lost, Err(CommitError::LeaseLost { .. }));
    holds(is, "a replacement under a lost lease", "LeaseLost", &lost)?;
    let dropped = store.drop_table(&table(), &[READER.to_owned()], &stale).await;
    let is = matches!(&dropped, Err(CommitError::LeaseLost { .. }));
    holds(is, "a table dropped under a lost lease", "LeaseLost", &dropped)?;

    same("the rows after all that", all_rows(&store).await?, before)?;
    same("the checkpoint after all that", checkpoint(&store).await?, Position(3))?;
    store.replace(replace(&lease, 3, 5)).await?;
    same("the checkpoint", checkpoint(&store).await?, Position(5))
}

pub(crate) async fn g25_differences_are_told(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 9).await?;
    let lease = leased(&store, "owner").await?;
    store.create_table(&beside()).await?;
    let differences = async |limit| store.differences(&table(), &beside(), limit).await;
    same("empty tables", differences(5).await?, Differences::default())?;
    let row = |key: &str, count: u64, at: u64| change(key, format!(r#"{{"count":{count}}}"#), at);
    let old = ["a", "b", "Z", "ä", "same"].map(|key| row(key, 1, 1));
    let new = [
        row("b", 2, 2),
        row("c", 1, 2),
        row("Z", 3, 2),
        row("ä", 1, 2),
        row("same", 1, 1),
    ];
    store.commit(commit(&lease, 0, 1, old.into())).await?;
    store.commit(built(&lease, 0, 2, new.into())).await?;
    let told = |key: &str, old: Option<u64>, new: Option<u64>| Difference {
        key: key.to_owned(),
        old: old.map(|count| format!(r#"{{"count":{count}}}"#)),
        new: new.map(|count| format!(r#"{{"count":{count}}}"#)),
    };
    let all = [
        told("Z", Some(1), Some(3)),
        told("a", Some(1), None),
        told("b", Some(1), Some(2)),
        told("c", None, Some(1)),
    ];
    for limit in [0, 1, 3, 4, 100] {
        let first = all.iter().take(limit).cloned().collect();
        let found = differences(u32::try_from(limit).unwrap_or(u32::MAX)).await?;
        same(
            format_args!("the first {limit} differences"),
            found,
            Differences { count: 4, first },
        )?;
    }
    let absent = store
        .differences(&table(), &RowTable { version: 9, ..table() }, 1)
        .await;
    holds(
        absent.is_err(),
        "the differences from a table that is not there",
        "an error",
        &absent,
    )
}

pub(crate) async fn g26_versions_are_listed_and_dropped(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let lease = leased(&store, "owner").await?;
    same("the versions", store.versions(READER).await?, vec![1])?;
    same(
        "the versions of another projection",
        store.versions("count").await?,
        vec![],
    )?;
    let second = RowTable { version: 2, ..table() };
    let tenth = RowTable { version: 10, ..table() };
    for table in [&tenth, &second, &beside()] {
        store.create_table(table).await?;
    }
    same("the versions", store.versions(READER).await?, vec![1, 2, 10])?;
    store.commit(commit(&lease, 0, 1, vec![change("a", "{}", 1)])).await?;
    let rows = vec![change("a", "{}", 2)];
    let mut of_second = of("second", second.clone(), commit(&lease, 0, 2, rows));
    of_second.advance.park = vec![parked(&store, 2).await?];
    store.commit(of_second).await?;

    for _ in 0..2 {
        store
            .drop_table(&second, &["second".to_owned(), "nobody".to_owned()], &lease)
            .await?;
        same("the versions", store.versions(READER).await?, vec![1, 10])?;
        same(
            "the checkpoint of what was dropped",
            store.checkpoint("second").await?,
            None,
        )?;
        same("its parked events", parked_at(&store, "second").await?, vec![])?;
    }
    same(
        "the checkpoint of another version",
        checkpoint(&store).await?,
        Position(1),
    )?;
    same("its rows", all_rows(&store).await?.len(), 1)?;
    store.create_table(&second).await?;
    let anew = store.rows(&second, &["a".to_owned()]).await?;
    same("the rows of a table that was created anew", anew, vec![None])
}
