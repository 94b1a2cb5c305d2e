//! Stores with one fault each, which the suite must catch. They show that a case bites, and what a breach looks like.

mod answers;
mod archives;
mod chains;
mod contents;
mod damage;
mod hints;
mod inline;
mod kinds;
mod order;
mod outcomes;
mod projections;
mod sql;
mod states;
mod storage;

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::ProjectionStore;
use es_runtime::{Clock, EventStore, MemoryStore};

use crate::wrap::{Wrap, WrapProjections, Wrapped};
use crate::{Capability, Fixture, Transaction, Work};

/// A store in memory with one fault.
#[derive(Debug, Clone, Copy)]
pub struct Broken {
    /// Its name.
    pub name: &'static str,
    /// The mistake that it makes.
    pub fault: &'static str,
    /// The cases that must catch it.
    pub caught_by: &'static [&'static str],
    fixture: fn() -> Box<dyn Fixture>,
}

impl Broken {
    /// A new, empty one.
    pub fn fixture(&self) -> Box<dyn Fixture> {
        (self.fixture)()
    }
}

macro_rules! broken {
    ($($module:ident::$name:ident $fault:literal caught by [$($case:literal),+];)+) => {
        /// Every broken store.
        pub const BROKEN: &[Broken] = &[$(Broken {
            name: stringify!($name),
            fault: $fault,
            caught_by: &[$($case),+],
            fixture: $module::$name,
        }),+];
    };
}

