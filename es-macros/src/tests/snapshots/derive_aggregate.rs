#[automatically_derived]
impl ::es_runtime::Aggregate for Account {
    const NAME: &'static str = "account";
    type Id = Iban;
}
#[automatically_derived]
impl ::es_runtime::Key for Iban {
    type Aggregate = Account;
    fn stream_id(&self) -> ::es_runtime::StreamId {
        ::es_runtime::__private::stream_id::<Account>(self)
    }
}
