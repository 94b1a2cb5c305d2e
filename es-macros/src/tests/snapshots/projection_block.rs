#[allow(clippy::needless_pass_by_value, clippy::unused_self)]
impl Balance {
    #[apply(__in_aggregate)]
    fn opened(event: Opened) -> Self {
        Self {
            owner: event.owner,
            cents: 0,
        }
    }
    #[apply(keys = [received.from, received.to], __in_aggregate)]
    #[cfg(feature = "transfers")]
    fn received(&mut self, received: events::Received, meta: &Meta<Transfer>) {
        self.cents += event.amount;
    }
    #[apply(key = event.account, __in_aggregate)]
    fn closed(self, _: Closed) -> Option<Self> {
        None
    }
}
#[cfg(feature = "transfers")]
const _: () = {
    use ::es_runtime::__private::assert_one_segment;
    assert_one_segment::<Balance>()
};
const _: () = {
    use ::es_runtime::__private::assert_one_segment;
    assert_one_segment::<Balance>()
};
#[cfg(feature = "transfers")]
const _: () = {
    use ::es_runtime::__private::assert_after_the_append;
    assert_after_the_append::<Balance>()
};
#[automatically_derived]
impl ::es_runtime::projection::RowProjection for Balance {
    type Key = <<Opened as ::es_runtime::BelongsToOneAggregate>::Aggregate as ::es_runtime::Aggregate>::Id;
    const EVENTS: &'static [::es_runtime::projection::RowEvent<Self>] = &[
        ::es_runtime::__private::row_event::<
            Self,
            Opened,
            <Opened as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >(),
        #[cfg(feature = "transfers")]
        ::es_runtime::__private::row_event::<
            Self,
            events::Received,
            <events::Received as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >(),
        ::es_runtime::__private::row_event::<
            Self,
            Closed,
            <Closed as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >(),
    ];
}
#[automatically_derived]
impl ::es_runtime::projection::ApplyRow<
    Opened,
    <Opened as ::es_runtime::BelongsToOneAggregate>::Aggregate,
> for Balance {
    const KEY_IS_STREAM: bool = true;
    #[allow(unused_variables)]
    fn keys(
        event: &Opened,
        meta: &::es_runtime::projection::Meta<
            <Opened as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        ::es_runtime::__private::stream_key(meta)
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: Opened,
        meta: &::es_runtime::projection::Meta<
            <Opened as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::create_row::<
            Self,
            Opened,
            _,
        >(row, event, |event| <Self>::opened(event))
    }
}
#[cfg(feature = "transfers")]
#[automatically_derived]
impl ::es_runtime::projection::ApplyRow<
    events::Received,
    <events::Received as ::es_runtime::BelongsToOneAggregate>::Aggregate,
> for Balance {
    const KEY_IS_STREAM: bool = false;
    #[allow(unused_variables)]
    fn keys(
        received: &events::Received,
        meta: &::es_runtime::projection::Meta<
            <events::Received as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        ::es_runtime::__private::several_keys([received.from, received.to])
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: events::Received,
        meta: &::es_runtime::projection::Meta<
            <events::Received as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::change_row::<
            Self,
            events::Received,
            _,
        >(row, event, |row, event| <Self>::received(row, event, meta))
    }
}
#[automatically_derived]
impl ::es_runtime::projection::ApplyRow<
    Closed,
    <Closed as ::es_runtime::BelongsToOneAggregate>::Aggregate,
> for Balance {
    const KEY_IS_STREAM: bool = false;
    #[allow(unused_variables)]
    fn keys(
        event: &Closed,
        meta: &::es_runtime::projection::Meta<
            <Closed as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        let meta = ::es_runtime::__private::known_before(meta);
        ::es_runtime::__private::one_key(&(event.account))
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: Closed,
        meta: &::es_runtime::projection::Meta<
            <Closed as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::replace_row::<
            Self,
            Closed,
            _,
        >(row, event, |row, event| <Self>::closed(row, event))
    }
}
