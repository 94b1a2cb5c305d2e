//! A batch with which rows change: one transaction, in two round trips. The first locks the rows and appends, the second writes what was
//! folded between them, and commits. So all of its appends share one lock and one flush, as those of every batch do.

use es_runtime::Timestamp;
use es_runtime::store::{InlineError, InlineRows};
use futures_util::future::{join, join3};
use tokio_postgres::{Client, Statement};

use super::LaneSettings;
use crate::batch::{self, Answer, Encoded};
use crate::connection::Link;
use crate::error::Problem;
use crate::outcome::Phase;
use crate::projections::inline_rows::{Changing, LOCK, NotLocked, WRITE};

/// The statements, prepared when they are first needed.
pub(super) struct Statements {
    lock: Statement,
    append: Statement,
    write: Statement,
}

impl Statements {
    pub(super) async fn prepare(link: &Link, settings: &LaneSettings) -> Result<Self, Problem> {
        Ok(Self {
            lock: link.client.prepare(&settings.schema.render(LOCK)).await?,
            append: link.client.prepare(&settings.append_with_rows).await?,
            write: link.client.prepare(&settings.schema.render(WRITE)).await?,
        })
    }
}

/// The end of a transaction.
pub(super) enum Ended {
    Committed(Vec<Vec<Answer>>),
    /// Nothing is done, because of these appends: each with its place in the batch. Their refusal does not depend on the others.
    Refused(Vec<(usize, InlineError)>),
    /// Nothing is done. The append in this place is refused behind those before it, if they are stored.
    RefusedBehind(usize),
}

/// Sends the batch. `is_open` unless the transaction is known to have ended.
pub(super) async fn send(
    client: &Client,
    is_open: &mut bool,
    statements: &Statements,
    batch: &[&[Encoded]],
    by_clock: Option<Timestamp>,
) -> Result<Ended, (Phase, Problem)> {
    *is_open = true;
    let ended = attempt(client, statements, batch, by_clock).await;
    let rolled_back = match &ended {
        Ok(Ended::Committed(_)) => Ok(()),
        _ => client.batch_execute("ROLLBACK").await,
    };
    *is_open = rolled_back.is_err();
    ended
}

async fn attempt(
    client: &Client,
    statements: &Statements,
    batch: &[&[Encoded]],
    by_clock: Option<Timestamp>,
) -> Result<Ended, (Phase, Problem)> {
    let open = |problem| (Phase::Open, problem);
    let mut changing = Changing::of(batch.iter().copied().flatten().flat_map(|encoded| &encoded.rows));
    let (begun, locked, answers) = join3(
        client.batch_execute("BEGIN"),
        changing.lock(client, &statements.lock),
        batch::send(client, &statements.append, batch, by_clock),
    )
    .await;
    begun.map_err(|error| open(error.into()))?;
    if let Err(not_locked) = locked {
        return blamed(batch, not_locked).map_err(open);
    }
    let answers = answers.map_err(open)?;
    if let Some(refused) = fold(&mut changing, batch, &answers) {
        return Ok(refused);
    }
    commit(client, statements, &changing).await?;
    Ok(Ended::Committed(answers))
}

async fn commit(client: &Client, statements: &Statements, changing: &Changing<'_>) -> Result<(), (Phase, Problem)> {
    // A write that fails makes of the commit, which is on its way already, a rollback.
    let writing = changing.write(client, &statements.write);
    let (written, committed) = join(writing, client.batch_execute("COMMIT")).await;
    written.map_err(|problem| (Phase::Sent, problem))?;
    committed.map_err(|error| (Phase::Sent, error.into()))
}

/// The appends that could not lock their rows.
fn blamed(batch: &[&[Encoded]], not_locked: NotLocked) -> Result<Ended, Problem> {
    let of_each = rows(batch).filter_map(|(place, rows)| Some((place, not_locked.blames(rows)?)));
    let refused: Vec<_> = of_each.collect();
    if refused.is_empty() {
        return Err(not_locked.problem);
    }
    Ok(Ended::Refused(refused))
}

/// Folds the events of the appends that are stored, in their order. Returns what refuses it.
fn fold<'a>(changing: &mut Changing<'a>, batch: &[&'a [Encoded]], answers: &[Vec<Answer>]) -> Option<Ended> {
    let mut behind = Vec::new();
    for (place, rows) in rows(batch) {
        let Some(Answer::Appended(appended)) = answers[place].first() else {
            continue;
        };
        match changing.fold(rows, 0, appended) {
            Ok(()) => {}
            // It is, whatever becomes of the others.
            Err(error @ InlineError::Behind { .. }) => behind.push((place, error)),
            Err(error) if place == 0 => return Some(Ended::Refused(vec![(place, error)])),
            Err(_) if behind.is_empty() => return Some(Ended::RefusedBehind(place)),
            Err(_) => break,
        }
    }
    (!behind.is_empty()).then_some(Ended::Refused(behind))
}

/// The appends with which rows change: the place of each in the batch. None of them is of a chain.
fn rows<'a>(batch: &[&'a [Encoded]]) -> impl Iterator<Item = (usize, &'a [InlineRows])> {
    let first = |chain: &&'a [Encoded]| chain.first().map_or(&[][..], |encoded| &encoded.rows[..]);
    batch.iter().map(first).enumerate().filter(|(_, rows)| !rows.is_empty())
}
