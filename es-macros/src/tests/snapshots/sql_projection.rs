pub struct Totals;
#[automatically_derived]
impl ::es_runtime::projection::Projection for Totals {
    const NAME: &'static str = "totals";
    const VERSION: u32 = 1u32;
    const SEGMENTS: u32 = 4u32;
    const INDEXES: &'static [&'static str] = &[];
    type Rows = ::es_runtime::projection::InStore;
    const ON_FAILURE: ::es_runtime::projection::OnFailure = ::es_runtime::projection::OnFailure::Hold;
}
#[automatically_derived]
impl ::es_runtime::projection::sql::SqlTables for Totals {
    const SCHEMA: &'static str = ::core::include_str!("totals.sql");
}
