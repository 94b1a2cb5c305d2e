const _: fn() = || {
    ::es_runtime::__private::assert_value::<String>();
};
::es_runtime::__private::with_schema! {
    const _ : fn () = || { ::es_runtime::__private::assert_shape:: < String > (); };
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
pub struct Opened {
    pub owner: String,
}
#[automatically_derived]
impl ::es_runtime::Stored for Opened {
    const NAME: &'static str = "com.bank.opened";
    const SHAPE_VERSION: u32 = 2u32;
    fn is_plain() -> bool {
        #[allow(unused_imports)]
        use ::es_runtime::__private::NotPlain as _;
        static PLAIN: ::es_runtime::__private::Plainness = ::es_runtime::__private::Plainness::new();
        PLAIN.get(|seen| ::es_runtime::__private::PlainOf::<String>::is_plain(seen))
    }
    ::es_runtime::__private::with_schema! {
        fn shapes(out : & mut ::es_runtime::schema::Shapes) { out.add:: < Self > (< Self
        as ::es_runtime::Stored > ::NAME, < Self as ::es_runtime::Stored >
        ::SHAPE_VERSION); }
    }
}
#[automatically_derived]
impl ::es_runtime::publication::Message for Opened {}
#[automatically_derived]
impl ::es_runtime::publication::IntoMessages for Opened {
    fn into_messages(self, out: &mut ::es_runtime::publication::Messages) {
        out.push(&self);
    }
}
