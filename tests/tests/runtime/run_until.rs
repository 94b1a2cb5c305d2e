//! A runtime that runs until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::{ControlError, StoreErrorKind};
use es_tests::balances::{Balance, Store, start};
use es_tests::bank::account_with;
use es_tests::faults::Faulty;

es_tests::on_every_store_and_postgres! {
    async fn it_projects_until_the_signal_comes_and_shuts_down(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let (send, signal) = tokio::sync::oneshot::channel::<()>();
        let running = {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.run_until(signal).await })
        };
        let account = account_with(&runtime, 7).await;
        let head = store.head().await.unwrap();
        let row = runtime.get::<Balance>(account).after(head).timeout(Duration::from_secs(60)).await.unwrap();
        assert_eq!(row.unwrap().cents, 7);
        assert!(!running.is_finished());
        send.send(()).unwrap();
        running.await.unwrap().unwrap();
        runtime.shutdown().await.expect("again it does nothing");
        let refused = runtime.projection::<Balance>().rebuild().await.unwrap_err();
        assert!(matches!(refused, ControlError::ShutDown), "{refused}");
    }

    async fn what_does_not_stop_in_time_is_cut_off_and_told(store: _, _clock: _) {
        let store: Store = store;
        let frozen = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(frozen.clone()).projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 7).await;
        runtime.get::<Balance>(account).timeout(Duration::from_secs(60)).await.unwrap();
        frozen.freeze(true);
        let stopped = runtime.run_until(async {}).within(Duration::from_millis(50)).await;
        let error = stopped.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("projections `balances` did not stop within 50ms"), "{error}");
    }
}
