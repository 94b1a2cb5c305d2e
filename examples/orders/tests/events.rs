//! The events that the shop has stored stay readable. After an addition:
//! `ES_EVENTS_LOCK=accept cargo test -p orders --test events`.

use es_runtime::testing::events_lock;
use orders::order::Order;
use orders::payment::Payment;
use orders::shipment::Shipment;
use orders::stock::Stock;

#[test]
fn stored_events_stay_readable() {
    events_lock::<(Order, Stock, Payment, Shipment)>("events.lock");
}
