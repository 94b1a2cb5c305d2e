//! Names that are allowed and rare: raw, not ASCII, ending in `_`, or the same as ours.

#![deny(warnings, nonstandard_style)]
#![allow(unreachable_pub, reason = "a domain in a module of a test")]

use es_runtime::prelude::*;
use es_runtime::testing::Given;
use es_runtime::{MemoryStore, Runtime};

/// A command of the name of the context, and an aggregate whose name ends in `_`.
mod terms {
    use super::*;

    #[command]
    pub struct Context {
        pub text: String,
    }

    #[command]
    pub struct Read;

    #[event(version = 2)]
    pub struct Agreed_ {
        #[event(renamed(from = "m²", since = 2))]
        pub text: String,
    }

    #[event]
    pub struct Meta {
        pub text: String,
        pub version: u64,
    }

    #[derive(Aggregate)]
    pub struct Terms_ {
        pub text: String,
    }

    #[aggregate]
    impl Terms_ {
        #[handle]
        fn context(command: Context) -> Agreed_ {
            Agreed_ { text: command.text }
        }

        #[handle]
        fn read(&self, _: Read, context: &es_runtime::Context) -> Meta {
            Meta {
                text: self.text.clone(),
                version: context.version().0,
            }
        }

        #[apply]
        fn agreed(event: Agreed_) -> Self {
            Self { text: event.text }
        }

        #[apply]
        fn r#type(&mut self, _: Meta) {}
    }
}

/// A command of that name together with a context.
mod both {
    use super::*;

    #[command]
    pub struct Context;

    #[event]
    pub struct Event {
        pub version: u64,
    }

    #[derive(Aggregate)]
    pub struct Command {
        pub version: u64,
    }

    #[aggregate]
    impl Command {
        #[handle]
        fn öffnen(_: Context, context: &es_runtime::Context) -> Event {
            Event {
                version: context.version().0,
            }
        }

        #[apply]
        fn geöffnet(r#type: Event) -> Self {
            Self {
                version: r#type.version,
            }
        }
    }
}

/// Parameters that are called what the macro would call others.
#[projection(memory)]
struct Readings {
    r#type: String,
    readings: u64,
}

#[projection]
impl Readings {
    #[apply(key = r#type.text)]
    fn agreed(r#type: terms::Agreed_) -> Self {
        Self {
            r#type: r#type.text,
            readings: 0,
        }
    }

    #[apply(key = meta.text)]
    fn read(&mut self, meta: terms::Meta) {
        self.readings += meta.version;
    }
}

#[projection(memory)]
struct Readers {
    readings: u64,
}

#[projection]
impl Readers {
    #[apply]
    fn agreed(_: terms::Agreed_, event: &Meta<terms::Terms_>) -> Self {
        Self {
            readings: event.version().0,
        }
    }

    #[apply(key = meta.stream().id())]
    fn read(&mut self, _: terms::Meta, meta: &Meta<terms::Terms_>) {
        self.readings += meta.version().0;
    }
}

#[test]
fn a_command_may_be_called_context() {
    both::Command::given(())
        .when(both::Context)
        .then(both::Event { version: 0 })
        .then_state(|command| assert_eq!(command.version, 0));
    terms::Terms_::given(())
        .when(terms::Context { text: "none".into() })
        .then(terms::Agreed_ { text: "none".into() });
}

#[test]
fn a_stored_name_need_not_be_an_identifier() {
    let event = <terms::Agreed_ as es_runtime::Stored>::decode(1, r#"{"m²": "none"}"#.as_bytes()).unwrap();
    assert_eq!(event, terms::Agreed_ { text: "none".into() });
}

#[tokio::test]
async fn parameters_may_be_called_what_the_macro_calls_others() {
    let runtime = Runtime::builder(MemoryStore::new())
        .projection::<Readings>()
        .projection::<Readers>()
        .start()
        .await
        .unwrap();
    let id = Id::new();
    runtime
        .execute(id, terms::Context { text: "none".into() })
        .await
        .unwrap();
    let receipt = runtime.execute(id, terms::Read).await.unwrap();
    let readers = runtime.get::<Readers>(id).after(receipt.position).await.unwrap();
    assert_eq!(readers.map(|readers| readers.readings), Some(3));
    let readings = runtime.get::<Readings>("none").after(receipt.position).await.unwrap();
    assert_eq!(readings.map(|readings| readings.readings), Some(1));
}
