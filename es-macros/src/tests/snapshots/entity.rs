const _: fn() = || {
    ::es_runtime::__private::assert_value::<String>();
    ::es_runtime::__private::assert_value::<u8>();
};
::es_runtime::__private::with_schema! {
    const _ : fn () = || { ::es_runtime::__private::assert_shape:: < String > ();
    ::es_runtime::__private::assert_shape:: < u8 > (); };
}
#[allow(clippy::derive_partial_eq_without_eq)]
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::core::cmp::PartialEq,
    ::es_runtime::__private::serde::Serialize,
    ::es_runtime::__private::serde::Deserialize
)]
#[serde(crate = "::es_runtime::__private::serde")]
#[derive(::es_runtime::__private::JsonSchema)]
#[schemars(crate = "::es_runtime::__private::schemars")]
pub struct Environment {
    pub id: String,
    pub zone: u8,
}
const _: () = {
    #[automatically_derived]
    impl ::es_runtime::Stored for Environment {
        const NAME: &'static str = "environment";
        const SHAPE_VERSION: u32 = 2u32;
        fn is_plain() -> bool {
            #[allow(unused_imports)]
            use ::es_runtime::__private::NotPlain as _;
            static PLAIN: ::es_runtime::__private::Plainness = ::es_runtime::__private::Plainness::new();
            PLAIN
                .get(|seen| {
                    ::es_runtime::__private::PlainOf::<String>::is_plain(seen)
                        && ::es_runtime::__private::PlainOf::<u8>::is_plain(seen)
                })
        }
        const OLDEST_VERSION: u32 = 1;
        const WRITES_FROM: u32 = {
            #[allow(unused_imports)]
            use ::es_runtime::__private::NoWayBack as _;
            ::es_runtime::__private::writes_from::<Self, __EnvironmentV1>(true && true)
        };
        fn decode(
            shape_version: u32,
            payload: &[u8],
        ) -> ::core::result::Result<Self, ::es_runtime::DecodeError> {
            ::es_runtime::__private::decode_chain::<
                Self,
                __EnvironmentV1,
            >(
                shape_version,
                payload,
                |old| { ::core::result::Result::Ok(<Environment>::__upcast_to_2(old)) },
            )
        }
        fn encode_as(
            &self,
            shape_version: u32,
            out: &mut ::es_runtime::__private::Vec<u8>,
        ) -> ::core::result::Result<(), ::es_runtime::EncodeError> {
            ::es_runtime::__private::encode_chain::<
                Self,
                __EnvironmentV1,
            >(self, shape_version, out, <Environment>::__back_from_2)
        }
        ::es_runtime::__private::with_schema! {
            fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (<
            Self as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
            ::SHAPE_VERSION); < __EnvironmentV1 as ::es_runtime::Stored > ::shapes(out);
            }
        }
    }
    #[allow(clippy::derive_partial_eq_without_eq)]
    #[derive(
        ::core::fmt::Debug,
        ::core::clone::Clone,
        ::core::cmp::PartialEq,
        ::es_runtime::__private::serde::Serialize,
        ::es_runtime::__private::serde::Deserialize
    )]
    #[serde(crate = "::es_runtime::__private::serde")]
    #[derive(::es_runtime::__private::JsonSchema)]
    #[schemars(crate = "::es_runtime::__private::schemars")]
    #[serde(rename = "Environment")]
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    struct __EnvironmentV1 {
        id: String,
    }
    #[automatically_derived]
    impl ::es_runtime::Stored for __EnvironmentV1 {
        const NAME: &'static str = "environment";
        ::es_runtime::__private::with_schema! {
            fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (<
            Self as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
            ::SHAPE_VERSION); }
        }
    }
    #[automatically_derived]
    impl ::es_runtime::__private::OldShape<Environment> for __EnvironmentV1 {}
    #[allow(
        clippy::pedantic,
        clippy::redundant_closure_call,
        clippy::useless_conversion,
        clippy::unnecessary_wraps,
        clippy::let_and_return
    )]
    impl Environment {
        #[doc(hidden)]
        fn __upcast_to_2(old: __EnvironmentV1) -> Environment {
            let _ = &old;
            #[allow(unused_variables)]
            let __field_0 = old.id;
            let __field_1: u8 = 1;
            Environment {
                id: __field_0,
                zone: __field_1,
            }
        }
        #[doc(hidden)]
        fn __back_from_2(new: Environment) -> ::core::option::Option<__EnvironmentV1> {
            #[allow(unused_imports)]
            use ::es_runtime::__private::NoWayBack as _;
            let _ = &new;
            ::core::option::Option::Some(__EnvironmentV1 { id: new.id })
        }
    }
};
#[automatically_derived]
impl ::es_runtime::state::Entity for Environment {
    type Id = String;
    fn id(&self) -> &Self::Id {
        &self.id
    }
}
::es_runtime::__private::with_schema! {
    #[automatically_derived] impl ::es_runtime::schema::Aggregates for Environment { fn
    each(visit : & mut dyn ::core::ops::FnMut(::es_runtime::schema::Category)) {
    ::es_runtime::schema::each_entity:: < Self > (visit); } }
}
