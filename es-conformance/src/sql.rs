//! G: what methods of the user write to tables of their own changes together with the checkpoint, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{SqlSchema, WriteError};
use es_runtime::store::{Advance, CommitError, ParkReason, Parked, RowTable};
use es_runtime::{Position, StoreErrorKind};

use crate::check::{Among as _, Checked, Stop, holds, present, same};
use crate::projections::{LONG, READER, append, checkpoint, leased, moves};
use crate::scale::scaled;
use crate::sql_tables::{SqlStep, SqlTables};
use crate::subject::{Projections, Subject, at_once, joined};

pub(crate) type Tables = Arc<dyn SqlTables>;

pub(crate) fn schema(store: &Tables, version: u32) -> SqlSchema {
    SqlSchema {
        projection: "numbers".into(),
        version,
        sql: store.statement(version).into(),
    }
}

/// A store with so many events, the tables of version 1, and nothing else.
async fn filled(subject: &Subject<'_>, length: u64) -> Checked<(Tables, Projections, SqlSchema)> {
    let tables = subject.sql().await?;
    let (store, schema) = (Projections(tables.projections()), schema(&tables, 1));
    tables.create_schema(&schema).await?;
    append(&store, length).await?;
    Ok((tables, store, schema))
}

fn inserts(numbers: impl IntoIterator<Item = i64>) -> Vec<SqlStep> {
    numbers.into_iter().map(SqlStep::Insert).collect()
}

pub(crate) async fn numbers(tables: &Tables, schema: &SqlSchema) -> Checked<Vec<i64>> {
    let numbers = tables.numbers(schema).await;
    present(format_args!("the table of {}", schema.name()), numbers)
}

/// Nothing but this is there.
async fn stands(tables: &Tables, schema: &SqlSchema, at: u64, wanted: Vec<i64>) -> Checked {
    same("what the table holds", numbers(tables, schema).await?, wanted)?;
    let store = Projections(tables.projections());
    same("the checkpoint", checkpoint(&store).await?, Position(at))
}

#[track_caller]
pub(crate) fn written(result: Result<(), WriteError>) -> Checked {
    result.map_err(|error| Stop::broken("steps that are in order", "to be written", format_args!("{error:?}")))
}

#[track_caller]
fn lost<E: std::fmt::Debug>(what: &str, result: Result<(), E>, is: impl FnOnce(&E) -> bool) -> Checked {
    let right = result.as_ref().is_err_and(is);
    holds(right, what, format_args!("LeaseLost {{ lease: {READER} }}"), result)
}

pub(crate) async fn g27_schemas_are_created_once(subject: &Subject<'_>) -> Checked {
    let handles = [subject.sql().await?, subject.sql().await?];
    let [one, other] = &handles;
    let first = schema(one, 1);
    let asking = (0..8).map(|number| {
        let (handle, schema) = (Arc::clone(&handles[number % 2]), first.clone());
        async move { handle.create_schema(&schema).await }
    });
    for created in at_once(asking).await {
        created?;
    }
    let store = Projections(one.projections());
    append(&store, 3).await?;
    let lease = leased(&store, "writer").await?;
    written(one.run_steps(&first, inserts([7]), Some(moves(&lease, 0, 1))).await)?;

    let spaced = SqlSchema {
        sql: format!("\n  {}\n", first.sql.replace(' ', "  ")).into(),
        ..first.clone()
    };
    for again in [&first, &spaced] {
        other.create_schema(again).await?;
    }
    stands(other, &first, 1, vec![7]).await?;

    let changed = SqlSchema {
        sql: format!("{}; CREATE TABLE figures_v1 (figure INTEGER)", first.sql).into(),
        ..first.clone()
    };
    let refused = other.create_schema(&changed).await;
    let is_rejected = |result: &Result<(), es_runtime::StoreError>| matches!(result, Err(error) if error.kind() == StoreErrorKind::Rejected);
    holds(
        is_rejected(&refused),
        "other statements for tables that are there",
        "Rejected",
        &refused,
    )?;
    stands(one, &first, 1, vec![7]).await?;

    // All or nothing: the first statement of a schema that is refused leaves no table that the second try would meet.
    let second = schema(one, 2);
    let torn = SqlSchema {
        sql: format!("{}; CREATE TABEL misspelt (number INTEGER)", second.sql).into(),
        ..second.clone()
    };
    let refused = one.create_schema(&torn).await;
    holds(
        is_rejected(&refused),
        "a statement that is misspelt",
        "Rejected",
        &refused,
    )?;
    same(
        "the table of a schema that was refused",
        one.numbers(&second).await,
        None,
    )?;
    other.create_schema(&second).await?;
    same("the table of another version", numbers(one, &second).await?, Vec::new())?;
    stands(one, &first, 1, vec![7]).await
}

