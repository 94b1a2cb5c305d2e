//! G: what inline projections write is a part of the append: all of it is stored, or nothing. The same holds for tables that
//! methods write and for rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::SqlSchema;
use es_runtime::store::{Advance, Append, AppendError, Appended, InlineError, InlineReader, ReadLog};
use es_runtime::{ExpectedVersion, NewEvent, Position, StreamId, Version};

use crate::check::{Among as _, Checked, Stop, holds, present, same};
use crate::idempotency::key;
use crate::projections::{LONG, moves};
use crate::row_numbers::RowNumbers;
use crate::sample::{event, events, stream};
use crate::scale::scaled;
use crate::sql::{Tables, numbers, schema, written};
use crate::sql_tables::{SqlInline, SqlStep};
use crate::subject::{Projections, Subject, at_once, joined};

/// The form in which the projections of a case keep their numbers.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Tables,
    Rows,
}

impl Kind {
    async fn open(self, subject: &Subject<'_>) -> Checked<Tables> {
        Ok(match self {
            Self::Tables => subject.sql().await?,
            Self::Rows => Arc::new(RowNumbers(subject.projections().await?)),
        })
    }
}

/// An inline projection.
#[derive(Debug, Clone)]
struct One {
    reader: InlineReader,
    schema: SqlSchema,
}

/// Two inline projections: versions 1 and 2 of the tables. The second one takes in another category too.
struct Inline {
    tables: Tables,
    projections: [One; 2],
}

impl Inline {
    /// With tables and, if they are `begun`, marked as being as new as the log, which is empty.
    async fn new(subject: &Subject<'_>, kind: Kind, begun: bool) -> Checked<Self> {
        let tables = kind.open(subject).await?;
        let one = |version, categories: &[&str]| One {
            schema: schema(&tables, version),
            reader: InlineReader {
                reader: format!("inline@{version}"),
                mark: format!("inline@{version} ready"),
                categories: categories.iter().map(|category| (*category).to_owned()).collect(),
            },
        };
        let inline = Self {
            projections: [one(1, &["conformance"]), one(2, &["conformance", "other"])],
            tables,
        };
        for projection in &inline.projections {
            inline.tables.create_schema(&projection.schema).await?;
            if begun {
                inline.mark(projection).await?;
            }
        }
        Ok(inline)
    }

    fn store(&self) -> Projections {
        Projections(self.tables.projections())
    }

    /// A commit of the reader's own task, which runs these steps.
    async fn take_in(&self, projection: &One, steps: Vec<SqlStep>, to: Position) -> Checked {
        let (store, name) = (self.store(), &projection.reader.reader);
        let lease = store.acquire(name, "task", LONG).await?;
        let lease = present("the lease of the projection", lease)?;
        let from = store.checkpoint(name).await?;
        let from = from.map_or(Position::ZERO, |checkpoint| checkpoint.position);
        let at = store.events().read_positions(ReadLog::new().from(to).to(to)).await?;
        let advance = Advance {
            reader: name.clone(),
            event: at.first().map(|event| event.id),
            ..moves(&lease, from, to)
        };
        written(self.tables.run_steps(&projection.schema, steps, Some(advance)).await)
    }

    /// Says of the projection that it was once as new as the log.
    async fn mark(&self, projection: &One) -> Checked {
        let store = self.store();
        let lease = store.acquire(&projection.reader.reader, "task", LONG).await?;
        let lease = present("the lease of the projection", lease)?;
        let mark = Advance {
            reader: projection.reader.mark.clone(),
            ..moves(&lease, 0, 0)
        };
        Ok(store.advance(mark).await?)
    }

    /// Appends with steps of both.
    async fn append(
        &self,
        append: Append,
        first: Vec<(usize, SqlStep)>,
        second: Vec<(usize, SqlStep)>,
    ) -> Result<Appended, InlineError> {
        let inline = self.projections.iter().cloned().zip([first, second]);
        let inline = inline.map(|(One { reader, schema }, steps)| SqlInline {
            projection: reader,
            schema,
            steps,
        });
        // The runtime checks it before it hands it on, too.
        self.store().limits().check(&append)?;
        self.tables.append_with(append, inline.collect()).await
    }

