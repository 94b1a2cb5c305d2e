const _: fn() = || {
    ::es_runtime::__private::assert_value::<String>();
};
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::core::cmp::PartialEq,
    ::es_runtime::__private::serde::Serialize,
    ::es_runtime::__private::serde::Deserialize
)]
#[serde(crate = "::es_runtime::__private::serde")]
pub struct Opened {
    pub owner: String,
}
#[automatically_derived]
impl ::es_runtime::Event for Opened {
    const NAME: &'static str = "account-opened";
    fn check(&self) -> ::core::result::Result<(), ::es_runtime::Invalid> {
        Self::validate(self)
    }
}
