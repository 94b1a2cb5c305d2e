//! Entities in `events.lock`, next to events.

#![allow(dead_code, unreachable_pub, reason = "the types are there for their shape")]

use std::fs;
use std::path::PathBuf;

use es_runtime::schema::{Additions, Aggregates, check_events_lock, export};

mod first {
    use es_runtime::prelude::*;

    #[entity(id = id)]
    pub struct Deployment {
        pub id: String,
        pub name: String,
    }

    /// The name of an aggregate may be any, this one too.
    #[event]
    pub struct Opened {}

    #[command]
    pub struct Open {}

    #[derive(Aggregate)]
    #[es(name = "entity")]
    pub struct Entity;

    #[aggregate]
    impl Entity {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened {}
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Self
        }
    }
}

mod careless {
    use es_runtime::prelude::*;

    #[entity(id = id)]
    pub struct Deployment {
        pub id: String,
        pub title: String,
    }
}

mod second {
    use es_runtime::prelude::*;

    #[entity(id = id, version = 2)]
    pub struct Deployment {
        pub id: String,
        #[entity(renamed(from = "name", since = 2))]
        pub title: String,
    }
}

mod renamed {
    use es_runtime::prelude::*;

    #[entity(id = id)]
    pub struct Release {
        pub id: String,
        pub name: String,
    }
}

mod aliased {
    use es_runtime::prelude::*;

    #[entity(alias = "deployment", id = id)]
    pub struct Release {
        pub id: String,
        pub name: String,
    }
}

struct Lock {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Lock {
    /// A file with the shapes of `S`.
    fn of<S: Aggregates>() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.lock");
        check_events_lock::<S>(&file, Additions::Accept).unwrap();
        Self { _folder: folder, file }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    fn golden(&self, name: &str) -> String {
        fs::read_to_string(self.file.with_extension("golden").join(name)).unwrap()
    }

    /// Returns the report on the build with `S`, which cannot be accepted.
    fn refuses<S: Aggregates>(&self) -> String {
        let said = check_events_lock::<S>(&self.file, Additions::Refuse)
            .unwrap_err()
            .to_string();
        assert_eq!(
            check_events_lock::<S>(&self.file, Additions::Accept)
                .unwrap_err()
                .to_string(),
            said
        );
        said
    }
}

#[test]
fn an_entity_stands_next_to_the_events() {
    let lock = Lock::of::<(first::Entity, first::Deployment)>();
    let text = lock.text();
    assert!(
        text.contains("\n\nentity deployment 1 {\n  id: string\n  name: string\n}\n"),
        "{text}"
    );
    assert!(text.contains("\n\nentity/opened 1 {}\n"), "{text}");
    check_events_lock::<(first::Deployment, first::Entity)>(&lock.file, Additions::Refuse).unwrap();
    assert!(lock.golden("deployment.1.json").contains(r#""entity": "deployment""#));
    assert!(lock.golden("entity/opened.1.json").contains(r#""event": "opened""#));
}

#[test]
fn a_shape_that_changed_needs_a_version() {
    let lock = Lock::of::<first::Deployment>();
    let said = lock.refuses::<careless::Deployment>();
    for part in [
        "entity deployment 1 (`Deployment`) has changed, and entities are stored as it was\n",
        "    name: string → not read\n    title: not stored → string\n",
        "    #[entity(version = 2)]\n    pub struct Deployment {\n        #[entity(renamed(from = \"name\", since = 2))]\n",
        "or, if no such entity was ever stored, delete `entity deployment 1` from `events.lock`",
    ] {
        assert!(said.contains(part), "{part}\n\n{said}");
    }
    check_events_lock::<second::Deployment>(&lock.file, Additions::Accept).unwrap();
    assert!(lock.text().contains("entity deployment 2 {"));
    let golden = lock.golden("deployment.1.json");
    assert!(
        golden.contains(r#""title""#) && golden.contains(r#""version": 2"#),
        "{golden}"
    );
}

#[test]
fn an_entity_that_is_gone_is_named() {
    let lock = Lock::of::<(first::Entity, first::Deployment)>();
    let said = lock.refuses::<first::Entity>();
    assert!(
        said.contains(
            "entity deployment 1 is gone, and stored entities of this name cannot be read\n  list it in the line that checks `events.lock`"
        ),
        "{said}"
    );
    let said = lock.refuses::<(first::Entity, renamed::Release)>();
    assert!(
        said.contains(
            "`Release` looks like it: if it has another name now, write\n    #[entity(alias = \"deployment\")]"
        ),
        "{said}"
    );
    check_events_lock::<(first::Entity, aliased::Release)>(&lock.file, Additions::Accept).unwrap();
    assert!(lock.text().contains("entity deployment 1 (alias of release) {"));
    // The old payload is read as the entity of today.
    assert!(lock.golden("deployment.1.json").contains(r#""entity": "release""#));
    check_events_lock::<(first::Entity, aliased::Release)>(&lock.file, Additions::Refuse).unwrap();
}

#[test]
fn the_schema_of_an_entity_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    export::<(first::Entity, second::Deployment)>(folder.path()).unwrap();
    let schema = fs::read_to_string(folder.path().join("deployment.1.json")).unwrap();
    assert!(schema.contains(r#""title": "entity deployment 1""#), "{schema}");
    assert!(folder.path().join("deployment.2.json").exists() && folder.path().join("entity/opened.1.json").exists());
}
