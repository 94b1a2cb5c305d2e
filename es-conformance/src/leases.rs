//! O: who may write.

use std::time::Duration;

use es_runtime::Position;
use es_runtime::projection::store::{CommitError, Lease};

use crate::check::{Checked, Stop, holds, present, same};
use crate::projections::{LONG, READER, all_rows, change, checkpoint, commit, filled, leased, table};
use crate::scale::scaled;
use crate::subject::{Projections, Subject, at_once, clock};

/// Takes a lease that runs out, for the next owner.
async fn taken_over(store: &Projections, owner: &str) -> Checked<Lease> {
    // Bounded, and not a matter of time: what has run out is free at the next instant that the store's clock can tell.
    for _ in 0..1_000 {
        if let Some(lease) = store.acquire(READER, owner, LONG).await? {
            return Ok(lease);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Stop::broken("a lease that has run out", "to be free", "it is held"))
}

#[track_caller]
fn lost(what: &str, result: Result<(), CommitError>) -> Checked {
    let is = matches!(&result, Err(CommitError::LeaseLost { lease }) if lease == READER);
    holds(is, what, format_args!("LeaseLost {{ lease: {READER} }}"), result)
}

/// Nothing can be done under the lease any more.
async fn good_for_nothing(store: &Projections, lease: &Lease, holder: &Lease) -> Checked {
    let (at, rows) = (checkpoint(store).await?, all_rows(store).await?);
    let stale = commit(lease, at, at.next(), vec![change("stale", "{}", at)]);
    lost(
        "a commit under a lease that was lost",
        store.commit(stale.clone()).await,
    )?;
    let elsewhere = es_runtime::projection::store::Commit {
        from: Position(77),
        to: Position(78),
        ..stale
    };
    lost("one from a wrong checkpoint as well", store.commit(elsewhere).await)?;
    lost(
        "a lost owner that forgets",
        store.forget(READER, Some(&table()), lease).await,
    )?;
    same("that a lost lease was renewed", store.renew(lease, LONG).await?, false)?;
    store.release(lease).await?;
    same(
        "the holder's lease after all that",
        store.renew(holder, LONG).await?,
        true,
    )?;
    same("the checkpoint after all that", checkpoint(store).await?, at)?;
    same("the rows after all that", all_rows(store).await?, rows)
}

pub(crate) async fn o01_one_owner_at_a_time(subject: &Subject<'_>) -> Checked {
    let handles = [subject.projections().await?, subject.projections().await?];
    let mut epoch = 0;
    for round in 0..scaled(20, 200) {
        let wanting = (0..8).map(|number| {
            let store = handles[number % 2].clone();
            async move { store.acquire(READER, &format!("owner {number}"), LONG).await }
        });
        let mut winners = Vec::new();
        for result in at_once(wanting).await {
            winners.extend(result?);
        }
        same(
            format_args!("the owners of one lease in round {round}"),
            winners.len(),
            1,
        )?;
        let winner = present("the owner", winners.pop())?;
        holds(
            winner.epoch > epoch,
            "the epoch of a lease that was taken anew",
            format_args!("above {epoch}"),
            &winner,
        )?;
        epoch = winner.epoch;
        let [one, other] = &handles;
        let again = one.acquire(READER, &winner.owner, LONG).await?;
        same("the lease, asked for again by its owner", again.as_ref(), Some(&winner))?;
        same(
            "that the owner renewed its lease",
            other.renew(&winner, LONG).await?,
            true,
        )?;
        same(
            "the lease for another one",
            other.acquire(READER, "late", LONG).await?,
            None,
        )?;
        let free = one.acquire("another lease", "late", LONG).await?;
        holds(free.is_some(), "another lease", "to be free", &free)?;
        other.release(&winner).await?;
    }
    Ok(())
}

pub(crate) async fn o02_lost_lease_fences_writes(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let first = present("the free lease", store.acquire(READER, "first", Duration::ZERO).await?)?;
    store.commit(commit(&first, 0, 1, vec![change("a", "{}", 1)])).await?;
    let second = taken_over(&store, "second").await?;
    holds(
        second.epoch > first.epoch,
        "the epoch of the second owner",
        "above that of the first",
        (&first, &second),
    )?;
    good_for_nothing(&store, &first, &second).await?;
    let forged = Lease {
        epoch: second.epoch,
        ..first.clone()
    };
    good_for_nothing(&store, &forged, &second).await?;
    let of_none = Lease {
        name: "nobody's".to_owned(),
        ..second.clone()
    };
    same(
        "that a lease that was never taken was renewed",
        store.renew(&of_none, LONG).await?,
        false,
    )?;
    store.commit(commit(&second, 1, 2, vec![change("a", "{}", 2)])).await?;
    same("the checkpoint", checkpoint(&store).await?, Position(2))
}

/// The owner before and the one that takes over act at the same moment. Whatever the order, the second one sees what the
/// first one wrote, and nothing comes after.
pub(crate) async fn o03_paused_owner_cannot_write(subject: &Subject<'_>) -> Checked {
    let rounds = scaled(30, 300);
    let store = filled(subject, 2 * rounds).await?;
    let other = subject.projections().await?;
    for round in 0..rounds {
        let first = taken_over(&store, "first").await?;
        // It runs out at once.
        same(
            "that the first owner renewed",
            store.renew(&first, Duration::ZERO).await?,
            true,
        )?;
        let at = checkpoint(&store).await?;
        let paused = {
            let (store, first) = (store.clone(), first.clone());
            tokio::spawn(async move {
                store
                    .commit(commit(&first, at, at.next(), vec![change("a", "{}", at.next())]))
                    .await
            })
        };
        let second = taken_over(&other, "second").await?;
        let seen = checkpoint(&other).await?;
        other
            .commit(commit(&second, seen, seen.next(), vec![change("b", "{}", seen.next())]))
            .await?;
        let result = paused
            .await
            .map_err(|error| Stop::broken("the paused owner", "no panic", error))?;
        match result {
            Ok(()) => same(
                format_args!("what the second owner saw in round {round}"),
                seen,
                at.next(),
            )?,
            lost_lease => {
                lost("the commit of the paused owner", lost_lease)?;
                same(format_args!("what the second owner saw in round {round}"), seen, at)?;
            }
        }
        good_for_nothing(&store, &first, &second).await?;
        store.release(&second).await?;
    }
    Ok(())
}

pub(crate) async fn o04_brief_ownership_leaves_no_zombie(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let brief = leased(&store, "owner").await?;
    store.release(&brief).await?;
    let stale = commit(&brief, 0, 1, vec![change("a", "{}", 1)]);
    lost("a commit under a lease that was given back", store.commit(stale).await)?;
    let again = leased(&store, "owner").await?;
    holds(
        again.epoch > brief.epoch,
        "the epoch of a lease that was taken again",
        "a higher one",
        (&brief, &again),
    )?;
    good_for_nothing(&store, &brief, &again).await
}

pub(crate) async fn o05_lease_ignores_client_clock(subject: &Subject<'_>) -> Checked {
    const HOUR: i64 = 3_600_000_000;
    let store = filled(subject, 5).await?;
    let early = subject.projections_with(clock(-2 * HOUR)).await?;
    let late = subject.projections_with(clock(2 * HOUR)).await?;
    for (holder, other) in [(&store, &late), (&late, &early), (&early, &late)] {
        let lease = leased(holder, "holder").await?;
        same(
            "a lease of an hour, asked for by a clock that differs by hours",
            other.acquire(READER, "other", LONG).await?,
            None,
        )?;
        same("that it was renewed", holder.renew(&lease, Duration::ZERO).await?, true)?;
        let next = taken_over(other, "other").await?;
        holds(
            next.epoch > lease.epoch,
            "the epoch of the next owner",
            "a higher one",
            (&lease, &next),
        )?;
        other.release(&next).await?;
    }
    Ok(())
}