pub(crate) async fn g28_steps_and_checkpoint_commit_together(subject: &Subject<'_>) -> Checked {
    let length = scaled(100, 1_000);
    let (tables, store, schema) = filled(subject, length).await?;
    let other = subject.sql().await?;
    let lease = leased(&store, "writer").await?;
    let done = Arc::new(AtomicBool::new(false));
    // At a moment at which the checkpoint did not move there are as many numbers as it says.
    let reading = tokio::spawn({
        let (done, schema) = (Arc::clone(&done), schema.clone());
        async move {
            let store = Projections(other.projections());
            while !done.load(Ordering::SeqCst) {
                let before = checkpoint(&store).await?;
                let count = numbers(&other, &schema).await?.len() as u64;
                if checkpoint(&store).await? == before {
                    same(
                        "how many numbers there are, beside the checkpoint",
                        Position(count),
                        before,
                    )?;
                }
            }
            Ok::<_, Stop>(())
        }
    });
    let mut writing = Ok(());
    for (at, number) in (0..length).zip(0..) {
        let commit = Some(moves(&lease, at, at + 1));
        writing = written(tables.run_steps(&schema, inserts([number]), commit).await);
        if writing.is_err() {
            break;
        }
    }
    done.store(true, Ordering::SeqCst);
    joined(reading).await?;
    writing?;
    let all: Vec<i64> = (0..).take(usize::try_from(length).unwrap_or(usize::MAX)).collect();
    stands(&tables, &schema, length, all.clone()).await?;

    let undone = tables.run_steps(&schema, inserts([77]), None).await;
    written(undone).among("without a commit")?;
    stands(&tables, &schema, length, all.clone()).await?;
    let moved = tables
        .run_steps(&schema, inserts([78]), Some(moves(&lease, length - 1, length)))
        .await;
    holds(
        matches!(&moved, Err(WriteError::Commit(CommitError::Moved { .. }))),
        "steps from where the checkpoint does not stand",
        "Moved",
        moved,
    )?;
    stands(&tables, &schema, length, all).await
}

pub(crate) async fn g29_failing_step_writes_nothing(subject: &Subject<'_>) -> Checked {
    let (tables, store, schema) = filled(subject, 5).await?;
    let lease = leased(&store, "writer").await?;
    written(tables.run_steps(&schema, inserts([1]), Some(moves(&lease, 0, 1))).await)?;
    for failing in [SqlStep::InsertAndFail(3), SqlStep::InsertAndPanic(3), SqlStep::Refused] {
        let steps = vec![SqlStep::Insert(2), failing, SqlStep::Insert(4)];
        for commit in [Some(moves(&lease, 1, 4)), None] {
            let result = tables.run_steps(&schema, steps.clone(), commit).await;
            let is_told = matches!(
                (&result, failing),
                (
                    Err(WriteError::Poison {
                        index: Some(1),
                        error: ApplyError::Panicked(_)
                    }),
                    SqlStep::InsertAndPanic(_)
                ) | (
                    Err(WriteError::Poison {
                        index: Some(1),
                        error: ApplyError::Method(_)
                    }),
                    SqlStep::InsertAndFail(_) | SqlStep::Refused
                )
            );
            holds(
                is_told,
                format_args!("the second of three steps, {failing:?}"),
                "Poison with index 1, and what it failed with",
                result,
            )?;
            stands(&tables, &schema, 1, vec![1])
                .await
                .among(format_args!("{failing:?}"))?;
        }
    }
    written(
        tables
            .run_steps(&schema, inserts([2, 3]), Some(moves(&lease, 1, 3)))
            .await,
    )?;
    stands(&tables, &schema, 3, vec![1, 2, 3]).await
}

pub(crate) async fn g30_lost_lease_fences_steps(subject: &Subject<'_>) -> Checked {
    let (tables, store, schema) = filled(subject, 5).await?;
    let first = leased(&store, "first").await?;
    written(tables.run_steps(&schema, inserts([1]), Some(moves(&first, 0, 1))).await)?;
    store.release(&first).await?;
    let second = leased(&store, "second").await?;
    let late = tables.run_steps(&schema, inserts([2]), Some(moves(&first, 1, 2))).await;
    lost(
        "steps under a lease that was lost",
        late,
        |error| matches!(error, WriteError::Commit(CommitError::LeaseLost { lease }) if lease == READER),
    )?;
    let late = tables.forget_schema(&schema, READER, &first).await;
    lost(
        "a lost owner that forgets",
        late,
        |error| matches!(error, CommitError::LeaseLost { lease } if lease == READER),
    )?;
    stands(&tables, &schema, 1, vec![1]).await?;
    written(
        tables
            .run_steps(&schema, inserts([2]), Some(moves(&second, 1, 2)))
            .await,
    )?;
    stands(&tables, &schema, 2, vec![1, 2]).await
}

