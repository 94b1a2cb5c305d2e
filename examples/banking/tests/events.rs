//! Events that the bank has stored stay readable. After an addition: `ES_EVENTS_LOCK=accept cargo test -p banking
//! --test events`.

use banking::Account;
use banking::import::Import;
use es_runtime::testing::events_lock;

#[test]
fn stored_events_stay_readable() {
    events_lock::<(Account, Import)>("events.lock");
}