broken! {
    order::shows_late_commits_late "hands out a position when an append begins, and shows the event when it commits"
        caught by ["c04_late_commit_is_not_skipped", "c08_bulk_writers_random_hold"];
    order::sets_the_clock_back "records the time of the clock, even if it went back"
        caught by ["c12_order_ignores_clocks"];
    order::tells_the_time_of_the_process "records the time of its clock, and tells that of the process"
        caught by ["c13_now_is_the_time_of_recording"];
    order::tells_the_time_of_a_clock_that_goes_back "tells the time of its clock, even if that went back behind the last event"
        caught by ["c13_now_is_the_time_of_recording"];
    damage::goes_round "reads a part of the log, and then the same part again"
        caught by ["b08_paging_crosses_chunk_seam", "c01_positions_strictly_increase"];
    damage::loses_a_position "leaves out an event of the log"
        caught by ["b08_paging_crosses_chunk_seam", "c01_positions_strictly_increase"];
    damage::repeats_a_version "gives an event of a stream twice"
        caught by ["b01_read_from_start_in_order", "b08_paging_crosses_chunk_seam"];
    damage::loses_a_version "leaves out an event of a stream"
        caught by ["b01_read_from_start_in_order", "b08_paging_crosses_chunk_seam"];
    order::interleaves_batches "stores the events of an append one by one"
        caught by ["e01_multi_stream_commits_all", "e06_batch_positions_are_consecutive_per_transaction"];
    storage::acknowledges_before_it_stores "keeps the newest append in memory until the next one comes"
        caught by ["d04_append_id_survives_restart", "m01_reopen_keeps_everything"];
    storage::tears_batches_on_conflict "stores the streams before the one that conflicts"
        caught by ["e02_multi_stream_conflict_aborts_all"];
    storage::tears_dropped_appends "stores a part of an append whose future is dropped"
        caught by ["l01_drop_append_at_every_poll"];
    storage::leaves_a_trace_of_conflicts "stores an event that tells of each conflict"
        caught by ["a07_expect_no_stream_on_existing_conflicts", "a16_conflict_leaves_no_trace"];
    storage::checks_then_writes "compares the version first and writes later, whatever came between"
        caught by ["a12_concurrent_exact_single_winner", "a13_concurrent_create_single_winner"];
    storage::does_not_check_guards "ignores the streams of an append that were only read"
        caught by ["e03_read_only_participant_guards", "e05_write_skew_is_refused"];
    storage::ignores_the_last_event "compares the version of a stream only, and not the event there"
        caught by ["a25_expect_last_event_mismatch_conflicts"];
    answers::reuses_a_version "gives version 2 of a stream twice"
        caught by ["a02_append_batch_is_contiguous", "b01_read_from_start_in_order"];
    answers::tells_a_wrong_version "tells the demanded version as the actual one of a conflict"
        caught by ["a07_expect_no_stream_on_existing_conflicts", "a09_expect_exact_mismatch_reports_actual"];
    answers::excludes_the_upper_bound "reads a range without its upper bound"
        caught by ["b02_read_range_inclusive_bounds"];
    answers::repeats_at_the_seam "reads the last event of a page again as the first of the next"
        caught by ["b08_paging_crosses_chunk_seam"];
    answers::loads_forwards_only "loads a stream forwards, whatever the direction asked for"
        caught by ["b17_load_is_read_without_the_envelope"];
    answers::reads_a_stale_version "tells the version that a stream had before the newest append"
        caught by ["b10_read_your_append"];
    answers::lists_in_another_order "lists streams in alphabetical order, ignoring case"
        caught by ["b13_streams_are_listed_by_category"];
    kinds::tells_kinds_late "tells a kind of event when the next event is stored"
        caught by ["b14_stored_events_are_complete"];
    kinds::tells_kinds_of_refused_appends "tells the kinds of appends that it refused"
        caught by ["b14_stored_events_are_complete"];
    kinds::counts_every_version "counts the events of a name in all versions of its shape"
        caught by ["b15_events_of_one_kind_are_counted"];
    contents::normalises_payloads "stores a payload as the JSON value that it is"
        caught by ["a01_append_first_event_to_new_stream", "j09_payload_bytes_are_exact"];
    contents::folds_case "takes ids that differ in case for one"
        caught by ["a23_stream_ids_are_exact"];
    outcomes::forgets_append_ids "does not know an append again"
        caught by ["d01_same_append_id_same_content", "d03_same_append_id_concurrently", "d15_resolve_is_definite"];
    outcomes::forgets_keys "does not know an idempotency key again"
        caught by ["d13_same_idempotency_key_same_result"];
    outcomes::forgets_every_key "forgets keys that are too young to be forgotten"
        caught by ["d19_forgotten_key_is_new_again"];
    outcomes::forgets_the_append_with_its_key "does not know an append again whose key is forgotten"
        caught by ["d19_forgotten_key_is_new_again"];
    outcomes::takes_no_key_while_it_forgets "stores requests without their keys while it forgets keys"
        caught by ["d20_keys_are_forgotten_among_repetitions"];
    outcomes::shifts_keys "stores a key that is sent together with an append without one under the next append with a key"
        caught by ["d16_mixed_batches_equal_one_by_one", "d17_keys_survive_conflicting_neighbours", "d18_keys_under_several_runtimes"];
    outcomes::trusts_append_ids "gives the first result to any append with the same id, whatever it holds"
        caught by ["d02_same_append_id_other_content"];
    chains::goes_on_behind_a_failure "does the appends of a chain that are behind one that failed"
        caught by ["q02_a_chain_ends_at_the_first_that_fails", "q03_a_stranger_between_ends_it", "q06_chains_and_single_appends_share_a_batch"];
    chains::goes_on_behind_a_repetition "does the appends of a chain that are behind one that was done before"
        caught by ["q04_a_repetition_ends_it", "q06_chains_and_single_appends_share_a_batch"];
    chains::splits_chains "does the next part of a long chain, whatever became of the part before"
        caught by ["q02_a_chain_ends_at_the_first_that_fails"];
    chains::tears_dropped_chains "stores a part of an append if the chain is dropped that it is in"
        caught by ["q05_a_cut_chain_is_a_prefix"];
    order::ignores_filters "reads all events whatever the filter"
        caught by ["b18_filter_equals_filtering_in_process"];
    hints::hints_too_early "hints at an append before it can be read"
        caught by ["f09_wake_not_before_readable"];
    hints::loses_a_hint "does not hint at every tenth append"
        caught by ["f07_notify_between_read_and_listen"];
    projections::moves_the_checkpoint_first "moves the checkpoint, then writes the rows"
        caught by ["g01_state_and_checkpoint_commit_together", "l13_drop_commit_at_every_poll"];
    projections::tears_rows "writes the rows of a commit in two parts"
        caught by ["g01_state_and_checkpoint_commit_together", "l13_drop_commit_at_every_poll"];
    projections::does_not_compare_checkpoints "commits from wherever the checkpoint stands"
        caught by ["g04_checkpoint_write_failure_rolls_back_state"];
    projections::does_a_parked_event_twice "takes a parked event for done whether it is parked or not"
        caught by ["g09_parked_event_can_be_replayed"];
    projections::forgets_why_events_are_parked "keeps no reason of parked events"
        caught by ["g09_parked_event_can_be_replayed"];
    projections::stays_where_nothing_changed "leaves the checkpoint where it is if no row changes"
        caught by ["f12_filter_does_not_stall_checkpoint"];
    projections::forgets_the_event_at_a_checkpoint "does not keep which event stood at a checkpoint"
        caught by ["g12_checkpoint_ahead_of_store_halts", "g13_checkpoint_identity_is_checked"];
    projections::leaves_rows_behind "forgets a reader, but not its rows"
        caught by ["g15_rebuild_equals_incremental"];
    projections::replaces_rows_in_steps "clears the rows before it writes those that were built beside"
        caught by ["g23_rebuilt_rows_replace_shown_ones"];
    projections::replaces_from_anywhere "replaces rows wherever the checkpoints stand"
        caught by ["g24_refused_replacement_changes_nothing"];
    projections::finds_no_differences "says that no row differs"
        caught by ["g25_differences_are_told"];
    projections::drops_the_table_only "drops a table, and keeps the checkpoints of its readers"
        caught by ["g26_versions_are_listed_and_dropped"];
    projections::parks_at_the_checkpoint_only "parks no event above the checkpoint"
        caught by ["g36_events_are_parked_wherever_they_stand"];
    projections::rewrites_rows "gives a row as the JSON value that it is"
        caught by ["g19_rows_come_back_as_written"];
    projections::repeats_rows_at_the_seam "gives the first row of a page twice"
        caught by ["g20_queries_mean_the_same", "g38_random_rows_are_found_ordered_and_counted"];
    projections::leaves_out_null "leaves out rows in which the field is null by which is ordered"
        caught by ["g20_queries_mean_the_same", "g38_random_rows_are_found_ordered_and_counted"];
    projections::counts_null_with_the_first "counts rows without a value among those of the first value"
        caught by ["g38_random_rows_are_found_ordered_and_counted"];
    projections::answers_what_it_cannot "gives no rows instead of an error"
        caught by ["g21_bad_input_is_refused"];
    projections::creates_tables_anew "clears a table that is to be created and is there"
        caught by ["g22_tables_are_created_once"];
    projections::gives_a_lease_twice "gives a lease to whoever asks"
        caught by ["o01_one_owner_at_a_time"];
    projections::does_not_fence "writes under the lease of whoever has it, for whoever asks"
        caught by ["o02_lost_lease_fences_writes", "o03_paused_owner_cannot_write", "o04_brief_ownership_leaves_no_zombie"];
    projections::believes_the_callers_clock "ends leases by the clock of whoever asks"
        caught by ["o05_lease_ignores_client_clock"];
    projections::forgets_reports "forgets what was reported when the lease is given back"
        caught by ["o06_report_is_told_to_everybody"];
    projections::takes_reports_of_anyone "says that it keeps what somebody reports who has lost the lease"
        caught by ["o07_lost_owner_reports_nothing"];
    sql::creates_tables_of_any_statements "does not look by which statements tables were created"
        caught by ["g27_schemas_are_created_once"];
    sql::writes_steps_first "writes what the steps write, then the checkpoint"
        caught by ["g28_steps_and_checkpoint_commit_together", "g30_lost_lease_fences_steps"];
    sql::keeps_the_steps_before "writes the steps before the one that fails"
        caught by ["g29_failing_step_writes_nothing"];
    sql::forgets_the_checkpoint_only "forgets a checkpoint, and keeps the rows of the tables"
        caught by ["g31_forgotten_tables_begin_anew"];
    sql::leaves_the_checkpoint_behind "appends with the steps of a projection, and does not move its checkpoint"
        caught by ["g32_inline_rows_and_events_commit_together"];
    sql::keeps_the_events_of_a_poison "stores the events of an append whose step fails"
        caught by ["g33_refused_inline_append_changes_nothing"];
    sql::keeps_the_steps_of_a_conflict "keeps what the steps of an append have written that conflicts"
        caught by ["g33_refused_inline_append_changes_nothing", "g34_repeated_inline_append_counts_once"];
    sql::counts_repetitions "runs the steps of an append again that is stored since before"
        caught by ["g34_repeated_inline_append_counts_once"];
    sql::never_finds_itself_behind "appends with a projection that has not taken in what was appended before"
        caught by ["g35_inline_projection_that_is_behind_refuses"];
    sql::keeps_dropped_tables "forgets the readers of a version, and keeps the tables that methods wrote"
        caught by ["g37_tables_of_old_versions_are_dropped"];
    inline::writes_rows_later "stores the events of an append, and then commits its rows"
        caught by ["g39_inline_rows_of_projections_commit_with_events", "g40_refused_append_changes_no_row"];
    inline::folds_what_was_read_before "folds rows that may have changed before the append is stored"
        caught by ["g43_appends_that_meet_in_a_row_lose_nothing"];
    inline::changes_rows_that_are_behind "appends to rows that lack an event of their categories"
        caught by ["g42_rows_that_are_behind_refuse", "g45_appends_with_rows_sent_together_are_answered_alone"];
    inline::changes_rows_and_stays_behind "changes rows with an append, and does not move their checkpoint"
        caught by ["g39_inline_rows_of_projections_commit_with_events"];
    inline::folds_repetitions "folds the rows of an append again that is stored since before"
        caught by ["g41_repeated_append_changes_no_row"];
    inline::numbers_rows_from_one "gives a row the number of its event in the append as its position"
        caught by ["g43_appends_that_meet_in_a_row_lose_nothing"];
    inline::clears_what_it_saw "clears the rows that were there when it began, and none that came meanwhile"
        caught by ["g44_cleared_rows_stay_cleared"];
    inline::refuses_those_sent_with_it "refuses the appends with rows that were sent together with one that it refuses"
        caught by ["g45_appends_with_rows_sent_together_are_answered_alone"];
    states::takes_older_states "puts older changes of an entity in the place of newer ones under `Newer`"
        caught by ["p04_newer_never_goes_back", "p05_load_gives_the_latest_of_each", "p07_deleted_stays_a_tombstone"];
    states::overwrites_states "does not compare what is kept under `Next`"
        caught by ["p02_next_demands_the_next_sequence", "p03_same_change_again_is_done", "p05_load_gives_the_latest_of_each", "p09_two_writers_one_wins"];
    states::keeps_the_states_that_fit "keeps the changes of a save before the one that does not fit"
        caught by ["p01_save_is_atomic", "p05_load_gives_the_latest_of_each"];
    states::tears_dropped_saves "keeps a part of a save whose future is dropped"
        caught by ["p01_save_is_atomic"];
    states::compares_states_then_saves "compares what is kept first and saves later, whatever came between"
        caught by ["p09_two_writers_one_wins"];
    states::refuses_what_is_done "refuses the change that is kept already"
        caught by ["p03_same_change_again_is_done", "p05_load_gives_the_latest_of_each"];
    states::forgets_tombstones "removes an entity that is deleted"
        caught by ["p03_same_change_again_is_done", "p05_load_gives_the_latest_of_each", "p07_deleted_stays_a_tombstone"];
    states::loads_no_tombstones "leaves out deleted entities of a load"
        caught by ["p05_load_gives_the_latest_of_each", "p07_deleted_stays_a_tombstone"];
    states::loads_one_page "ends a load after 1,000 entities"
        caught by ["p06_load_is_bounded"];
    states::loads_a_neighbour "loads a namespace that begins as another one does along with it"
        caught by ["p05_load_gives_the_latest_of_each"];
    states::purges_what_lives "removes living entities with the tombstones"
        caught by ["p05_load_gives_the_latest_of_each", "p08_purge_removes_only_what_is_named"];
    states::trims_payloads "drops white space around payloads"
        caught by ["p12_names_limits_bytes"];
    archives::reads_only_what_has_events "leaves out appends without events"
        caught by ["u01_appends_are_read_back_whole"];
    archives::reads_no_keys "reads appends without their keys"
        caught by ["u01_appends_are_read_back_whole"];
    archives::restores_at_its_own_time "records what is restored at the time of its clock"
        caught by ["u02_restored_appends_are_the_same"];
    archives::forgets_keys_of_what_it_restores "restores appends without their keys"
        caught by ["u02_restored_appends_are_the_same"];
    archives::restores_what_fits "restores the appends before the one that does not fit"
        caught by ["u03_refused_restore_changes_nothing"];
    archives::restores_anywhere "restores appends behind whatever is stored"
        caught by ["u03_refused_restore_changes_nothing"];
    archives::tears_dropped_restores "restores a part if the future is dropped"
        caught by ["u04_dropped_restore_is_whole"];
    states::tells_no_namespace_of_tombstones "does not tell a namespace in which every entity is deleted"
        caught by ["u05_namespaces_are_told"];
    outcomes::resolves_nothing "says of every append that it is not stored"
        caught by ["a22_own_write_is_recognised_on_retry", "d15_resolve_is_definite", "l05_timeout_wrapper_gives_indeterminate"];
}

