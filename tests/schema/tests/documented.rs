//! What the guide shows is what is said.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the types are there for their shape"
)]

use std::fs;

use es_runtime::schema::{Additions, check_events_lock};

macro_rules! bank {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            use es_runtime::prelude::*;

            #[event]
            pub struct Opened {
                pub owner: String,
            }

            $($item)*

            #[command]
            pub struct Open {
                pub owner: String,
            }

            #[derive(Aggregate)]
            pub struct Account;

            #[aggregate]
            impl Account {
                #[handle]
                fn open(cmd: Open) -> Opened {
                    Opened { owner: cmd.owner }
                }

                #[apply]
                fn opened(_: Opened) -> Self {
                    Account
                }

                #[apply]
                fn deposited(&mut self, _: Deposited) {}
            }
        }
    };
}

bank! { before {
    #[event]
    pub struct Deposited {
        pub amount: i64,
        pub note: Option<String>,
    }
} }

bank! { after {
    #[value]
    pub enum Channel {
        Counter,
        Online,
    }

    #[event]
    pub struct Deposited {
        pub cents: i64,
        pub channel: Channel,
    }
} }

bank! { fixed {
    #[value]
    pub enum Channel {
        Counter,
        Online,
    }

    #[event(version = 2, removed(note: Option<String>, since = 2))]
    pub struct Deposited {
        #[event(renamed(from = "amount", since = 2))]
        pub cents: i64,
        #[event(added(since = 2, default = Channel::Counter))]
        pub channel: Channel,
    }
} }

/// The `number`th block of text in the guide.
fn documented(number: usize) -> &'static str {
    let guide = include_str!("../../../es-runtime/docs/events-lock.md");
    let block = guide.split("```text\n").nth(number).expect("there is a block");
    block.split("```").next().unwrap().trim()
}

#[test]
fn the_file_and_the_failure_are_those_of_the_guide() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    check_events_lock::<before::Account>(&file, Additions::Accept).unwrap();
    let lock = fs::read_to_string(&file).unwrap();
    let said = check_events_lock::<after::Account>(&file, Additions::Refuse)
        .unwrap_err()
        .to_string();
    assert!(lock.trim().ends_with(documented(1)), "{lock}");
    assert_eq!(said.trim(), documented(2), "{said}");
}

/// The code that the failure shows, filled in.
#[test]
fn what_it_says_to_write_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    check_events_lock::<before::Account>(&file, Additions::Accept).unwrap();
    let said = check_events_lock::<fixed::Account>(&file, Additions::Refuse)
        .unwrap_err()
        .to_string();
    assert_eq!(said.trim(), documented(3), "{said}");
    check_events_lock::<fixed::Account>(&file, Additions::Accept).unwrap();
    check_events_lock::<fixed::Account>(&file, Additions::Refuse).unwrap();
    let golden = fs::read_to_string(folder.path().join("events.golden/account/deposited.1.json")).unwrap();
    assert_eq!(golden.trim(), documented_json(), "{golden}");
}

/// The block of JSON in the guide.
fn documented_json() -> &'static str {
    let guide = include_str!("../../../es-runtime/docs/events-lock.md");
    guide
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap()
        .trim()
}
