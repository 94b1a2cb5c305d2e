//! What is said of events that are gone, where new ones have their shape: no advice makes two stored events one.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the types are there for their shape"
)]

use es_runtime::schema::{Additions, Aggregates, check_events_lock};

/// An aggregate whose events but the first have one shape.
macro_rules! account {
    ($module:ident: $($(#[$arguments:meta])? $apply:ident $event:ident),*) => {
        mod $module {
            use es_runtime::prelude::*;

            $(account! { @event $(#[$arguments])? $event })*

            #[event]
            pub struct Opened {}

            #[command]
            pub struct Open {}

            #[derive(Aggregate)]
            pub struct Account;

            #[aggregate]
            impl Account {
                #[handle]
                fn open(_: Open) -> Opened {
                    Opened {}
                }

                #[apply]
                fn opened(_: Opened) -> Self {
                    Account
                }

                $(#[apply]
                fn $apply(&mut self, _: $event) {})*
            }
        }
    };
    (@event #[$arguments:meta] $event:ident) => {
        #[$arguments]
        pub struct $event { pub to: String }
    };
    (@event $event:ident) => {
        #[event]
        pub struct $event { pub to: String }
    };
}

account! { before: a StopDetermined, b ConfirmationRequested }
account! { one_left: a ConfirmationSent }
account! { one_taken: #[event(alias = "confirmation_requested")] a ConfirmationSent }
account! { nothing_alike: a Mailed }
account! { both: a StopSettled, b ConfirmationSent }
account! { single: a NameChanged }
account! { several: a AddressMoved, b NameMoved, c Renamed }
account! { strangers: a Moved, b Mailed }

/// What is said of the second build by the lock file of the first.
fn said<Before: Aggregates, After: Aggregates>() -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    check_events_lock::<Before>(&file, Additions::Accept).unwrap();
    let said = check_events_lock::<After>(&file, Additions::Accept).unwrap_err();
    said.to_string()
}

/// The names for which an alias is offered, each with the event that is to have it.
fn offered(said: &str) -> Vec<(&str, &str)> {
    let offers = said.split("#[event(alias = \"").skip(1).filter_map(|offer| {
        let (name, rest) = offer.split_once("\")]")?;
        let event = rest.trim_start().strip_prefix("pub struct ")?;
        Some((name, event.split_whitespace().next()?))
    });
    offers.collect()
}

#[test]
fn one_new_event_is_offered_for_one_that_is_gone() {
    let said = said::<before::Account, one_left::Account>();
    assert_eq!(
        offered(&said),
        [("confirmation_requested", "ConfirmationSent")],
        "{said}"
    );
    assert!(
        said.contains("gone as well, with the same shape: `stop_determined`"),
        "{said}"
    );
}

#[test]
fn an_event_that_has_an_earlier_name_is_offered_for_no_other() {
    let said = said::<before::Account, one_taken::Account>();
    assert_eq!(offered(&said), [], "{said}");
    assert!(said.contains("account/stop_determined 1 is gone"), "{said}");
}

#[test]
fn where_no_name_is_alike_none_is_offered() {
    let said = said::<before::Account, nothing_alike::Account>();
    assert_eq!(said.matches("alias").count(), 0, "{said}");
    assert_eq!(said.matches("the nearest name first: `Mailed`").count(), 2, "{said}");
}

#[test]
fn each_is_offered_its_nearest() {
    let said = said::<before::Account, both::Account>();
    let both = [
        ("confirmation_requested", "ConfirmationSent"),
        ("stop_determined", "StopSettled"),
    ];
    assert_eq!(offered(&said), both, "{said}");
}

#[test]
fn all_candidates_are_shown_the_nearest_first() {
    let said = said::<single::Account, several::Account>();
    assert_eq!(offered(&said), [("name_changed", "NameMoved")], "{said}");
    assert!(
        said.contains("the nearest name first: `Renamed`, `AddressMoved`"),
        "{said}"
    );
}

#[test]
fn of_candidates_that_are_strangers_the_user_chooses() {
    let said = said::<single::Account, strangers::Account>();
    assert_eq!(offered(&said), [], "{said}");
    assert!(
        said.contains("if it is one of them, add `#[event(alias = \"name_changed\")]` to that one"),
        "{said}"
    );
}
