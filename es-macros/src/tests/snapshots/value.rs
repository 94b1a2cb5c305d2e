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
pub enum Channel {
    Counter,
    Online,
}
#[automatically_derived]
impl ::es_runtime::__private::Shape for Channel {
    const FINGERPRINT: u64 = 2381835383125515578u64;
}
#[automatically_derived]
impl ::es_runtime::__private::Plain for Channel {
    fn is_plain(_: &mut ::es_runtime::__private::Seen) -> bool {
        true
    }
}
