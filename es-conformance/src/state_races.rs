//! P: savers that meet in the same entities, and savers that are killed.

use std::collections::BTreeMap;

use es_runtime::store::{Demand, SaveError, StateStore};

use crate::check::{Among, Checked, Stop, holds, same};
use crate::durability::heard;
use crate::process::Said;
use crate::scale::scaled;
use crate::states::{NAMESPACE, change, key, loaded};
use crate::subject::{Subject, at_once};

pub(crate) async fn p09_two_writers_one_wins(subject: &Subject<'_>) -> Checked {
    const SAVERS: u64 = 16;
    let handles = [subject.states().await?, subject.states().await?];
    for round in 1..=scaled(50, 200) {
        let saves = (0..SAVERS).map(|saver| {
            let states = handles[usize::try_from(saver % 2).unwrap_or(0)].clone();
            async move { (saver, states.save(vec![change("a", round, saver)], Demand::Next).await) }
        });
        let mut winner = None;
        for (saver, result) in at_once(saves).await {
            match result {
                Ok(()) if winner.is_none() => winner = Some(saver),
                Err(SaveError::Conflict { kept, given, .. }) if (kept, given) == (round, round) => {}
                other => {
                    return Err(Stop::broken(
                        format_args!("one of {SAVERS} savers of one sequence, in round {round}"),
                        format_args!("one success, and conflicts at {round}"),
                        format_args!("{other:?}, and saver {winner:?} was told of success"),
                    ));
                }
            }
        }
        let kept = handles[0].get(&key("a")).await?;
        let expected = winner.map(|saver| change("a", round, saver));
        same("the entity after a race", kept, expected).among(format_args!("round {round}"))?;
    }
    Ok(())
}

pub(crate) async fn p10_opposite_orders_do_not_deadlock(subject: &Subject<'_>) -> Checked {
    let handles = [subject.states().await?, subject.states().await?];
    let (mut done, rounds) = (BTreeMap::<&str, u64>::new(), scaled(100, 500));
    for round in 0..rounds {
        let next = |id: &'static str, saver: u64| change(id, done.get(id).copied().unwrap_or(0) + 1, saver);
        // The first two meet in opposite orders, one of the entities being new; the third meets both.
        let fresh = format!("f{round}");
        let batches = [
            vec![next("a", 0), change(&fresh, 1, 0), next("b", 0)],
            vec![next("b", 1), change(&fresh, 1, 1), next("a", 1)],
            vec![next("c", 2), next("b", 2)],
        ];
        let saves = batches.into_iter().enumerate().map(|(saver, batch)| {
            let states = handles[saver % 2].clone();
            async move { states.save(batch, Demand::Next).await }
        });
        for result in at_once(saves).await {
            match result {
                Ok(()) | Err(SaveError::Conflict { .. }) => {}
                Err(error) => return Err(Stop::from(error)).among(format_args!("round {round}")),
            }
        }
        for id in ["a", "b", "c"] {
            if let Some(kept) = handles[0].get(&key(id)).await? {
                done.insert(id, kept.sequence);
            }
        }
    }
    let moved = done.values().copied().max().unwrap_or(0);
    holds(
        moved == rounds,
        "the entity that every save changes, after as many rounds",
        rounds,
        &done,
    )
}

pub(crate) async fn p11_acked_saves_survive_kill(subject: &Subject<'_>) -> Checked {
    let mut random = subject.random();
    let mut acknowledged = 0;
    for round in 0..scaled(10, 50) {
        let writer = subject.saver(&format!("s{round}"), 100_000)?;
        let (things, moment) = (random.below(60), random.below(200_000));
        let said = heard(move || writer.killed_after(usize::try_from(things).unwrap_or(0), moment)).await?;
        let mut reached: BTreeMap<String, u64> = BTreeMap::new();
        for said in said {
            match said {
                Said::Saved { entity, sequence } => {
                    acknowledged += 1;
                    reached.insert(entity, sequence);
                }
                other => {
                    return Err(Stop::broken(
                        "the saves of the only saver",
                        "no failure",
                        format!("{other:?}"),
                    ));
                }
            }
        }
        let states = subject.states().await?;
        for (entity, sequence) in reached {
            let which = format!("`{entity}`, kill {round}");
            settled(&*states, &entity, sequence).await.among(which)?;
        }
        drop(states);
    }
    let expected = "more than the number of kills: else nothing was tried";
    holds(
        acknowledged > 10,
        "the number of acknowledged saves",
        expected,
        acknowledged,
    )
}

/// The parts of an entity that are saved together.
pub(crate) const PARTS: [&str; 3] = ["x", "y", "z"];

/// Checks that the parts of an entity were saved together, at least up to `acknowledged`. What was under way when the saver was killed may
/// be done still: a save that follows on it shows that it is over.
async fn settled(states: &dyn StateStore, entity: &str, acknowledged: u64) -> Checked {
    for _ in 0..10 {
        let all = loaded(states, NAMESPACE).await?;
        let at = |part: &&str| {
            all.get(&key(&format!("{entity}{part}")))
                .map_or(0, |kept| kept.sequence)
        };
        let reached: Vec<u64> = PARTS.iter().map(at).collect();
        let least = reached.iter().copied().min().unwrap_or(0);
        holds(
            least >= acknowledged,
            "an entity whose saver was killed",
            format_args!("at least sequence {acknowledged}, which was acknowledged"),
            &reached,
        )?;
        let next = PARTS.map(|part| change(&format!("{entity}{part}"), least + 1, u64::MAX));
        match states.save(next.to_vec(), Demand::Next).await {
            Ok(()) => return Ok(()),
            Err(SaveError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Stop::broken(
        "entities that were saved together",
        "one sequence, on which a save of all of them follows",
        "conflicts, again and again",
    ))
}
