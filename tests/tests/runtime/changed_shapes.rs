//! A stored shape that was changed without a new version: what says so, and when.

use es_runtime::prelude::*;
use es_runtime::runtime::Readable;
use es_runtime::{Error, StartError};

/// A build with its shape of the event.
macro_rules! build {
    ($build:ident { $($field:ident: $ty:ty = $value:expr),* }) => {
        mod $build {
            use es_runtime::prelude::*;

            #[event]
            pub(crate) struct Opened {
                $(pub(crate) $field: $ty),*
            }

            #[command]
            pub(crate) struct Open {}

            #[derive(Aggregate)]
            #[es(name = "account")]
            #[allow(dead_code, reason = "the later build reads none")]
            pub(crate) struct Account {
                pub(crate) event: Opened,
            }

            #[aggregate(vis = pub(crate))]
            impl Account {
                #[handle]
                fn open(_: Open) -> Opened {
                    Opened { $($field: $value),* }
                }

                #[apply]
                fn opened(event: Opened) -> Self {
                    Self { event }
                }
            }
        }
    };
}

build! { before { owner: String = "Alice".to_owned() } }
build! { after { owner: String = "Alice".to_owned(), vip: bool = false } }

es_tests::on_every_store_and_postgres! {
    async fn a_load_that_fails_says_why(store: _, _clock: _) {
        let runtime = Runtime::builder(store).start().await.unwrap();
        let alice = Id::new();
        runtime.execute(alice, before::Open {}).await.unwrap();
        assert_eq!(runtime.load(alice).await.unwrap().unwrap().event.owner, "Alice");

        let alice: Id<after::Account> = alice.to_string().parse().unwrap();
        let runtime = Runtime::builder(runtime.store().clone()).start().await.unwrap();
        let error = runtime.load(alice).await.map(drop).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("`account/{alice}` holds event `opened` at version 1")), "{text}");
        assert!(text.contains("missing field `vip`") && text.contains("give it a new version"), "{text}");
        assert_eq!(format!("{:?}", Error::from(error)).matches("missing field").count(), 1);
        let error = runtime.execute(alice, after::Open {}).await.unwrap_err();
        assert!(error.to_string().contains("missing field `vip`"), "{error}");
    }

    async fn a_build_whose_struct_was_changed_does_not_start(store: _, _clock: _) {
        let old = Runtime::builder(store.clone()).start().await.unwrap();
        let alice = Id::new();
        for id in [alice, Id::new(), Id::new()] {
            old.execute(id, before::Open {}).await.unwrap();
        }
        let started = Runtime::builder(store.clone()).aggregate::<after::Account>().start().await;
        let Err(StartError::UnreadableEvents(events)) = started else { panic!("{started:?}") };
        let [event] = &events[..] else { panic!("{events:?}") };
        assert_eq!((event.readable, event.count), (Readable::Changed, Some(3)));
        let said = event.to_string();
        assert!(said.starts_with("`opened` of `account` in version 1 (3 events): "), "{said}");
        assert!(said.contains("at position 3: ") && said.contains("missing field `vip`"), "{said}");

        let builder = Runtime::builder(store.clone()).aggregate::<after::Account>();
        let new = builder.allow_unreadable_events().start().await.unwrap();
        // It writes others, so that one that is damaged would look no different.
        new.execute(Id::<after::Account>::new(), after::Open {}).await.unwrap();
        let report = new.check_events().await.unwrap();
        assert_eq!(report.unreadable().count(), 0);
        let old = Runtime::builder(store).aggregate::<before::Account>().start().await.unwrap();
        assert!(old.load(alice).await.unwrap().is_some());
    }
}