    /// An append that both take in is refused, because this one is behind.
    async fn refuses(&self, what: &str, expected: u64, behind: usize) -> Checked {
        let what = format!("an append {what}");
        let (store, steps) = (self.store(), vec![insert(0, 99)]);
        let head = store.head().await?;
        let result = self
            .append(batch(expected, vec![event(99)]), steps.clone(), steps)
            .await;
        let is_behind = matches!(result, Err(InlineError::Behind { projection }) if projection == behind);
        is(&what, &result, &format!("Behind {{ projection: {behind} }}"), is_behind)?;
        same("the head", store.head().await?, head).among(&what)?;
        for projection in &self.projections {
            let rows = numbers(&self.tables, &projection.schema).await?;
            same("whether a row was written", rows.contains(&99), false).among(&what)?;
        }
        Ok(())
    }

    /// An event that is appended without them.
    async fn elsewhere(&self, category: &'static str) -> Checked {
        let stream = StreamId::new(category, "b");
        let events = self.store().events();
        events.put(&stream, ExpectedVersion::Any, vec![event(0)]).await?;
        Ok(())
    }

    /// Nothing but this is there: so many events, all of them taken in by both.
    async fn stands(&self, at: u64, first: &[i64], second: &[i64]) -> Checked {
        let store = self.store();
        same("the head", store.head().await?, Position(at))?;
        for (projection, wanted) in self.projections.iter().zip([first, second]) {
            let name = &projection.reader.reader;
            let rows = numbers(&self.tables, &projection.schema).await?;
            let checkpoint = position(&store, projection).await?;
            same(format_args!("the rows of {name}"), rows, wanted.to_vec())?;
            same(format_args!("the checkpoint of {name}"), checkpoint, Position(at))?;
        }
        Ok(())
    }
}

async fn position(store: &Projections, projection: &One) -> Checked<Position> {
    let checkpoint = store.checkpoint(&projection.reader.reader).await?;
    Ok(checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position))
}

fn batch(expected: u64, events: Vec<NewEvent>) -> Append {
    Append::new(stream("a"), ExpectedVersion::Exact(Version(expected)), events)
}

#[track_caller]
fn done(result: Result<Appended, InlineError>) -> Checked<Appended> {
    result.map_err(|error| Stop::broken("an append that is in order", "to be stored", format_args!("{error:?}")))
}

#[track_caller]
fn is(what: &str, result: &Result<Appended, InlineError>, expected: &str, is: bool) -> Checked {
    holds(is, what, expected, result)
}

fn insert(event: usize, number: i64) -> (usize, SqlStep) {
    (event, SqlStep::Insert(number))
}

pub(crate) async fn g32_inline_rows_and_events_commit_together(subject: &Subject<'_>) -> Checked {
    commit_together(subject, Kind::Tables).await
}

pub(crate) async fn g33_refused_inline_append_changes_nothing(subject: &Subject<'_>) -> Checked {
    refused_change_nothing(subject, Kind::Tables).await
}

pub(crate) async fn g34_repeated_inline_append_counts_once(subject: &Subject<'_>) -> Checked {
    repeated_count_once(subject, Kind::Tables).await
}

pub(crate) async fn g35_inline_projection_that_is_behind_refuses(subject: &Subject<'_>) -> Checked {
    behind_refuses(subject, Kind::Tables).await
}

pub(crate) async fn g39_inline_rows_of_projections_commit_with_events(subject: &Subject<'_>) -> Checked {
    commit_together(subject, Kind::Rows).await
}

pub(crate) async fn g40_refused_append_changes_no_row(subject: &Subject<'_>) -> Checked {
    refused_change_nothing(subject, Kind::Rows).await
}

pub(crate) async fn g41_repeated_append_changes_no_row(subject: &Subject<'_>) -> Checked {
    repeated_count_once(subject, Kind::Rows).await
}

pub(crate) async fn g42_rows_that_are_behind_refuse(subject: &Subject<'_>) -> Checked {
    behind_refuses(subject, Kind::Rows).await
}

