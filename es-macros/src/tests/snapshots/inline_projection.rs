pub struct Ledger;
#[automatically_derived]
impl ::es_runtime::projection::Projection for Ledger {
    const NAME: &'static str = "ledger";
    const VERSION: u32 = 1u32;
    const SEGMENTS: u32 = 1u32;
    const INDEXES: &'static [&'static str] = &[];
    type Rows = ::es_runtime::projection::Inline;
    const ON_FAILURE: ::es_runtime::projection::OnFailure = ::es_runtime::projection::OnFailure::Hold;
}
#[automatically_derived]
impl ::es_runtime::projection::sql::SqlTables for Ledger {
    const SCHEMA: &'static str = ::core::include_str!("ledger.sql");
}
