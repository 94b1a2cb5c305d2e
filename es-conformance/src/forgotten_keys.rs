//! D19 and D20: idempotency keys that are forgotten.

use std::time::Duration;

use es_runtime::store::{Append, AppendError, AppendRef, Appended};
use es_runtime::{Clock as _, ExpectedVersion, Version};

use crate::check::{Among as _, Checked, present, same};
use crate::idempotency::{again, key, mismatch};
use crate::sample::{events, stream};
use crate::scale::scaled;
use crate::subject::{Store, Subject, at_once};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn request(name: &str, content: u128) -> Append {
    Append {
        key: Some(key(name, content)),
        ..Append::new(stream(name), ExpectedVersion::Any, events(0..2))
    }
}

/// Appends before a time, at it and after it, and what becomes of each when keys from before that time are forgotten.
pub(crate) async fn d19_forgotten_key_is_new_again(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    // More than a store is likely to forget at once.
    let many = scaled(1_100, 11_000);
    let old: Vec<Append> = (0..many).map(|number| request(&format!("old {number}"), 1)).collect();
    let mut first = Vec::new();
    for append in &old {
        first.push(store.append(append.clone()).await?);
    }
    let without_events = Append {
        key: Some(key("nothing to do", 1)),
        ..Append::new(stream("old 0"), ExpectedVersion::Exact(Version(2)), Vec::new())
    };
    let nothing = store.append(without_events.clone()).await?;
    let keyless = Append::new(stream("keyless"), ExpectedVersion::Any, events(0..2));
    let plain = store.append(keyless.clone()).await?;
    subject.clock.advance(HOUR);
    let (young, before) = (request("young", 1), subject.clock.now());
    let of_young = store.append(young.clone()).await?;
    let length = store.check_log().await?.len();

    let forgets = async |before| store.purge_keys(before).await;
    same(
        "how many keys are older than all",
        forgets(first[0].recorded_at).await?,
        0,
    )?;
    same("how many keys are forgotten", forgets(before).await?, many + 1)?;
    same("how many are left to forget", forgets(before).await?, 0)?;

    for (append, first) in old.iter().zip(&first).step_by(97) {
        stays_known(&store, append, first).await?;
    }
    stays_known(&store, &without_events, &nothing).await?;
    same(
        "the append without a key",
        store.append(keyless.clone()).await?,
        again(&plain),
    )?;
    let with_key = Append {
        key: Some(key("keyless", 1)),
        ..keyless
    };
    mismatch("an append that had no key, with one", store.append(with_key).await)?;

    let record = present("what is stored under a younger key", store.find_key("young").await?)?;
    same("its result", record.appended, again(&of_young))?;
    same(
        "a repetition of it",
        store.append(request("young", 1)).await?,
        again(&of_young),
    )?;
    mismatch(
        "the younger key with another content",
        store.append(request("young", 2)).await,
    )?;
    same("the number of stored events", store.check_log().await?.len(), length)?;

    // New, with any content.
    for content in [1, 2] {
        let name = format!("old {content}");
        let anew = request(&name, content);
        let stored = store.append(anew.clone()).await?;
        same("whether a forgotten key is a repetition", stored.repeated, false)?;
        same(
            "a repetition of it",
            store.append(request(&name, content)).await?,
            again(&stored),
        )?;
        let record = present("what is stored under it", store.find_key(&name).await?)?;
        same("the append under it", record.appended.id, anew.id)?;
    }
    stays_known(&store, &old[0], &first[0]).await?;
    same(
        "the number of stored events",
        store.check_log().await?.len(),
        length + 4,
    )
}

/// The key is forgotten, and the append is not.
async fn stays_known(store: &Store, append: &Append, first: &Appended) -> Checked {
    let given = present("the key of the request", append.key.clone())?;
    same("what is stored under the key", store.find_key(&given.key).await?, None).among(&given.key)?;
    same(
        "the append under its id",
        store.append(append.clone()).await?,
        again(first),
    )
    .among(&given.key)?;
    let resolved = store.resolve(&AppendRef::of(append)).await?;
    same("the outcome of the append", resolved, Some(again(first))).among(&given.key)?;
    let mut other = append.clone();
    other.key = Some(key(&given.key, 9));
    mismatch("the same id with another content", store.append(other).await).among(&given.key)?;
    if append.events().next().is_none() {
        return Ok(());
    }
    let mut keyless = append.clone();
    keyless.key = None;
    mismatch("the same id without a key", store.append(keyless).await).among(&given.key)
}

/// Requests that are repeated while their keys are forgotten: each is answered as before, or done once more.
pub(crate) async fn d20_keys_are_forgotten_among_repetitions(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for round in 0..scaled(10, 100) {
        let name = format!("round {round}");
        let first = store.append(request(&name, 1)).await?;
        subject.clock.advance(HOUR);
        let before = subject.clock.now();
        let repeats = (0..12).map(|number| {
            let (store, append) = (store.clone(), request(&name, 1));
            async move {
                if number == 5 {
                    store.purge_keys(before).await?;
                    return Ok::<_, AppendError>(None);
                }
                store.append(append).await.map(Some)
            }
        });
        let answers = at_once(repeats).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (anew, repeated): (Vec<_>, Vec<_>) = answers.into_iter().flatten().partition(|answer| !answer.repeated);
        let known: Vec<_> = [&first].into_iter().chain(&anew).map(|appended| appended.id).collect();
        let strange = repeated.iter().filter(|answer| !known.contains(&answer.id)).count();
        same("how many are answered with an append that is none of them", strange, 0)?;
        let version = store.version(&stream(&name)).await?;
        same("the version of the stream", version, Version(2 + 2 * anew.len() as u64))?;
        same("whether it was done more than once more", anew.len() > 1, false)?;
    }
    Ok(())
}