pub(crate) async fn g31_forgotten_tables_begin_anew(subject: &Subject<'_>) -> Checked {
    let (tables, store, first) = filled(subject, 5).await?;
    let second = schema(&tables, 2);
    tables.create_schema(&second).await?;
    let lease = leased(&store, "writer").await?;
    let elsewhere = store.acquire("another reader", "writer", LONG).await?;
    let elsewhere = present("a free lease", elsewhere)?;
    let other = Advance {
        reader: "another reader".to_owned(),
        ..moves(&elsewhere, 0, 2)
    };
    written(tables.run_steps(&second, inserts([10, 20]), Some(other)).await)?;
    let log = store.events().log().await?;
    let parked = Parked {
        position: Position(2),
        event: log[1].id,
        reason: ParkReason::Failed,
        error: "it is unlucky".to_owned(),
        attempts: 1,
    };
    let parks = Advance {
        park: vec![parked],
        ..moves(&lease, 0, 3)
    };
    written(tables.run_steps(&first, inserts([1, 3]), Some(parks)).await)?;
    stands(&tables, &first, 3, vec![1, 3]).await?;

    tables.forget_schema(&first, READER, &lease).await?;
    stands(&tables, &first, 0, Vec::new()).await?;
    same(
        "the parked events",
        store.parked(READER, Position::ZERO, 10).await?,
        Vec::new(),
    )?;
    same(
        "the table of the other version",
        numbers(&tables, &second).await?,
        vec![10, 20],
    )?;
    let stays = store.checkpoint("another reader").await?;
    same(
        "the checkpoint of the other version",
        stays.map(|checkpoint| checkpoint.position),
        Some(Position(2)),
    )?;
    written(
        tables
            .run_steps(&first, inserts([1, 2, 3]), Some(moves(&lease, 0, 3)))
            .await,
    )?;
    stands(&tables, &first, 3, vec![1, 2, 3]).await
}

pub(crate) async fn g37_tables_of_old_versions_are_dropped(subject: &Subject<'_>) -> Checked {
    let (tables, store, first) = filled(subject, 5).await?;
    let second = schema(&tables, 2);
    tables.create_schema(&second).await?;
    let lease = leased(&store, "writer").await?;
    let moves_second = Advance {
        reader: "second".to_owned(),
        ..moves(&lease, 0, 2)
    };
    written(
        tables
            .run_steps(&first, inserts([1, 2]), Some(moves(&lease, 0, 2)))
            .await,
    )?;
    written(tables.run_steps(&second, inserts([1, 2]), Some(moves_second)).await)?;
    same("the versions", store.versions("numbers").await?, vec![1, 2])?;
    let of_first = RowTable {
        projection: first.projection.clone(),
        version: first.version,
        indexes: Vec::new().into(),
        beside: false,
    };

    store.release(&lease).await?;
    let owner = leased(&store, "another").await?;
    let late = store.drop_table(&of_first, &[READER.to_owned()], &lease).await;
    lost(
        "a lost owner that drops",
        late,
        |error| matches!(error, CommitError::LeaseLost { lease } if lease == READER),
    )?;
    stands(&tables, &first, 2, vec![1, 2]).await?;

    for _ in 0..2 {
        store.drop_table(&of_first, &[READER.to_owned()], &owner).await?;
        same("the versions", store.versions("numbers").await?, vec![2])?;
        same("the table that was dropped", tables.numbers(&first).await, None)?;
        same("its checkpoint", store.checkpoint(READER).await?, None)?;
        same(
            "the table of the other version",
            numbers(&tables, &second).await?,
            vec![1, 2],
        )?;
        let stays = store.checkpoint("second").await?.map(|checkpoint| checkpoint.position);
        same("its checkpoint", stays, Some(Position(2)))?;
    }
    tables.create_schema(&first).await?;
    written(tables.run_steps(&first, inserts([3]), Some(moves(&owner, 0, 1))).await)?;
    stands(&tables, &first, 1, vec![3]).await
}
