#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::unused_async)]
impl Totals {
    #[apply(__in_aggregate)]
    async fn opened(tx: &mut PgTransaction<'_>, event: Opened) -> Result<()> {
        Ok(())
    }
    #[apply(__in_aggregate)]
    #[cfg(feature = "transfers")]
    async fn received(
        tx: &mut PgTransaction<'_>,
        event: events::Received,
        meta: &Meta<Transfer>,
    ) -> Result<()> {
        Ok(())
    }
}
#[automatically_derived]
impl ::es_runtime::projection::sql::SqlProjection for Totals {
    type Tx = PgTransaction<'static>;
    const EVENTS: &'static [::es_runtime::projection::sql::SqlEvent<Self>] = &[
        ::es_runtime::__private::sql_event::<Self, Opened, _>(),
        #[cfg(feature = "transfers")]
        ::es_runtime::__private::sql_event::<Self, events::Received, _>(),
    ];
}
#[automatically_derived]
impl<
    S: ::es_runtime::projection::sql::SqlStore<PgTransaction<'static>>,
> ::es_runtime::projection::Project<S> for Totals {
    fn plan() -> ::es_runtime::projection::Plan<S> {
        ::es_runtime::projection::Plan::sql::<Totals>()
    }
}
#[automatically_derived]
impl ::es_runtime::projection::sql::ApplySql<Opened> for Totals {
    #[allow(unused_variables)]
    fn apply<'a>(
        tx: &'a mut <PgTransaction<
            'static,
        > as ::es_runtime::projection::sql::SqlTransaction>::At<'_>,
        event: Opened,
        meta: &'a ::es_runtime::projection::sql::MetaOf<Self, Opened>,
    ) -> ::es_runtime::__private::SqlFuture<
        'a,
        ::core::result::Result<(), ::es_runtime::Error>,
    > {
        ::es_runtime::__private::sql_running::<
            PgTransaction<'static>,
            _,
        >(<Self>::opened(tx, event))
    }
}
#[cfg(feature = "transfers")]
#[automatically_derived]
impl ::es_runtime::projection::sql::ApplySql<events::Received> for Totals {
    #[allow(unused_variables)]
    fn apply<'a>(
        tx: &'a mut <PgTransaction<
            'static,
        > as ::es_runtime::projection::sql::SqlTransaction>::At<'_>,
        event: events::Received,
        meta: &'a ::es_runtime::projection::sql::MetaOf<Self, events::Received>,
    ) -> ::es_runtime::__private::SqlFuture<
        'a,
        ::core::result::Result<(), ::es_runtime::Error>,
    > {
        ::es_runtime::__private::sql_running::<
            PgTransaction<'static>,
            _,
        >(
            <Self>::received(
                tx,
                event,
                ::es_runtime::__private::sql_meta::<Meta<Transfer>>(meta),
            ),
        )
    }
}
