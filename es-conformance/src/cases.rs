use crate::capability::Capability;
use crate::run::Case;
use crate::{
    append, archives, cancellation, chains, decisions, deployments, durability, fidelity, filters, forgotten_keys,
    hints, idempotency, inline, kinds, leases, limits, mixed, multi_stream, order, projections, queries, random_rows,
    random_states, reads, rebuilds, rows, shared_rows, sql, state_limits, state_races, states,
};

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
            decisions::a18_retry_redecides_on_fresh_state [] "on each conflict the handler is called again, with the state loaded again";
            decisions::a19_retry_never_resends_decided_events [] "events that were decided on a stale state are never appended later";
            decisions::a20_retry_budget_exhausted_returns_conflict [] "after the last attempt the error is a conflict with the number of attempts";
            decisions::a21_only_conflicts_are_retried [] "a failing store, a limit and an unknown event end a command after one attempt";
            decisions::a22_own_write_is_recognised_on_retry [] "an append that was stored but whose answer was lost is not decided a second time";
            append::a23_stream_ids_are_exact [] "ids that differ in case, blanks or Unicode form, or share a prefix, are different streams";
            append::a25_expect_last_event_mismatch_conflicts [] "an append that expects the stream to end with another event is a conflict, alone, among others and in a chain";
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
            kinds::b14_stored_events_are_complete [] "every kind of event that was appended is told, once, and no other";
            kinds::b15_events_of_one_kind_are_counted [] "the events of one name, category and version are counted";
            kinds::b16_write_caps_are_kept [States] "a cap is told as it was set last, until it is lifted, through every handle";
            reads::b17_load_is_read_without_the_envelope [] "a load gives what a read gives, in both directions, with range and limit, also where a page ends";
            filters::b18_filter_equals_filtering_in_process [] "a filter gives what an unfiltered read gives of it, by category, name and stream, both ways, with range and limit";
            order::c01_positions_strictly_increase [] "positions rise strictly over all events";
            order::c02_position_order_extends_stream_order [] "in each stream positions rise as versions do";
            order::c03_position_order_respects_real_time [] "an append called after another was acknowledged gets a higher position, across streams and handles";
            order::c04_late_commit_is_not_skipped [] "a reader that read on while an append was open gets it when it commits";
            order::c05_late_commit_across_page_boundary [] "the same where a page of the reader ends or begins, and just above its checkpoint";
            order::c06_rolled_back_append_does_not_stall [] "readers reach the next event after an append that was rolled back";
            order::c07_reader_started_inside_gap [] "a reader that starts at a position that was never filled goes on";
            order::c08_bulk_writers_random_hold [] "three readers of a log to which 16 writers append skip nothing";
            order::c09_foreign_writer_does_not_stall [] "an open transaction that is not the store's does not stall readers";
            order::c10_idle_in_transaction_after_allocation [] "an append that is left open does not stall readers, and other appends end by themselves";
            order::c11_positions_never_reused [] "no event is ever stored at or below a position that was shown";
            order::c12_order_ignores_clocks [] "the order is that of commits whatever the clocks of the writers say, and `recorded_at` never goes back";
            order::c13_now_is_the_time_of_recording [] "`now` is by the clock that `recorded_at` is by: an append is recorded between what it says before and after it, also if the clock goes back";
            idempotency::d01_same_append_id_same_content [] "repeating an append with its id returns the first result, and stores nothing";
            idempotency::d02_same_append_id_other_content [] "the id of an append with another content is refused, and nothing is stored";
            idempotency::d03_same_append_id_concurrently [] "of 16 calls with one id one appends, and all return the same";
            idempotency::d04_append_id_survives_restart [Durable] "ids and keys of appends are known after the store was opened again";
            idempotency::d13_same_idempotency_key_same_result [] "an idempotency key gives the result of the first request, and is refused with another content";
            idempotency::d14_key_without_events_is_recorded [] "a request that appends nothing is recorded under its key";
            idempotency::d15_resolve_is_definite [] "`resolve` tells a stored append with its result, and an absent one as absent";
            mixed::d16_mixed_batches_equal_one_by_one [] "keyed, keyless, repeated, mismatching, conflicting and reading appends that are sent at once have the results that some order of them has, done one by one";
            mixed::d17_keys_survive_conflicting_neighbours [] "a key is recorded for its own append, whatever is sent with it";
            mixed::d18_keys_under_several_runtimes [MultiStream] "a request that two runtimes send is done once, and the receipt of both is that of its own stream";
            forgotten_keys::d19_forgotten_key_is_new_again [ForgetKeys] "idempotency keys from before a time are forgotten, younger ones stay; an append whose key is forgotten is still found and repeated under its id";
            forgotten_keys::d20_keys_are_forgotten_among_repetitions [ForgetKeys] "a request that is repeated while its key is forgotten is answered as it was, or done once more";
            multi_stream::e01_multi_stream_commits_all [MultiStream] "no reader ever sees a part of an append over several streams";
            multi_stream::e02_multi_stream_conflict_aborts_all [MultiStream] "a conflict on one stream of an append stores nothing in any of them";
            multi_stream::e03_read_only_participant_guards [MultiStream] "a stream that was only read blocks the append if it has moved";
            multi_stream::e05_write_skew_is_refused [MultiStream] "of two writers that read both streams and write one each, one succeeds";
            multi_stream::e06_batch_positions_are_consecutive_per_transaction [MultiStream] "the events of one append are not interleaved with another's";
            hints::f07_notify_between_read_and_listen [PushWake] "an append between a read of the log to its end and the wait for a hint is hinted at";
            hints::f09_wake_not_before_readable [PushWake] "the event that is hinted at can be read";
            hints::f11_long_ids_do_not_break_append [PushWake] "the longest id and name are appended, and hinted at";
            filters::f12_filter_does_not_stall_checkpoint [TxProjections] "a reader whose filter lets nothing through moves its checkpoint to the head, and begins there when it comes back";
            hints::f17_hints_rise_to_the_head [PushWake] "hints rise, the last is at the head, and none is given twice";
            projections::g01_state_and_checkpoint_commit_together [TxProjections] "rows and checkpoint change together, and so do the rows of one commit";
            projections::g04_checkpoint_write_failure_rolls_back_state [TxProjections] "a commit that is refused for whatever reason changes neither rows nor parked events nor the checkpoint";
            projections::g05_commit_reply_lost_in_projection [TxProjections] "whoever reads the checkpoint again after a commit whose answer is lost does each event once";
            projections::g09_parked_event_can_be_replayed [TxProjections] "a parked event is listed until it is done, together with the rows that it changes";
            projections::g12_checkpoint_ahead_of_store_halts [TxProjections] "a checkpoint above the head is told as diverged";
            projections::g13_checkpoint_identity_is_checked [TxProjections] "a checkpoint at which another event stands now is told as diverged";
            projections::g15_rebuild_equals_incremental [TxProjections] "a reader that was forgotten begins at the beginning with no row, and writes the same rows again";
            projections::g17_two_runners_one_writer [TxProjections] "of several runners each event is taken in by one, once";
            rows::g19_rows_come_back_as_written [TxProjections] "keys and rows come back byte for byte; tables of versions are apart";
            queries::g20_queries_mean_the_same [TxProjections] "filters, order and pages mean the same on every store, whatever the type of a field";
            random_rows::g38_random_rows_are_found_ordered_and_counted [TxProjections] "random questions about random rows are answered as a model does: each row once in pages, with ties, null and text of any length";
            rows::g21_bad_input_is_refused [TxProjections] "names, keys, rows and queries that some database could not take are refused, and nothing is changed";
            rows::g22_tables_are_created_once [TxProjections] "a table is created once, however many ask for it at once, and keeps its rows when an index is added";
            rebuilds::g23_rebuilt_rows_replace_shown_ones [TxProjections] "rows, checkpoint and parked events that were built beside take the place of those shown as one, and readers see all of the one or all of the other";
            rebuilds::g24_refused_replacement_changes_nothing [TxProjections] "a replacement that is refused for whatever reason changes nothing";
            rebuilds::g25_differences_are_told [TxProjections] "rows that differ between two tables are counted, and the first are told with the data of both";
            rebuilds::g26_versions_are_listed_and_dropped [TxProjections] "the tables of a projection's versions are listed; a dropped one is gone with its checkpoints, and no other";
            sql::g27_schemas_are_created_once [TxProjections, SqlProjections] "tables are created once, as a whole, however many ask for it at once; other statements for the same version are refused";
            sql::g28_steps_and_checkpoint_commit_together [TxProjections, SqlProjections] "what the steps write and the checkpoint change together, seen through every handle, or not at all";
            sql::g29_failing_step_writes_nothing [TxProjections, SqlProjections] "a step that fails or panics is told with the index of its event, and nothing of its transaction is written";
            sql::g30_lost_lease_fences_steps [TxProjections, SqlProjections] "an owner that lost its lease writes no table and forgets none";
            sql::g31_forgotten_tables_begin_anew [TxProjections, SqlProjections] "tables that are forgotten are empty, without checkpoint and parked events, and are written again; another version stays";
            inline::g32_inline_rows_and_events_commit_together [TxProjections, SqlProjections] "what inline projections write, their checkpoints and the events of an append are stored together, seen through every handle";
            inline::g33_refused_inline_append_changes_nothing [TxProjections, SqlProjections] "an append with a step that fails is told with its projection and its event, one that conflicts with the conflict, and nothing of either is written";
            inline::g34_repeated_inline_append_counts_once [TxProjections, SqlProjections] "an append that is stored since before is answered as it was, and no step counts";
            inline::g35_inline_projection_that_is_behind_refuses [TxProjections, SqlProjections] "an append is refused while an inline projection has not taken in all events of its categories, and only of these";
            projections::g36_events_are_parked_wherever_they_stand [TxProjections] "an event is parked wherever it stands, also far above the checkpoint, which stays";
            sql::g37_tables_of_old_versions_are_dropped [TxProjections, SqlProjections] "the tables that methods write are listed by version and dropped with it, with its checkpoints; another version stays";
            inline::g39_inline_rows_of_projections_commit_with_events [TxProjections] "the rows of inline projections, their checkpoints and the events of an append are stored together, seen through every handle";
            inline::g40_refused_append_changes_no_row [TxProjections] "an append with an event that its row cannot take is told with its projection and its event, one that conflicts with the conflict, and nothing of either is written";
            inline::g41_repeated_append_changes_no_row [TxProjections] "an append that is stored since before is answered as it was, and its rows are not folded again";
            inline::g42_rows_that_are_behind_refuse [TxProjections] "an append is refused while the rows of an inline projection lack an event of its categories, and only of these";
            shared_rows::g43_appends_that_meet_in_a_row_lose_nothing [TxProjections] "of appends that change the same rows at once each folds what the one before has left, in the order of the log";
            shared_rows::g44_cleared_rows_stay_cleared [TxProjections] "rows that are cleared while appends change them are gone, with those of appends that were under way";
            shared_rows::g45_appends_with_rows_sent_together_are_answered_alone [TxProjections] "of appends with rows that are sent together each is answered as if it were sent alone, whatever is refused among them, and the rows are the fold of the log";
            deployments::i13_older_builds_read_what_is_capped [States] "what a newer build writes under a cap an older build reads, and both go on";
            deployments::i14_start_refuses_what_it_cannot_read [] "a build does not start on events that it cannot read, and says which, how many and why";
            deployments::i15_start_refuses_what_it_cannot_write [States] "a build does not start if a cap is below what it can write";
            fidelity::j01_u64_i64_extremes_round_trip [] "integers come back equal, up to the extremes of 64 bits";
            fidelity::j02_u128_and_decimal_round_trip [] "integers of 128 bits and decimals come back equal, never rounded";
            fidelity::j03_floats_round_trip_bits [] "finite floats come back with the same bits, NaN and infinity are refused";
            fidelity::j05_tagged_and_flattened_under_feature_matrix [] "every way in which serde writes enums and flattens structs comes back equal";
            fidelity::j06_nul_in_strings [] "a NUL in a value comes back, or is refused as invalid; in a name, an id, a category or a key it is refused by every store; it fails no neighbour";
            fidelity::j07_lone_surrogates_refused_early [] "half a surrogate pair is an error where it comes in, not a replacement character";
            fidelity::j08_unicode_is_untouched [] "text comes back with the same bytes, whatever its Unicode form";
            fidelity::j09_payload_bytes_are_exact [] "a payload comes back with the same bytes; one that is not JSON too, or it is refused";
            limits::j10_payload_limit_edges [] "a payload at the limit is stored, one byte more is refused with limit and size";
            limits::j11_metadata_limit_edges [] "metadata at the limit are stored, one byte more is refused with limit and size";
            limits::j12_batch_limits_by_count_and_bytes [] "an append at the limits of events and bytes is stored, one more is refused";
            limits::j13_stream_id_limits [] "names at their limits are stored, empty ones and longer ones are refused";
            limits::j14_deep_json_is_refused [] "a payload, metadata or a command deeper than could be read is refused, however deep, without a stack overflow";
            fidelity::j15_timestamps_microsecond_and_range [] "times keep their microseconds from the year 1 to 9999, others are refused";
            fidelity::j16_ids_are_opaque [] "ids of events and appends are any UUID: nil, max, any version";
            cancellation::l01_drop_append_at_every_poll [] "an append that is dropped after any poll is stored whole or not at all, and the store goes on";
            cancellation::l02_drop_read_at_every_poll [] "a read that is dropped at any point leaves nothing behind";
            cancellation::l05_timeout_wrapper_gives_indeterminate [] "what became of an append that a time-out dropped can be resolved";
            projections::l13_drop_commit_at_every_poll [TxProjections] "a commit that is dropped after any poll is done whole or not at all, and the reader goes on";
            decisions::l10_runtime_dropped_without_shutdown [] "a runtime or an executor that is dropped while at work neither panics nor hangs, and tears no append";
            durability::m01_reopen_keeps_everything [Durable] "opened again, the store tells the same";
            durability::m02_acked_survive_client_kill [Durable] "every append that a process acknowledged before it was killed is there, once, 50 times";
            durability::m04_unacked_are_whole_or_absent [Durable] "of an append that a killed process did not acknowledge all is there, or nothing";
            durability::m06_embedded_syncs_before_ack [Durable] "the open store reads back that it flushes before it acknowledges";
            durability::m07_flush_error_poisons_the_handle [Durable] "after a failed flush a handle acknowledges nothing any more";
            projections::m15_reopen_keeps_projections [Durable, TxProjections] "opened again, the store has the same checkpoints, rows, parked events and leases";
            durability::m09_two_processes_one_embedded_store [Durable] "several processes on one store wait or are refused, and never corrupt it";
            leases::o01_one_owner_at_a_time [TxProjections] "of many that want a lease at once one gets it, and has it until it gives it back";
            leases::o02_lost_lease_fences_writes [TxProjections] "an owner that lost its lease writes nothing, forgets nothing and cannot renew it";
            leases::o03_paused_owner_cannot_write [TxProjections] "once a lease is taken over nothing of the owner before is written any more";
            leases::o04_brief_ownership_leaves_no_zombie [TxProjections] "a lease that was given back is good for nothing, not even when the same owner takes it again";
            leases::o05_lease_ignores_client_clock [TxProjections] "leases run by the store's clock, whatever those of the processes say";
            leases::o06_report_is_told_to_everybody [TxProjections] "what the owner of a lease reports, and whether it still has it, is told through every handle, and stays when it ends";
            leases::o07_lost_owner_reports_nothing [TxProjections] "whoever lost a lease or gave it back reports nothing, and what was reported stands";
            chains::q01_a_chain_stores_in_order [] "n appends of which each expects what the one before leaves give n results, with contiguous versions";
            chains::q02_a_chain_ends_at_the_first_that_fails [] "an append that fails for whatever reason is the last that is answered; those before it are stored, and nothing behind it was tried";
            chains::q03_a_stranger_between_ends_it [] "behind an append that met a stranger's event nothing is stored, though the event makes the number right that is expected next";
            chains::q04_a_repetition_ends_it [] "an append that was done before, by its id or its key, is answered with its result, and nothing behind it was tried";
            chains::q05_a_cut_chain_is_a_prefix [] "of a chain that is dropped or whose process is killed the first appends are stored, each as a whole, and `resolve` tells which";
            mixed::q06_chains_and_single_appends_share_a_batch [] "chains and single appends of 16 callers at once have the results that some order of them has, done one by one";
            chains::q07_chains_over_several_streams [MultiStream] "an append over several streams in a chain is stored as a whole, or ends it";
            states::p01_save_is_atomic [States] "of a save in which one change does not fit, or which is dropped, all is kept or nothing";
            states::p02_next_demands_the_next_sequence [States] "under `Next` a gap, an older sequence and an unknown entity that is not at 1 are conflicts that tell the kept sequence";
            states::p03_same_change_again_is_done [States] "the kept change again is done and there once; another one of its sequence is a conflict";
            states::p04_newer_never_goes_back [States] "under `Newer` older and equal changes are left out, whatever the order in which they come";
            random_states::p05_load_gives_the_latest_of_each [States] "after a random history a load gives each entity's latest change at least once, and nothing of another namespace; also behind a store that compacts late";
            random_states::p06_load_is_bounded [States] "a load of many and of large entities ends its pages anywhere, may be left at any point, and misses nothing that was there before";
            states::p07_deleted_stays_a_tombstone [States] "a deleted entity is told from one that was never there, and its sequence goes on";
            states::p08_purge_removes_only_what_is_named [States] "a purge removes the entities, or the older tombstones, that it names, which then begin at 1 again";
            state_races::p09_two_writers_one_wins [States] "of 16 savers of one sequence one succeeds and 15 conflict, every time";
            state_races::p10_opposite_orders_do_not_deadlock [States] "saves of the same entities in opposite orders succeed or conflict, and never deadlock";
            state_races::p11_acked_saves_survive_kill [States, Durable] "every save that a process acknowledged before it was killed is there, as a whole";
            state_limits::p12_names_limits_bytes [States] "names and payloads that some database could not keep are refused by every store; all others come back byte for byte";
            archives::u01_appends_are_read_back_whole [Archive] "after a random history every append is read back whole, in the order of the log, with its id, its key and its time";
            archives::u02_restored_appends_are_the_same [Archive] "appends that are restored have the positions, times, ids, keys and results that they had, and the log goes on behind them";
            archives::u03_refused_restore_changes_nothing [Archive] "a restore with one append that cannot be stored as it was is refused as a whole, with that append";
            archives::u04_dropped_restore_is_whole [Archive] "a restore that is dropped after any poll is done whole or not at all";
            archives::u05_namespaces_are_told [States] "the namespaces in which an entity is kept are told, deleted entities included, in the order of their bytes";
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
                $crate::__private::run_case(module_path!(), stringify!($name), || $fixture, &TALLY);
            }
        )+

        /// The second process of the cases that need one.
        #[test]
        #[ignore = "started by other cases"]
        fn writer_process() {
            $crate::__private::writer_process(|| $fixture);
        }
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
