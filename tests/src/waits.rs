//! Waits for what comes sooner or later: bounded, so that a test ends in which it does not.

use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{ProjectionHealth, Status};
use es_runtime::{Position, Projection};

/// Longer than anything takes.
pub const LONG: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(10);
const TIMES: u32 = 12_000;

/// Waits until it is so.
///
/// # Panics
///
/// If it never is.
pub async fn wait_until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..TIMES {
        if is_so() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("it never comes to that");
}

/// Waits until it is so, as far as the store tells.
///
/// # Panics
///
/// If it never is.
pub async fn wait_for(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..TIMES {
        if is_so().await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("it never comes to that");
}

/// Waits until the projection is so.
///
/// # Panics
///
/// If it never is.
pub async fn until<P: Projection>(runtime: &Runtime, is_so: impl Fn(&ProjectionHealth) -> bool) -> ProjectionHealth {
    for _ in 0..TIMES {
        let health = runtime.projection::<P>().status().await.unwrap();
        if is_so(&health) {
            return health;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never: {:?}", runtime.health().await);
}

/// Waits until the projection has this status.
///
/// # Panics
///
/// If it never has.
pub async fn becomes<P: Projection>(runtime: &Runtime, wanted: Status) -> ProjectionHealth {
    until::<P>(runtime, |health| health.status == wanted).await
}

/// Waits until the projection has taken in everything up to `position`.
///
/// # Panics
///
/// If it never has.
pub async fn reached<P: Projection>(runtime: &Runtime, position: Position) {
    if let Err(error) = runtime.projection::<P>().wait_for(position, LONG).await {
        panic!("{error}: {:?}", runtime.health().await);
    }
}

/// Waits until the projection has taken in everything, and its rows are shown.
///
/// # Panics
///
/// If it never has.
pub async fn caught_up<P: Projection>(runtime: &Runtime) {
    reached::<P>(runtime, runtime.store().head().await.unwrap()).await;
    until::<P>(runtime, |health| health.ready).await;
}

/// Waits until every projection and so many subscriptions have come to the end of the log, as long as they come on.
///
/// # Panics
///
/// If they do not.
pub async fn at_the_head(runtime: &Runtime, subscriptions: usize) {
    let (mut least, mut times) = (u64::MAX, 0);
    while times < TIMES {
        let health = runtime.health().await.unwrap();
        let projections = health.projections.iter().map(|is| is.lag_events + u64::from(!is.ready));
        let left: u64 = projections
            .chain(health.subscriptions.iter().map(|is| is.lag_events))
            .sum();
        if left == 0 && health.subscriptions.len() == subscriptions {
            return;
        }
        times = if left < least { 0 } else { times + 1 };
        least = left.min(least);
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never: {:?}", runtime.health().await);
}
