#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]
impl Accounts {
    #[publish(__in_aggregate)]
    fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
        AccountOpened {
            owner: event.owner,
        }
    }
    #[publish(key = event.owner, __in_aggregate)]
    #[cfg(unix)]
    fn moved(event: events::Moved) -> (Told, Option<Vec<Told>>) {
        tell(event)
    }
}
#[automatically_derived]
impl ::es_runtime::publication::Publication for Accounts {
    #[allow(unused_variables, clippy::redundant_closure)]
    fn publishes(list: &mut ::es_runtime::publication::Publishes) {
        {
            list.event::<
                    Opened,
                    AccountOpened,
                >(
                |_, meta| ::es_runtime::__private::key_of_stream(meta),
                |event, meta| <Self>::opened(event, meta),
            );
        }
        #[cfg(unix)]
        {
            list.event::<
                    events::Moved,
                    (Told, Option<Vec<Told>>),
                >(
                |event, meta| {
                    let _ = (event, meta);
                    ::es_runtime::__private::message_key(&(event.owner))
                },
                |event, meta| <Self>::moved(event),
            );
        }
    }
}
