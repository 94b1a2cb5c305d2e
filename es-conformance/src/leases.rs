//! O: who may write.

use std::time::Duration;

use es_runtime::store::{CommitError, Lease, LeaseState, Report};
use es_runtime::{Position, StoreErrorKind};

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
    let mut elsewhere = stale;
    (elsewhere.advance.from, elsewhere.advance.to) = (Position(77), Position(78));
    lost("one from a wrong checkpoint as well", store.commit(elsewhere).await)?;
    lost("a lost owner that forgets", store.clear(&table(), READER, lease).await)?;
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

/// The lease as everybody sees it, without the time of its report.
async fn state(store: &Projections) -> Checked<(Option<String>, u64, Option<(String, u64)>)> {
    let LeaseState { owner, epoch, report } = present("the state of a lease", store.lease(READER).await?)?;
    Ok((owner, epoch, report.map(|report| (report.text, report.epoch))))
}

pub(crate) async fn o06_report_is_told_to_everybody(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let other = subject.projections_with(clock(7_200_000_000)).await?;
    same("a lease that was never taken", other.lease(READER).await?, None)?;
    let lease = leased(&store, "owner").await?;
    let owned = Some("owner".to_owned());
    same("a lease", state(&other).await?, (owned.clone(), lease.epoch, None))?;
    for text in [
        "",
        "{\"rate\":1.5}",
        "Zoë \u{1f600}\n'\"\\",
        &"ü".repeat(Report::LONGEST / 2),
    ] {
        same("that the owner reported", store.report(&lease, text).await?, true)?;
        let told = (owned.clone(), lease.epoch, Some((text.to_owned(), lease.epoch)));
        same("a lease with a report", state(&other).await?, told)?;
    }
    for text in ["a\0b", &"ü".repeat(Report::LONGEST / 2 + 1)] {
        let refused = store.report(&lease, text).await;
        let is = matches!(&refused, Err(error) if error.kind() == StoreErrorKind::Rejected);
        holds(is, "a report that cannot be kept", "Rejected", &refused)?;
    }
    store.commit(commit(&lease, 0, 1, vec![change("a", "{}", 1)])).await?;
    same("that the owner reported", store.report(&lease, "last").await?, true)?;
    let last = Some(("last".to_owned(), lease.epoch));
    same("that it was renewed", store.renew(&lease, Duration::ZERO).await?, true)?;
    let mut told = state(&other).await?;
    for _ in 0..1_000 {
        if told.0.is_none() {
            break;
        }
        // The next instant that the store's clock can tell.
        tokio::time::sleep(Duration::from_millis(1)).await;
        told = state(&other).await?;
    }
    same("a lease that has run out", told, (None, lease.epoch, last.clone()))?;
    store.release(&lease).await?;
    same(
        "one that was given back",
        state(&other).await?,
        (None, lease.epoch, last.clone()),
    )?;
    let next = leased(&other, "next").await?;
    same(
        "one that was taken over",
        state(&store).await?,
        (Some("next".to_owned()), next.epoch, last),
    )
}

pub(crate) async fn o07_lost_owner_reports_nothing(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let first = present("the free lease", store.acquire(READER, "first", Duration::ZERO).await?)?;
    same(
        "that the first owner reported",
        store.report(&first, "first").await?,
        true,
    )?;
    let second = taken_over(&store, "second").await?;
    same("that a lost owner reported", store.report(&first, "late").await?, false)?;
    let forged = Lease {
        epoch: second.epoch,
        ..first.clone()
    };
    same(
        "that another owner reported",
        store.report(&forged, "forged").await?,
        false,
    )?;
    let told = Some(("first".to_owned(), first.epoch));
    same("the report", state(&store).await?.2, told)?;
    same(
        "that the second owner reported",
        store.report(&second, "second").await?,
        true,
    )?;
    store.release(&second).await?;
    same(
        "that it reported afterwards",
        store.report(&second, "late").await?,
        false,
    )?;
    let told = Some(("second".to_owned(), second.epoch));
    same("the report", state(&store).await?.2, told)
}
