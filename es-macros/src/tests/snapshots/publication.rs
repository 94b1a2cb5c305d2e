pub struct Accounts;
#[automatically_derived]
impl ::es_runtime::publication::PublicationInfo for Accounts {
    const NAME: &'static str = "accounts";
    const TOPIC: &'static str = "bank.accounts";
    const VERSION: u32 = 2u32;
    const SOURCE: &'static str = "/bank";
    const ON_FAILURE: ::es_runtime::projection::OnFailure = ::es_runtime::projection::OnFailure::Park;
}
