//! The macros in a module whose names are not those of std.

#![deny(warnings, missing_docs, clippy::pedantic)]
#![forbid(unsafe_code)]
#![allow(dead_code, unreachable_pub, reason = "the items are there for their names")]

/// Names of std for other things, and names that the macros use inside.
mod shadowed {
    use ::es_runtime::{Aggregate, aggregate, apply, command, event, handle, retired, value};

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

    /// An event with a past.
    #[event(version = 2, removed(gone: Value, since = 2))]
    pub struct C {
        /// A value.
        #[event(renamed(from = "type", since = 2))]
        pub value: Value,
        /// Another one.
        #[event(added(since = 2, default = |gone| gone.clone()))]
        pub r#type: Value,
    }

    /// An event that comes from another struct.
    #[event(version = 2, from = OldD)]
    pub struct D;

    /// That struct.
    #[event(name = "d")]
    pub struct OldD;

    impl ::core::convert::From<OldD> for D {
        fn from(_: OldD) -> Self {
            D
        }
    }

    /// An event that is no longer written.
    #[event]
    pub struct Named;

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

        #[apply]
        fn by_fields(&mut self, _: C) {}

        #[apply]
        fn by_a_shape(&mut self, _: D) {}

        #[retired]
        fn payload(_: Named) {}
    }
}

#[test]
fn it_works_all_the_same() {
    use es_runtime::testing::Given;
    shadowed::E::given(()).when(shadowed::B).then(shadowed::A {
        value: shadowed::Value::Only,
    });
}
