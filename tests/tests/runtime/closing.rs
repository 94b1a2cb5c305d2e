//! Clones of a store are one store: who closes one, and who does not.

use es_runtime::StoreErrorKind;
use es_runtime::prelude::*;

es_tests::on_both_databases! {
    sqlite {}
    postgres {}

    /// Closing is for all clones, whichever database it is.
    async fn a_runtime_that_is_shut_down_closes_the_store_for_all(store: _) {
        let one = Runtime::builder(store.clone()).start().await.unwrap();
        let other = Runtime::builder(store.clone()).start().await.unwrap();
        one.shutdown().await.unwrap();
        let error = other.store().head().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Closed);
        other.shutdown().await.expect("again it does nothing");
    }

    async fn a_runtime_that_is_dropped_leaves_the_store_to_others(store: _) {
        let one = Runtime::builder(store.clone()).start().await.unwrap();
        let other = Runtime::builder(store.clone()).start().await.unwrap();
        drop(one);
        assert_eq!(other.store().head().await.unwrap(), 0);
        other.shutdown().await.unwrap();
    }
}
