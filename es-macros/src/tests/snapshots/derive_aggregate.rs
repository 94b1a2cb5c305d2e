#[automatically_derived]
impl ::es_runtime::Aggregate for Account {
    const NAME: &'static str = "account";
    const FINGERPRINT: u64 = {
        #[allow(unused_imports)]
        use ::es_runtime::__private::NoShape as _;
        ::es_runtime::__private::fingerprint(
            11049585505216523634u64,
            &[::es_runtime::__private::ShapeOf::<i64>::FINGERPRINT],
        )
    };
    type Id = Iban;
}
#[automatically_derived]
impl ::es_runtime::Key for Iban {
    type Aggregate = Account;
    fn stream_id(&self) -> ::es_runtime::StreamId {
        ::es_runtime::__private::stream_id::<Account>(self)
    }
}
