const _: fn() = || {
    ::es_runtime::__private::assert_value::<u64>();
};
const _: fn() = || {
    ::es_runtime::__private::assert_value::<u32>();
    ::es_runtime::__private::assert_value::<String>();
};
::es_runtime::__private::with_schema! {
    const _ : fn () = || { ::es_runtime::__private::assert_shape:: < u64 > ();
    ::es_runtime::__private::assert_shape:: < u32 > ();
    ::es_runtime::__private::assert_shape:: < String > (); };
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
#[serde(rename_all = "camelCase")]
pub struct Deposited {
    pub amount: u64,
    #[serde(rename = "txt")]
    pub text: String,
}
const _: () = {
    #[automatically_derived]
    impl ::es_runtime::Stored for Deposited {
        const NAME: &'static str = "deposited";
        const SHAPE_VERSION: u32 = 2u32;
        fn is_plain() -> bool {
            #[allow(unused_imports)]
            use ::es_runtime::__private::NotPlain as _;
            static PLAIN: ::es_runtime::__private::Plainness = ::es_runtime::__private::Plainness::new();
            PLAIN
                .get(|seen| {
                    ::es_runtime::__private::PlainOf::<u64>::is_plain(seen)
                        && ::es_runtime::__private::PlainOf::<String>::is_plain(seen)
                })
        }
        const OLDEST_VERSION: u32 = 1;
        const WRITES_FROM: u32 = {
            #[allow(unused_imports)]
            use ::es_runtime::__private::NoWayBack as _;
            ::es_runtime::__private::writes_from::<
                Self,
                __DepositedV1,
            >(true && ::es_runtime::__private::Back::<u64, u32>::EXISTS && false)
        };
        fn decode(
            shape_version: u32,
            payload: &[u8],
        ) -> ::core::result::Result<Self, ::es_runtime::DecodeError> {
            ::es_runtime::__private::decode_chain::<
                Self,
                __DepositedV1,
            >(
                shape_version,
                payload,
                |old| { ::core::result::Result::Ok(<Deposited>::__upcast_to_2(old)) },
            )
        }
        fn encode_as(
            &self,
            shape_version: u32,
            out: &mut ::es_runtime::__private::Vec<u8>,
        ) -> ::core::result::Result<(), ::es_runtime::EncodeError> {
            ::es_runtime::__private::encode_chain::<
                Self,
                __DepositedV1,
            >(self, shape_version, out, <Deposited>::__back_from_2)
        }
        ::es_runtime::__private::with_schema! {
            fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (<
            Self as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
            ::SHAPE_VERSION); < __DepositedV1 as ::es_runtime::Stored > ::shapes(out); }
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
    #[serde(rename_all = "camelCase")]
    #[serde(rename = "Deposited")]
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    struct __DepositedV1 {
        #[serde(rename = "sum")]
        sum: u32,
        note: String,
    }
    #[automatically_derived]
    impl ::es_runtime::Stored for __DepositedV1 {
        const NAME: &'static str = "deposited";
        ::es_runtime::__private::with_schema! {
            fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (<
            Self as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
            ::SHAPE_VERSION); }
        }
    }
    #[automatically_derived]
    impl ::es_runtime::__private::OldShape<Deposited> for __DepositedV1 {}
    #[allow(
        clippy::pedantic,
        clippy::redundant_closure_call,
        clippy::useless_conversion,
        clippy::unnecessary_wraps,
        clippy::let_and_return
    )]
    impl Deposited {
        #[doc(hidden)]
        fn __upcast_to_2(old: __DepositedV1) -> Deposited {
            let _ = &old;
            let __field_0: u64 = {
                use ::es_runtime::__private::changed;
                changed::<u64, u32>(old.sum)
            };
            #[allow(unused_variables)]
            let __field_2 = old.note;
            let __field_1: String = (|amount: &u64, note: &String| -> String {
                let value: String = format!("{amount}: {note}");
                value
            })(&__field_0, &__field_2);
            Deposited {
                amount: __field_0,
                text: __field_1,
            }
        }
        #[doc(hidden)]
        fn __back_from_2(_: Deposited) -> ::core::option::Option<__DepositedV1> {
            ::core::option::Option::None
        }
    }
};
#[automatically_derived]
impl ::es_runtime::Event for Deposited {}
