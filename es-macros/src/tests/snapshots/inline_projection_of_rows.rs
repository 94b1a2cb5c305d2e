const _: fn() = || {
    ::es_runtime::__private::assert_value::<i64>();
};
#[allow(clippy::derive_partial_eq_without_eq)]
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::core::cmp::PartialEq,
    ::es_runtime::__private::serde::Serialize,
    ::es_runtime::__private::serde::Deserialize
)]
#[serde(crate = "::es_runtime::__private::serde")]
pub struct Balance {
    pub cents: i64,
}
#[automatically_derived]
impl ::es_runtime::projection::Projection for Balance {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1u32;
    const SEGMENTS: u32 = 1u32;
    const INDEXES: &'static [&'static str] = &["cents"];
    type Rows = ::es_runtime::projection::Inline;
    const ON_FAILURE: ::es_runtime::projection::OnFailure = ::es_runtime::projection::OnFailure::Hold;
}
#[automatically_derived]
impl ::es_runtime::projection::Row for Balance {
    fn is_plain() -> bool {
        #[allow(unused_imports)]
        use ::es_runtime::__private::NotPlain as _;
        static PLAIN: ::es_runtime::__private::Plainness = ::es_runtime::__private::Plainness::new();
        PLAIN.get(|seen| ::es_runtime::__private::PlainOf::<i64>::is_plain(seen))
    }
}
