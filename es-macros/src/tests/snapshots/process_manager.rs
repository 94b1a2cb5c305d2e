const _: fn() = || {
    ::es_runtime::__private::assert_value::<i64>();
};
::es_runtime::__private::with_schema! {
    const _ : fn () = || { ::es_runtime::__private::assert_shape:: < i64 > (); };
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
pub enum Payment {
    Asked { cents: i64 },
    Paid,
}
#[automatically_derived]
impl ::es_runtime::Stored for Payment {
    const NAME: &'static str = "payment";
    const SHAPE_VERSION: u32 = 2u32;
    fn is_plain() -> bool {
        #[allow(unused_imports)]
        use ::es_runtime::__private::NotPlain as _;
        static PLAIN: ::es_runtime::__private::Plainness = ::es_runtime::__private::Plainness::new();
        PLAIN.get(|seen| ::es_runtime::__private::PlainOf::<i64>::is_plain(seen))
    }
    const OLDEST_VERSION: u32 = ::es_runtime::__private::oldest::<Self, PaymentV1>();
    const WRITES_FROM: u32 = {
        use ::es_runtime::__private::NoWayBack as _;
        ::es_runtime::__private::writes_from::<
            Self,
            PaymentV1,
        >(::es_runtime::__private::Back::<Self, PaymentV1>::EXISTS)
    };
    #[allow(clippy::redundant_closure)]
    fn decode(
        shape_version: u32,
        payload: &[u8],
    ) -> ::core::result::Result<Self, ::es_runtime::DecodeError> {
        use ::es_runtime::__private::upcast;
        ::es_runtime::__private::decode_chain::<
            Self,
            PaymentV1,
        >(shape_version, payload, |old| upcast::<Self, PaymentV1>(old))
    }
    fn encode_as(
        &self,
        shape_version: u32,
        out: &mut ::es_runtime::__private::Vec<u8>,
    ) -> ::core::result::Result<(), ::es_runtime::EncodeError> {
        use ::es_runtime::__private::NoWayBack as _;
        ::es_runtime::__private::encode_chain::<
            Self,
            PaymentV1,
        >(
            self,
            shape_version,
            out,
            ::es_runtime::__private::Back::<Self, PaymentV1>::step,
        )
    }
    ::es_runtime::__private::with_schema! {
        fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (< Self
        as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
        ::SHAPE_VERSION); < PaymentV1 as ::es_runtime::Stored > ::shapes(out); }
    }
}
#[automatically_derived]
impl ::es_runtime::__private::OldShape<Payment> for PaymentV1 {}
impl PaymentV1 {
    #[doc(hidden)]
    #[allow(dead_code, unreachable_pub)]
    pub const OLD_SHAPE_OF_ONE_EVENT: ::core::option::Option<&'static str> = ::core::option::Option::Some(
        "Payment",
    );
}
const _: () = {
    use ::es_runtime::__private::assert_chain;
    const _: () = assert_chain::<
        Payment,
        PaymentV1,
    >("process_manager", "Payment", "PaymentV1");
};
#[automatically_derived]
impl ::es_runtime::process::ProcessState for Payment {
    type Id = Id<Order>;
}
