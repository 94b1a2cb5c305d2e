#[allow(clippy::needless_pass_by_value, clippy::unused_self, clippy::unnecessary_wraps)]
impl Payment {
    #[on(__in_aggregate)]
    fn ordered(event: Ordered, todo: &mut Todo<Self>) -> Self {
        todo.send(event.account, Charge { cents: event.cents });
        todo.remind(HOUR, Late);
        Self::Asked { cents: event.cents }
    }
    #[on(key = moved.order, __in_aggregate)]
    #[cfg(feature = "moves")]
    fn moved(
        this: Option<Self>,
        moved: events::Moved,
        meta: &Meta<Desk>,
    ) -> Option<Self> {
        this
    }
    #[on(__in_aggregate)]
    fn charged(&mut self, _: Done<Charge>) {}
    #[on(__in_aggregate)]
    fn not_charged(self, _: Failed<Charge>) -> Option<Self> {
        None
    }
    #[on(Flag, __in_aggregate)]
    fn failed(&mut self, _: AnyFailed, todo: &mut Todo<Self>) {}
    #[on(__in_aggregate)]
    fn late(&mut self, _: Due<Late>) {}
}
#[automatically_derived]
impl ::es_runtime::process::ProcessManager for Payment {
    #[allow(unused_variables)]
    fn reactions(on: &mut ::es_runtime::process::Reactions<Self>) {
        {
            on.begins::<
                    Ordered,
                >(
                |_, meta| ::es_runtime::__private::instance_of_stream::<Self>(meta.id()),
                |(), event, _, todo| ::es_runtime::__private::next_state::<
                    Self,
                >(<Self>::ordered(event, todo)),
            );
        }
        #[cfg(feature = "moves")]
        {
            on.begins_or_changes::<
                    events::Moved,
                >(
                |moved, meta| {
                    let _ = (moved, meta);
                    ::es_runtime::__private::instance_key::<Self>(&(moved.order))
                },
                |this, event, meta, _| ::es_runtime::__private::next_state::<
                    Self,
                >(<Self>::moved(this, event, meta)),
            );
        }
        {
            on.answers::<
                    Charge,
                >(|mut this, heard, _| {
                <Self>::charged(&mut this, heard);
                ::core::option::Option::Some(this)
            });
        }
        {
            on.answers::<Flag>(|this, _, _| ::core::option::Option::Some(this));
        }
        {
            on.timer::<Late>();
        }
    }
}
#[automatically_derived]
impl ::es_runtime::process::HearsFailure<Charge> for Payment {
    fn failed(
        self,
        heard: ::es_runtime::process::Failed<Charge>,
        _: &mut ::es_runtime::process::Todo<Self>,
    ) -> ::core::option::Option<Self> {
        ::es_runtime::__private::next_state::<Self>(<Self>::not_charged(self, heard))
    }
}
#[automatically_derived]
impl ::es_runtime::process::HearsFailure<Flag> for Payment {
    fn failed(
        mut self,
        heard: ::es_runtime::process::Failed<Flag>,
        todo: &mut ::es_runtime::process::Todo<Self>,
    ) -> ::core::option::Option<Self> {
        <Self>::failed(&mut self, ::core::convert::Into::into(heard), todo);
        ::core::option::Option::Some(self)
    }
}
#[automatically_derived]
impl ::es_runtime::process::HearsTimer<Late> for Payment {
    const TIMER: &'static str = "late";
    fn due(
        mut self,
        heard: ::es_runtime::process::Due<Late>,
        _: &mut ::es_runtime::process::Todo<Self>,
    ) -> ::core::option::Option<Self> {
        <Self>::late(&mut self, heard);
        ::core::option::Option::Some(self)
    }
}