async fn commit_together(subject: &Subject<'_>, kind: Kind) -> Checked {
    let length = scaled(100, 1_000);
    let inline = Inline::new(subject, kind, true).await?;
    let other = kind.open(subject).await?;
    let over = Arc::new(AtomicBool::new(false));
    // At a moment at which the log did not grow there are as many rows as events, and the checkpoints say so.
    let reading = tokio::spawn({
        let (over, projections) = (Arc::clone(&over), inline.projections.clone());
        async move {
            let store = Projections(other.projections());
            while !over.load(Ordering::SeqCst) {
                let head = store.head().await?;
                let mut seen = Vec::new();
                for projection in &projections {
                    seen.push(Position(numbers(&other, &projection.schema).await?.len() as u64));
                    seen.push(position(&store, projection).await?);
                }
                if store.head().await? == head {
                    same(
                        "rows and checkpoint of each projection, beside the head",
                        seen,
                        vec![head; 4],
                    )?;
                }
            }
            Ok::<_, Stop>(())
        }
    });
    let mut writing = Ok(());
    for (at, number) in (0..length).zip(0..) {
        let append = batch(at, vec![event(at)]);
        let appended = inline
            .append(append, vec![insert(0, number)], vec![insert(0, -number)])
            .await;
        let head = done(appended).and_then(|appended| {
            let head = appended.head();
            same("the position that is told", head, Some(Position(at + 1)))
        });
        if head.is_err() {
            writing = head;
            break;
        }
    }
    over.store(true, Ordering::SeqCst);
    joined(reading).await?;
    writing?;
    // Steps of several events, of one of the projections only; both have taken the events in.
    let append = batch(length, events(0..3));
    let steps = vec![insert(0, -7), insert(0, -7), insert(2, -9)];
    done(inline.append(append, vec![], steps).await)?;
    let all: Vec<i64> = (0..).take(usize::try_from(length).unwrap_or(usize::MAX)).collect();
    let mut negative: Vec<i64> = all.iter().map(|number| -number).chain([-7, -7, -9]).collect();
    negative.sort_unstable();
    inline.stands(length + 3, &all, &negative).await
}

async fn refused_change_nothing(subject: &Subject<'_>, kind: Kind) -> Checked {
    let inline = Inline::new(subject, kind, true).await?;
    done(
        inline
            .append(batch(0, vec![event(1)]), vec![insert(0, 1)], vec![insert(0, 1)])
            .await,
    )?;
    for failing in [SqlStep::InsertAndFail(3), SqlStep::InsertAndPanic(3), SqlStep::Refused] {
        let what = format!("the second event of three, {failing:?}");
        let steps = vec![insert(0, 2), (1, failing), insert(2, 4)];
        let result = inline
            .append(batch(1, events(0..3)), vec![insert(0, 2)], steps.clone())
            .await;
        let is_told = match &result {
            Err(InlineError::Poison {
                projection: 1,
                event: Some(1),
                error,
            }) => matches!(
                (error, failing, kind),
                (ApplyError::Panicked(_), SqlStep::InsertAndPanic(_), _)
                    | (ApplyError::Method(_), SqlStep::InsertAndFail(_), _)
                    | (ApplyError::Method(_), SqlStep::Refused, Kind::Tables)
                    | (ApplyError::Rejected(_), SqlStep::Refused, Kind::Rows)
            ),
            _ => false,
        };
        is(
            &what,
            &result,
            "Poison of projection 1 and event 1, and what it failed with",
            is_told,
        )?;
        inline.stands(1, &[1], &[1]).await.among(&what)?;

        // Another writer was first: what a step makes of that is of no interest.
        let what = format!("an append that expects an older version, {failing:?}");
        for steps in [vec![insert(0, 2)], steps] {
            let result = inline.append(batch(0, events(0..3)), steps, vec![]).await;
            let is_conflict = matches!(&result, Err(InlineError::Append(AppendError::Conflict { actual, .. })) if *actual == Version(1));
            is(
                &what,
                &result,
                "Conflict, with the version 1 of the stream",
                is_conflict,
            )?;
            inline.stands(1, &[1], &[1]).await.among(&what)?;
        }
    }
    let one = event(5);
    let twice = batch(1, vec![one.clone(), one]);
    let result = inline.append(twice, vec![insert(0, 2)], vec![insert(1, 2)]).await;
    let is_refused =
        matches!(&result, Err(InlineError::Append(error)) if !matches!(error, AppendError::Indeterminate { .. }));
    is("an append with one event twice", &result, "to be refused", is_refused)?;
    inline.stands(1, &[1], &[1]).await?;

    done(
        inline
            .append(
                batch(1, events(0..2)),
                vec![insert(0, 2), insert(1, 3)],
                vec![insert(1, 2)],
            )
            .await,
    )?;
    inline.stands(3, &[1, 2, 3], &[1, 2]).await
}

