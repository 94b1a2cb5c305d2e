//! What a failing test of a domain says.

use std::panic::{AssertUnwindSafe, catch_unwind};

use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposited, InsufficientFunds, Opened, Withdraw, Withdrawn};
use serde::{Deserialize, Deserializer};

fn message_of(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test fails");
    *panic.downcast::<String>().expect("the message is formatted")
}

fn alice() -> Opened {
    Opened { owner: "Alice".into() }
}

#[test]
fn other_events_are_shown_as_a_difference() {
    let said = message_of(|| {
        Account::given((alice(), Deposited { amount: 80 }))
            .when(Withdraw { amount: 80 })
            .then(Withdrawn { amount: 20 });
    });
    let documented = include_str!("../../es-runtime/docs/testing.md");
    let (_, documented) = documented.rsplit_once("```text\n").unwrap();
    let (documented, _) = documented.split_once("```").unwrap();
    assert_eq!(said.trim_end(), documented.trim_end());
}

#[test]
fn a_refusal_in_the_place_of_events_is_named() {
    let said = message_of(|| {
        Account::given(alice())
            .when(Withdraw { amount: 80 })
            .then(Withdrawn { amount: 80 });
    });
    assert!(
        said.ends_with("but it was refused with InsufficientFunds { balance: 0 }"),
        "{said}"
    );
}

#[test]
fn events_in_the_place_of_a_refusal_are_shown() {
    let said = message_of(|| {
        Account::given((alice(), Deposited { amount: 80 }))
            .when(Withdraw { amount: 80 })
            .then_refused(InsufficientFunds { balance: 0 });
    });
    assert!(
        said.starts_with(
            "`withdraw` was expected to be refused with InsufficientFunds { balance: 0 }, but it returned"
        )
    );
}

#[test]
fn a_missing_aggregate_is_neither_a_refusal_nor_nothing() {
    Account::given(()).when(Withdraw { amount: 1 }).then_not_found();
    let said = message_of(|| {
        Account::given(()).when(Withdraw { amount: 1 }).then_nothing();
    });
    assert!(said.ends_with("but there is no such aggregate"), "{said}");
}

#[test]
fn events_that_do_not_fold_are_a_mistake_of_the_test() {
    let said = message_of(|| drop(Account::given(Deposited { amount: 1 })));
    assert_eq!(
        said,
        "event `deposited` changes the aggregate, but none of the events before it created one"
    );
}

/// Comes back as another value.
fn rounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(i64::deserialize(deserializer)? / 10 * 10)
}

#[event]
struct Measured {
    #[serde(deserialize_with = "rounded")]
    value: i64,
}

#[event]
struct Weighed {
    kilograms: f64,
}

#[command]
struct Measure {
    value: i64,
}

#[derive(Aggregate)]
struct Scale;

#[aggregate(vis = pub(crate))]
impl Scale {
    #[handle]
    fn measure(cmd: Measure) -> Measured {
        Measured { value: cmd.value }
    }

    #[apply]
    fn measured(_: Measured) -> Self {
        Scale
    }

    #[apply]
    fn weighed(&mut self, event: Weighed) {
        assert!(event.kilograms.is_finite());
    }
}

#[test]
fn an_event_that_does_not_survive_being_stored_is_found() {
    Scale::given(())
        .when(Measure { value: 30 })
        .then(Measured { value: 30 });
    let said = message_of(|| drop(Scale::given(()).when(Measure { value: 37 })));
    assert!(
        said.starts_with("event `measured` comes back from a store as another value"),
        "{said}"
    );
    assert!(
        said.contains("  -         value: 37,\n  +         value: 30,"),
        "{said}"
    );
}

#[test]
fn a_number_that_json_cannot_hold_is_found() {
    let said = message_of(|| drop(Scale::given((Measured { value: 0 }, Weighed { kilograms: f64::NAN }))));
    assert!(
        said.contains("`weighed` cannot be stored") && said.contains("NaN is not a finite number"),
        "{said}"
    );
}
