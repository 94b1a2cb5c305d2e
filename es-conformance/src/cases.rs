use crate::capability::Capability;
use crate::run::Case;
use crate::{append, reads};

/// Every case of the suite: group, name, what it needs, and what is promised. The one list from which the tests and
/// [`cases`] are made.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ([$($callback:tt)+] $($argument:tt)*) => {
        $($callback)+! {
            [$($argument)*]
            append::a01_append_first_event_to_new_stream [] "the first event of a new stream has version 1 and comes back as it was given";
            append::a02_append_batch_is_contiguous [] "the n events of a batch get the versions v+1 to v+n in the order given, and rising positions";
            append::a03_append_empty_batch_is_rejected [] "an append without events is invalid, makes no stream and uses no position";
            append::a04_append_is_atomic_on_middle_failure [] "a batch with one invalid event stores nothing";
            append::a05_versions_stay_gapless_after_conflicts [] "of 1,000 appends about half conflict, and the versions are exactly 1 to n";
            append::a06_versions_stay_gapless_after_rollbacks [] "100 appends that their callers abandon leave no hole in the versions";
            append::a07_expect_no_stream_on_existing_conflicts [] "`NoStream` on a stream with events is a conflict that tells its version";
            append::a08_expect_exists_on_missing_conflicts [] "`Exists` on a stream without events is a conflict at version 0";
            append::a09_expect_exact_mismatch_reports_actual [] "a wrong exact version, too low or too high, is a conflict that tells the true one";
            append::a10_expect_exact_zero_equals_no_stream [] "`Exact(0)` means the same as `NoStream`";
            append::a11_expect_any_never_conflicts [] "8 writers × 200 appends with `Any` all succeed, and each event is there once";
            append::a12_concurrent_exact_single_winner [] "of 16 writers with the same exact version one wins and 15 conflict, 200 times";
            append::a13_concurrent_create_single_winner [] "of 16 writers that create a stream one wins and 15 conflict";
            append::a14_distinct_streams_do_not_conflict [] "16 writers on 16 streams meet no conflict";
            append::a15_opposite_order_multi_stream_no_deadlock_leak [MultiStream] "appends over streams {a, b} and {b, a} at once succeed or conflict, and never deadlock";
            append::a16_conflict_leaves_no_trace [] "after a conflict everything is as before";
            append::a17_duplicate_event_id_in_batch_rejected [] "a batch that holds one event id twice is refused, naming the id";
            append::a23_stream_ids_are_exact [] "ids that differ in case, blanks or Unicode form, or share a prefix, are different streams";
            reads::b01_read_from_start_in_order [] "a stream is read as versions 1 to n, once each";
            reads::b02_read_range_inclusive_bounds [] "both bounds of a range are inclusive, for streams and for the log";
            reads::b03_read_limit_zero_is_empty [] "a read with limit 0 is empty and no error";
            reads::b04_read_from_beyond_head_is_empty [] "a read from beyond the last event is empty and no error";
            reads::b05_read_inverted_range_is_empty [] "a range whose lower bound is above its upper bound is empty";
            reads::b06_read_missing_stream_says_so [] "a stream without events has version 0 and reads empty";
            reads::b07_read_backwards_mirrors_forwards [] "backwards is the reverse of forwards, with range and limit";
            reads::b08_paging_crosses_chunk_seam [] "no event is lost or repeated where a page of a read ends";
            reads::b09_read_is_a_prefix_under_writers [] "while writers append every read is a prefix of the stream, and none is shorter than the one before";
            reads::b10_read_your_append [] "a read that begins after an acknowledged append sees it, through every handle";
            reads::b13_streams_are_listed_by_category [] "the streams of a category are listed in the order of their ids' bytes, also in pages";
        }
    };
}

macro_rules! registry {
    ([] $($group:ident::$name:ident [$($need:ident),*] $promise:literal;)+) => {
        static CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            promise: $promise,
            needs: &[$(Capability::$need),*],
            check: |subject| Box::pin($group::$name(subject)),
        }),+];
    };
}

__cases! { [registry] }

/// Every case of the suite, in the order of the contract.
pub fn cases() -> &'static [Case] {
    CASES
}

/// Writes a test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$fixture:expr] $($group:ident::$name:ident [$($need:ident),*] $promise:literal;)+) => {
        $(
            #[test]
            fn $name() {
                $crate::__private::run_case(stringify!($name), || $fixture, &TALLY);
            }
        )+
    };
}

/// Writes the whole suite as tests, one for each case. The expression makes the [`Fixture`](crate::Fixture) of a new, empty
/// store, and is evaluated once for each case.
///
/// A file holds the macro once; a second store gets a module of its own.
#[macro_export]
macro_rules! suite {
    ($fixture:expr) => {
        static TALLY: $crate::__private::Tally = $crate::__private::Tally::new();

        $crate::__cases! { [$crate::__tests] $fixture }
    };
}
