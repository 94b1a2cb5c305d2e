//! The macros in a module whose names are not those of std.

#![deny(warnings, missing_docs, clippy::pedantic)]
#![forbid(unsafe_code)]
#![allow(dead_code, unreachable_pub, reason = "the items are there for their names")]

/// Names of std for other things, and names that the macros use inside.
mod shadowed {
    use ::es_runtime::{Aggregate, aggregate, apply, command, event, handle, value};

    /// Not the one of std.
    pub struct Result;
    /// Not the one of std.
    pub struct Option;
    /// Not the one of std.
    pub struct String;
    /// Not the one of std.
    pub struct Vec;
    /// Not the one of std.
    pub struct Ok;
    /// Not the one of std.
    pub trait Clone {}
    /// Not the one of std.
    pub trait From {}
    /// Not the crate.
    pub mod core {}
    /// Not the crate.
    pub mod std {}
    /// Not the crate.
    pub mod es_runtime {}
    /// Not a macro's.
    pub const NAMES: u8 = 0;

    /// An event.
    #[event]
    pub struct A {
        /// A value.
        pub value: Value,
    }

    /// A value.
    #[value]
    pub enum Value {
        /// The only one.
        Only,
    }

    /// A command.
    #[command]
    pub struct B;

    /// An aggregate.
    #[derive(Aggregate)]
    pub struct E;

    #[aggregate]
    impl E {
        #[handle]
        fn item(_: B) -> A {
            A { value: Value::Only }
        }

        #[apply]
        fn state(_: A) -> Self {
            Self
        }
    }
}

#[test]
fn it_works_all_the_same() {
    use es_runtime::testing::Given;
    shadowed::E::given(()).when(shadowed::B).then(shadowed::A {
        value: shadowed::Value::Only,
    });
}
