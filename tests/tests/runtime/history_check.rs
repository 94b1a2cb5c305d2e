//! The check of histories bites: a sound history that is damaged in one place breaks the promise that is damaged.

use std::sync::{Arc, OnceLock};

use es_runtime::MemoryStore;
use es_runtime::store::ProjectionStore;
use es_tests::history::plan::What;
use es_tests::history::record::{Answer, Receipt, Record};
use es_tests::history::{History, Size, check, in_process};

/// A sound history.
fn sound() -> History {
    static SOUND: OnceLock<History> = OnceLock::new();
    let make = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store: Arc<dyn ProjectionStore> = Arc::new(MemoryStore::new());
            let size = Size {
                seed: 4,
                events: 2_000,
                kills: 2,
            };
            in_process(size, async || Arc::clone(&store)).await
        })
    };
    SOUND.get_or_init(make).clone()
}

/// The answer of the first attempt for which it is right.
fn answer(history: &mut History, is_right: impl Fn(&Answer) -> bool) -> &mut Answer {
    let answers = history.records.iter_mut().filter_map(|record| match record {
        Record::Answered { answer, .. } => Some(answer),
        _ => None,
    });
    answers
        .into_iter()
        .find(|answer| is_right(answer))
        .expect("there is one")
}

/// The receipts of the first request that was done then, by events of so many.
fn receipts(history: &mut History, is_right: impl Fn(&[Receipt]) -> bool) -> &mut Vec<Receipt> {
    match answer(
        history,
        |answer| matches!(answer, Answer::Done(receipts) if is_right(receipts)),
    ) {
        Answer::Done(receipts) => receipts,
        _ => unreachable!("it is one"),
    }
}

/// The receipts of the first time that something was done.
fn first_time(receipts: &[Receipt]) -> bool {
    receipts.iter().all(|receipt| receipt.events > 0 && !receipt.repeated)
}

macro_rules! is_found {
    ($($name:ident: |$history:ident| $damage:block breaks $promise:literal)+) => {
        $(#[test] fn $name() {
            let mut $history = sound();
            $damage
            let found = check(&$history);
            let shown = found.iter().take(3).map(ToString::to_string).collect::<String>();
            assert!(found.iter().any(|found| found.promise == $promise), "{} found: {shown}", found.len());
        })+
    };
}

#[test]
fn a_sound_history_keeps_every_promise() {
    let found = check(&sound());
    assert!(found.is_empty(), "{}", found[0]);
}

