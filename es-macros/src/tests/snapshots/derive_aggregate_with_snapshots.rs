#[automatically_derived]
impl ::es_runtime::Aggregate for Board {
    const NAME: &'static str = "board";
    const FINGERPRINT: u64 = {
        #[allow(unused_imports)]
        use ::es_runtime::__private::NoShape as _;
        ::es_runtime::__private::fingerprint(
            10205763715331519573u64,
            &[::es_runtime::__private::ShapeOf::<String>::FINGERPRINT],
        )
    };
    const SNAPSHOTS: ::core::option::Option<::es_runtime::SnapshotPolicy<Self>> = {
        #[allow(unused_imports)]
        use ::es_runtime::__private::{NotPlain as _, snapshot_policy};
        ::core::option::Option::Some(
            snapshot_policy::<
                Board,
            >(|seen| ::es_runtime::__private::PlainOf::<Board>::is_plain(seen))
                .every(100u64)
                .after_millis(2000u64)
                .version(3u32),
        )
    };
    type Id = ::es_runtime::Id<Self>;
}
#[automatically_derived]
impl ::es_runtime::HasSnapshots for Board {}