async fn repeated_count_once(subject: &Subject<'_>, kind: Kind) -> Checked {
    let inline = Arc::new(Inline::new(subject, kind, true).await?);
    let append = Append {
        key: Some(key("request", 1)),
        ..batch(0, events(0..2))
    };
    let at_same_time = (0..8).map(|_| {
        let (inline, append) = (Arc::clone(&inline), append.clone());
        async move { inline.append(append, vec![insert(0, 1)], vec![insert(1, 2)]).await }
    });
    let mut first: Vec<Appended> = Vec::new();
    for result in at_once(at_same_time).await {
        let appended = done(result).among("eight at once")?;
        if !appended.repeated {
            first.push(appended);
        }
    }
    same("how many of eight calls have appended", first.len(), 1)?;
    inline.stands(2, &[1], &[2]).await?;
    let again = Appended {
        repeated: true,
        ..first.remove(0)
    };

    done(
        inline
            .append(batch(2, vec![event(3)]), vec![insert(0, 3)], vec![])
            .await,
    )?;
    for steps in [vec![insert(0, 1)], vec![(1, SqlStep::InsertAndFail(1))]] {
        let result = inline.append(append.clone(), steps, vec![]).await;
        same("the answer to a repetition", done(result)?, again.clone())?;
    }
    let mut other = append;
    other.streams[0].events = events(0..2);
    let result = inline.append(other, vec![insert(0, 1)], vec![]).await;
    let is_mismatch = matches!(
        &result,
        Err(InlineError::Append(AppendError::IdempotencyMismatch { .. }))
    );
    is(
        "the same id with other events",
        &result,
        "IdempotencyMismatch",
        is_mismatch,
    )?;
    inline.stands(3, &[1, 3], &[2]).await
}

async fn behind_refuses(subject: &Subject<'_>, kind: Kind) -> Checked {
    let inline = Inline::new(subject, kind, false).await?;
    let [first, second] = &inline.projections;
    inline
        .refuses("with a projection that was never as new as the log", 0, 0)
        .await?;
    inline.mark(first).await?;
    inline.refuses("with a second projection that never was", 0, 1).await?;
    inline.mark(second).await?;
    let both = |number| (vec![insert(0, number)], vec![insert(0, number)]);
    let append = async |expected: u64, (first, second)| {
        let append = batch(expected, vec![event(expected)]);
        done(inline.append(append, first, second).await)
    };
    append(0, both(1)).await?;
    inline.stands(1, &[1], &[1]).await?;

    inline.elsewhere("nobody's").await?;
    append(1, both(2))
        .await
        .among("behind an event of no category of theirs")?;
    inline.stands(3, &[1, 2], &[1, 2]).await?;

    inline.elsewhere("other").await?;
    inline
        .refuses("behind an event that only the second takes in", 2, 1)
        .await?;
    inline.take_in(second, vec![SqlStep::Insert(3)], Position(4)).await?;
    append(2, (vec![insert(0, 4)], vec![])).await?;
    inline.stands(5, &[1, 2, 4], &[1, 2, 3]).await?;

    inline.elsewhere("conformance").await?;
    inline.refuses("behind an event that both take in", 3, 0).await?;
    for projection in &inline.projections {
        inline
            .take_in(projection, vec![SqlStep::Insert(6)], Position(6))
            .await?;
    }
    append(3, (vec![], vec![])).await?;
    inline.stands(7, &[1, 2, 4, 6], &[1, 2, 3, 6]).await?;

    if subject.fixture.rewind(Position(5)).await {
        // The tables have taken in events that, after the rewind, never happened.
        let tables = kind.open(subject).await?;
        let inline = Inline { tables, ..inline };
        for _ in 6..=7 {
            inline.elsewhere("nobody's").await?;
        }
        inline
            .refuses("to a log that was restored to an earlier point", 3, 0)
            .await?;
    }
    Ok(())
}