is_found! {
    an_event_that_is_gone: |history| {
        history.stored.log.remove(700);
    } breaks "positions have no gap"

    the_last_event_that_is_gone: |history| {
        history.stored.log.pop();
    } breaks "the head is the last position"

    a_time_that_goes_back: |history| {
        history.stored.log[700].at -= 1_000_000_000;
    } breaks "recorded_at never goes back"

    a_version_that_is_given_twice: |history| {
        history.stored.log[700].version -= 1;
    } breaks "versions have no gap"

    an_event_that_is_stored_twice: |history| {
        history.stored.log[700].seen.1 = history.stored.log[699].seen.1.clone();
    } breaks "an event is stored once"

    an_event_of_nobody: |history| {
        history.stored.log[700].attempt = "nobody".to_owned();
    } breaks "nothing is stored that nobody asked for"

    an_amount_that_changed: |history| {
        let event = history.stored.log.iter_mut().find(|event| event.name == "deposited").unwrap();
        event.payload = serde_json::json!({ "amount": 1_000_000 });
    } breaks "an `Ok` is stored once, whole, as its receipt says"

    a_receipt_of_another_version: |history| {
        receipts(&mut history, first_time)[0].version += 1;
    } breaks "an `Ok` is stored once, whole, as its receipt says"

    a_receipt_of_another_stream: |history| {
        receipts(&mut history, first_time)[0].stream = "another".to_owned();
    } breaks "an `Ok` is stored once, whole, as its receipt says"

    a_success_that_was_told_as_a_refusal: |history| {
        *answer(&mut history, |answer| matches!(answer, Answer::Done(receipts) if first_time(receipts))) = Answer::Refused(3);
    } breaks "what is not done leaves no trace"

    a_part_of_what_was_dropped: |history| {
        let told = receipts(&mut history, |receipts| first_time(receipts) && receipts.len() > 1).clone();
        *answer(&mut history, |answer| *answer == Answer::Done(told.clone())) = Answer::Dropped;
        let event = history.stored.log.iter_mut().find(|event| event.seen.0 == told[0].position).unwrap();
        event.attempt = "another".to_owned();
    } breaks "what was cut off is stored as a whole or not at all"

    an_event_before_its_call: |history| {
        let first = history.stored.log[700].attempt.clone();
        let is_first = |record: &Record| match record {
            Record::Called { attempt, .. } | Record::Answered { attempt, .. } => *attempt == first,
            _ => false,
        };
        let (late, mut rest): (Vec<_>, Vec<_>) = history.records.into_iter().partition(is_first);
        rest.extend(late);
        history.records = rest;
    } breaks "what was acknowledged stands before what was called later"

    a_stale_state: |history| {
        *answer(&mut history, |answer| matches!(answer, Answer::Loaded(Some((10.., _))))) = Answer::Loaded(None);
    } breaks "an answer tells of a state as it was during the call"

    a_state_that_never_was: |history| {
        let loaded = answer(&mut history, |answer| matches!(answer, Answer::Loaded(Some(_))));
        let Answer::Loaded(Some((_, balance))) = loaded else { unreachable!("it is one") };
        *balance += 1;
    } breaks "an answer tells of a state as it was during the call"

    a_conflict_at_a_version_that_never_was: |history| {
        let conflict = answer(&mut history, |answer| matches!(answer, Answer::Conflict(..)));
        let Answer::Conflict(_, actual) = conflict else { unreachable!("it is one") };
        *actual += 10_000;
    } breaks "an answer tells of a state as it was during the call"

    a_refusal_without_a_reason: |history| {
        *answer(&mut history, |answer| matches!(answer, Answer::Refused(_))) = Answer::Refused(1_000_000);
    } breaks "an answer tells of a state as it was during the call"

    a_key_that_is_done_twice: |history| {
        for receipt in receipts(&mut history, |receipts| receipts[0].repeated) {
            receipt.repeated = false;
        }
    } breaks "a key is done once"

    another_receipt_for_a_key: |history| {
        receipts(&mut history, |receipts| receipts[0].repeated)[0].version += 1;
    } breaks "each request with a key gets the receipt of the first, or is refused"

    a_key_that_is_mismatched_with_itself: |history| {
        let repeated = |answer: &Answer| matches!(answer, Answer::Done(receipts) if receipts[0].repeated);
        *answer(&mut history, repeated) = Answer::Mismatched;
    } breaks "each request with a key gets the receipt of the first, or is refused"

    a_key_that_stands_for_another_content: |history| {
        let repeated = |record: &&Record| match record {
            Record::Answered { attempt, answer: Answer::Done(receipts) } if receipts[0].repeated => Some(attempt.clone()),
            _ => None,
        };
        let name = history.records.iter().find_map(|record| repeated(&record)).unwrap();
        for record in &mut history.records {
            if let Record::Called { attempt, request, .. } = record && *attempt == name {
                request.what = What::Deposit(3, 1_000_000);
            }
        }
    } breaks "each request with a key gets the receipt of the first, or is refused"

    a_key_that_is_forgotten: |history| {
        history.stored.keys.values_mut().for_each(Vec::clear);
    } breaks "a key stands for the receipt of its request"

    an_event_that_a_reader_missed: |history| {
        let read = history.records.iter_mut().find_map(|record| match record {
            Record::Read { events, .. } if events.len() > 1 => Some(events),
            _ => None,
        });
        read.unwrap().remove(0);
    } breaks "a reader of the log sees each event once, in order"

    an_event_that_a_reader_came_too_late_for: |history| {
        for record in &mut history.records {
            if let Record::Read { events, .. } = record {
                events.clear();
            }
        }
    } breaks "what is acknowledged is visible to every later read"

    an_event_that_was_not_delivered: |history| {
        history.records.retain(|record| !matches!(record, Record::Delivered { event, .. } if event.0 == 700));
    } breaks "a subscription is given each event, in order"

    deliveries_that_end_too_early: |history| {
        history.records.retain(|record| !matches!(record, Record::Delivered { event, .. } if event.0 > 700));
    } breaks "a subscription is given each event"

    a_row_that_counts_twice: |history| {
        let views = history.stored.views.as_mut().unwrap();
        views.rows.values_mut().next().unwrap().events += 1;
    } breaks "each event is in the rows exactly once, in order"

    a_stream_that_is_not_listed: |history| {
        history.stored.listed.pop();
    } breaks "streams are listed with their versions"

    a_kind_that_is_not_told: |history| {
        history.stored.kinds.pop();
    } breaks "the kinds of stored events are told"

    a_panic: |history| {
        history.records.push(Record::Broke { what: "a task panicked".to_owned() });
    } breaks "nothing panics, and nothing ends by itself"
}
