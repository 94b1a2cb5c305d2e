//! One test on every store.

/// Makes each `async fn name(store: _, clock: _)` a test on every store, with the store as `Arc<dyn ProjectionStore>` and the clock
/// that it reads as `ManualClock`.
#[macro_export]
macro_rules! on_every_store {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: _, $clock:ident: _) $body:block)+) => {
        mod promises {
            use super::*;
            $($(#[$doc])* pub(super) async fn $name($store: std::sync::Arc<dyn es_runtime::projection::ProjectionStore>, $clock: es_runtime::testing::ManualClock) $body)+
        }

        mod memory {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let clock = $crate::stores::clock();
                super::promises::$name(std::sync::Arc::new(es_runtime::MemoryStore::new().with_clock(clock.clone())), clock).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let clock = $crate::stores::clock();
                let folder = $crate::tempdir().unwrap();
                let options = $crate::SqliteStore::options().clock(clock.clone());
                let store = options.open(folder.path().join("test.db")).await.unwrap();
                super::promises::$name(std::sync::Arc::new(store), clock).await;
            })+
        }
    };
}

/// A clock that stands still until it is told to move.
///
/// # Panics
///
/// Never: the time is well formed.
pub fn clock() -> es_runtime::testing::ManualClock {
    es_runtime::testing::ManualClock::at("2026-11-21T09:30:00Z".parse().unwrap())
}
