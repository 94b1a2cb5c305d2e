//! The file itself, and the line that checks it.

#![allow(missing_docs, unreachable_pub, reason = "the types are there for their shape")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use es_runtime::prelude::*;
use es_runtime::schema::{Additions, check_events_lock, export};
use es_runtime::testing::events_lock;

#[value]
pub enum Channel {
    Counter,
    Online { device: String },
}

#[value]
#[serde(untagged)]
pub enum Code {
    Number(u32),
    Text(String),
}

#[value]
pub struct Tree {
    kids: Vec<Tree>,
    next: Option<Box<Tree>>,
}

#[event]
pub struct Opened {
    pub owner: String,
    pub at: Timestamp,
    pub parent: Option<Id<Account>>,
    pub channel: Channel,
    #[serde(rename = "my code")]
    pub code: Code,
    #[serde(default)]
    pub limits: Vec<Option<u8>>,
    pub tree: Tree,
    pub sizes: BTreeMap<String, (char, f32)>,
    #[serde(flatten)]
    pub rest: BTreeMap<String, i64>,
}

#[event(name = "account.closed")]
pub struct Closed;

#[command]
pub struct Open {}

#[derive(Aggregate)]
pub struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(this: Option<&Self>, _: Open) -> Option<Closed> {
        this.map(|_| Closed)
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn closed(&mut self, _: Closed) {}
}

const ENTRIES: &str = r#"
account/account.closed 1 null

account/opened 1 {
  at: date-time
  channel: "Counter" | {
    Online: {
      device: string
    }
  }
  limits?: (uint8 | null)[] = []
  "my code": uint32 / string
  owner: string
  parent?: uuid | null
  sizes: {
    ...: [string where {"maxLength":1,"minLength":1}, float]
  }
  tree: @Tree
  ...: int64
}
with @Tree = {
  kids: @Tree[]
  next?: @Tree | null
}
"#;

#[test]
fn it_is_made_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    check_events_lock::<(Account,)>(&file, Additions::Accept).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with(ENTRIES), "{text}");
    // What was written is read as the same, and not written again otherwise.
    check_events_lock::<((Account,), Account)>(&file, Additions::Refuse).unwrap();
    check_events_lock::<Account>(&file, Additions::Accept).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_file_that_cannot_be_read_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    let said = |text: &str| {
        fs::write(&file, text).unwrap();
        check_events_lock::<Account>(&file, Additions::Accept)
            .unwrap_err()
            .to_string()
    };
    for (text, error) in [
        ("account", "line 1: expected `/`, found ``"),
        (
            "# said\naccount/opened one {}",
            "line 2: `one` is not the version of a shape",
        ),
        (
            "account/opened 1 {\n  a: int64\n  b = 5\n}",
            "line 3: expected `:`, found `= 5`",
        ),
        (
            "account/opened 1 {\n  a: int64\n  a: int64\n}",
            "line 3: the field `a` is there twice",
        ),
        (
            "account/opened 1 {}\naccount/opened 1 {}",
            "line 2: `account/opened 1` is there twice",
        ),
        (
            "account/opened 1 { a: string where 1 }",
            "line 1: expected `:`, found `1 }`",
        ),
        ("account/opened 1 \"open", "line 1: expected a JSON value"),
        ("<<<<<<< main", "line 1: expected the name of an aggregate"),
    ] {
        let said = said(text);
        assert!(said.contains(error), "{text}: {said}");
        assert!(said.contains("take the file back from git"), "{said}");
    }
}

/// What the line that users write does, in a process of its own with another environment.
fn run(variable: Option<&str>, file: &std::path::Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "the_line", "--nocapture"])
        .env("TEST_LOCK", file);
    match variable {
        Some(value) => command.env("ES_EVENTS_LOCK", value),
        None => command.env_remove("ES_EVENTS_LOCK"),
    };
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), said.contains("1 passed"), "{said}");
    said
}

#[test]
#[ignore = "run by `the_environment_says_what_is_accepted`"]
fn the_line() {
    // An absolute path is taken as it is; the bank has a relative one.
    events_lock::<(Account,)>(&std::env::var("TEST_LOCK").unwrap());
}

#[test]
fn the_environment_says_what_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    let missing = run(None, &file);
    assert!(
        missing.contains("write it with `ES_EVENTS_LOCK=accept cargo test`"),
        "{missing}"
    );
    let unknown = run(Some("yes"), &file);
    assert!(
        unknown.contains("`ES_EVENTS_LOCK` is `yes`: it is `accept`, or not set"),
        "{unknown}"
    );
    // The panic is at the user's line.
    assert!(
        missing.contains("tests/file.rs:") && unknown.contains("tests/file.rs:"),
        "{missing}"
    );
    assert!(!file.exists());
    assert!(run(Some("accept"), &file).contains("1 passed"));
    assert!(run(None, &file).contains("1 passed"));
}

mod by_hand {
    use es_runtime::prelude::*;
    use es_runtime::{Event, Stored};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Opened {
        pub owner: String,
    }

    impl Stored for Opened {
        const NAME: &'static str = "opened";
    }

    impl Event for Opened {}

    #[command]
    pub struct Open {}

    #[derive(Aggregate)]
    pub struct Account;

    #[aggregate]
    impl Account {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened { owner: "Zoë".into() }
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Account
        }
    }
}

#[test]
fn an_event_by_hand_is_asked_for_its_shape() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    let refused = check_events_lock::<by_hand::Account>(&file, Additions::Accept).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("account/opened 1: `Stored` is implemented by hand for `Opened`"),
        "{said}"
    );
    assert!(
        said.contains("out.add::<Self>(Self::NAME, Self::SHAPE_VERSION);"),
        "{said}"
    );
    let said = export::<by_hand::Account>(folder.path()).unwrap_err().to_string();
    assert!(said.contains("the shape of `account/opened 1` is not known"), "{said}");
}
