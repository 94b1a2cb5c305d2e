#[allow(clippy::needless_pass_by_value, clippy::unused_self)]
impl Channel {
    #[apply(key = event.channel, __in_aggregate)]
    fn applied(this: Option<Self>, event: Applied) -> Self {
        Self {
            open: this.map_or(0, |row| row.open) + 1,
        }
    }
    #[apply(__in_aggregate)]
    fn any(this: Option<Self>, event: PermitEvent) -> Option<Self> {
        this
    }
    #[apply(__in_aggregate)]
    fn others(&mut self, event: CardEvent, meta: &Meta<Card>) {}
}
const _: () = {
    use ::es_runtime::__private::assert_one_segment;
    assert_one_segment::<Channel>()
};
const _: () = {
    use ::es_runtime::__private::assert_after_the_append;
    assert_after_the_append::<Channel>()
};
#[automatically_derived]
impl ::es_runtime::projection::RowProjection for Channel {
    type Key = <<Meta<
        Card,
    > as ::es_runtime::__private::IsMeta>::Aggregate as ::es_runtime::Aggregate>::Id;
    const EVENTS: &'static [::es_runtime::projection::RowEvent<Self>] = &[
        ::es_runtime::__private::row_event::<
            Self,
            Applied,
            <Applied as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >(),
        ::es_runtime::__private::row_event::<Self, PermitEvent, _>(),
        ::es_runtime::__private::row_event::<
            Self,
            CardEvent,
            <Meta<Card> as ::es_runtime::__private::IsMeta>::Aggregate,
        >(),
    ];
}
#[automatically_derived]
impl ::es_runtime::projection::ApplyRow<
    Applied,
    <Applied as ::es_runtime::BelongsToOneAggregate>::Aggregate,
> for Channel {
    const KEY_IS_STREAM: bool = false;
    #[allow(unused_variables)]
    fn keys(
        event: &Applied,
        meta: &::es_runtime::projection::Meta<
            <Applied as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        let meta = ::es_runtime::__private::known_before(meta);
        ::es_runtime::__private::one_key(&(event.channel))
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: Applied,
        meta: &::es_runtime::projection::Meta<
            <Applied as ::es_runtime::BelongsToOneAggregate>::Aggregate,
        >,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::upsert_row::<
            Self,
            Applied,
            _,
        >(
            row,
            event,
            |row, event| ::es_runtime::__private::into_row::<
                Self,
            >(<Self>::applied(row, event)),
        )
    }
}
#[automatically_derived]
impl<
    __A: ::es_runtime::EventSourced,
> ::es_runtime::projection::ApplyRow<PermitEvent, __A> for Channel
where
    PermitEvent: ::es_runtime::Applied<__A>,
{
    const KEY_IS_STREAM: bool = true;
    #[allow(unused_variables)]
    fn keys(
        event: &PermitEvent,
        meta: &::es_runtime::projection::Meta<__A>,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        ::es_runtime::__private::stream_key(meta)
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: PermitEvent,
        meta: &::es_runtime::projection::Meta<__A>,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::upsert_row::<
            Self,
            PermitEvent,
            _,
        >(
            row,
            event,
            |row, event| ::es_runtime::__private::into_row::<
                Self,
            >(<Self>::any(row, event)),
        )
    }
}
#[automatically_derived]
impl ::es_runtime::projection::ApplyRow<
    CardEvent,
    <Meta<Card> as ::es_runtime::__private::IsMeta>::Aggregate,
> for Channel {
    const KEY_IS_STREAM: bool = true;
    #[allow(unused_variables)]
    fn keys(
        event: &CardEvent,
        meta: &::es_runtime::projection::Meta<
            <Meta<Card> as ::es_runtime::__private::IsMeta>::Aggregate,
        >,
    ) -> ::es_runtime::__private::Vec<::es_runtime::__private::String> {
        ::es_runtime::__private::stream_key(meta)
    }
    #[allow(unused_variables)]
    fn apply(
        row: ::core::option::Option<Self>,
        event: CardEvent,
        meta: &::es_runtime::projection::Meta<
            <Meta<Card> as ::es_runtime::__private::IsMeta>::Aggregate,
        >,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::es_runtime::projection::RowMismatch,
    > {
        ::es_runtime::__private::change_row::<
            Self,
            CardEvent,
            _,
        >(row, event, |row, event| <Self>::others(row, event, meta))
    }
}
