const _: fn() = || {
    ::es_runtime::__private::assert_value::<i64>();
};
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::es_runtime::__private::serde::Serialize,
    ::es_runtime::__private::serde::Deserialize
)]
#[serde(crate = "::es_runtime::__private::serde")]
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
}
