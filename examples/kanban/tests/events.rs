//! Stored events and settings stay readable. After an addition: `ES_EVENTS_LOCK=accept cargo test -p kanban --test
//! events`.

use es_runtime::testing::events_lock;
use kanban::board::Board;
use kanban::card::Card;
use kanban::column::Column;
use kanban::settings::{Person, Workspace};

#[test]
fn stored_events_stay_readable() {
    events_lock::<(Board, Column, Card, Workspace, Person)>("events.lock");
}
