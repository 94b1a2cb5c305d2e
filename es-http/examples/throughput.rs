//! The share that a route has of a bare handler's rate: `cargo run --release -p es-http --example throughput`.
//!
//! Both take the same command over the same store in memory, within the process, so that no socket hides the difference.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, State};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, account_with};
use tower::ServiceExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let runtime = Runtime::builder(MemoryStore::new()).start().await?;
    let id = account_with(&runtime, 1).await;
    let bare = Router::new()
        .route("/accounts/{id}/deposit", post(deposit))
        .with_state(runtime.clone());
    let ours = es_http::router(&runtime).commands::<Account>("/accounts").build();
    let mut rates = [Vec::new(), Vec::new()];
    // By turns, so that what else the machine does is in both.
    for _ in 0..11 {
        for (rates, app) in rates.iter_mut().zip([&bare, &ours]) {
            rates.push(rate(app, id).await?);
        }
    }
    let [bare, ours] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("bare handler {bare:.0}/s, es-http {ours:.0}/s: {:.2}", ours / bare);
    Ok(())
}

/// Requests in a second.
async fn rate(app: &Router, id: Id<Account>) -> Result<f64> {
    let path = format!("/accounts/{id}/deposit");
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(300) {
        let request = Request::post(&path).header(header::CONTENT_TYPE, "application/json");
        let answer = app
            .clone()
            .oneshot(request.body(Body::from(r#"{"amount":1}"#))?)
            .await?;
        assert_eq!(answer.status(), 200);
        done += 1;
    }
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

async fn deposit(
    State(runtime): State<Runtime>,
    Path(id): Path<Id<Account>>,
    Json(command): Json<Deposit>,
) -> std::result::Result<impl IntoResponse, StatusCode> {
    let receipt = runtime.execute(id, command).await;
    let receipt = receipt.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let body = Json((receipt.version.0, receipt.position.0, receipt.events, receipt.repeated));
    Ok(([(header::ETAG, format!("\"{}\"", receipt.version))], body))
}