/// The fixture of the store without a fault, for comparison: every case that applies to it is kept.
pub fn honest() -> Box<dyn Fixture> {
    struct Honest(MemoryStore);

    impl Wrap for Honest {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }
    }

    impl WrapProjections for Honest {
        fn projections(&self) -> &dyn ProjectionStore {
            &self.0
        }
    }

    projections::faulty(|store, _| Honest(store))
}

/// The same with states, as the stores with a fault in these have.
pub fn honest_with_states() -> Box<dyn Fixture> {
    states::honest()
}

/// The same with archives, as the stores with a fault in these have.
pub fn honest_with_archives() -> Box<dyn Fixture> {
    archives::honest()
}

/// The same with tables that methods write, as the stores with a fault in these have.
pub fn honest_with_tables() -> Box<dyn Fixture> {
    sql::honest()
}

type Make = Box<dyn Fn(MemoryStore, Arc<dyn Clock>) -> Arc<dyn EventStore> + Send + Sync>;

/// A store in memory behind a fault.
struct Faulty {
    store: MemoryStore,
    make: Make,
}

fn faulty<W: Wrap>(make: impl Fn(MemoryStore, Arc<dyn Clock>) -> W + Send + Sync + 'static) -> Box<dyn Fixture> {
    Box::new(Faulty {
        store: MemoryStore::new(),
        make: Box::new(move |store, clock| Arc::new(Wrapped(Arc::new(make(store, clock))))),
    })
}

#[async_trait]
impl Fixture for Faulty {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::MultiStream,
            Capability::AnyPayload,
            Capability::Archive,
            Capability::ForgetKeys,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let store = self.store.clone().with_clock(Arc::clone(&clock));
        (self.make)(store, clock)
    }
}
