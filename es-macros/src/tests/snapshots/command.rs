const _: fn() = || {
    ::es_runtime::__private::assert_value::<i64>();
};
::es_runtime::__private::with_schema! {
    const _ : fn () = || { ::es_runtime::__private::assert_shape:: < i64 > (); };
}
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::es_runtime::__private::serde::Serialize,
    ::es_runtime::__private::serde::Deserialize
)]
#[serde(crate = "::es_runtime::__private::serde")]
#[derive(::es_runtime::__private::JsonSchema)]
#[schemars(crate = "::es_runtime::__private::schemars")]
#[derive(Eq, PartialEq)]
pub struct Deposit {
    pub amount: i64,
}
#[automatically_derived]
impl ::es_runtime::Command for Deposit {
    const NAME: &'static str = "deposit";
    fn check(&self) -> ::core::result::Result<(), ::es_runtime::Invalid> {
        Self::validate(self)
    }
    ::es_runtime::__private::with_schema! {
        fn schema() -> ::core::option::Option < ::es_runtime::__private::Value > {
        ::core::option::Option::Some(::es_runtime::__private::schema_of:: < Self > ()) }
    }
}
