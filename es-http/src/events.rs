//! The events of a stream: as JSON in pages, and as they come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use es_runtime::runtime::{AnyAggregate, AnyEvent};
use es_runtime::store::ReadStream;
use es_runtime::{LoadError, Position, RecordedEvent, Runtime, StreamId, Version};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::Problem;
use crate::answer::{self, POSITION, link_to};
use crate::app::App;
use crate::call::Call;
use crate::commands::Aggregate;
use crate::errors::{internal, invalid, malformed, of_load, of_store};
use crate::query::Parameters;
use crate::routes::Handler;
use crate::tail::Frame;

/// The events of a page, unless the request says otherwise, and at most.
const LIMIT: usize = 100;
const MOST: usize = 1_000;

/// About the most bytes of a page.
const PAGE_BYTES: usize = 1 << 20;

/// The events that are read ahead for one who catches up, and about the most bytes of them.
const AHEAD: u64 = 64;
const AHEAD_BYTES: usize = 16 << 10;

/// The pause after which one who waits is sent a comment, so that nothing in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// `GET /accounts/{id}/events`.
pub(crate) fn handler(aggregate: Aggregate) -> Handler {
    Arc::new(move |call| {
        Box::pin(async move {
            let id = call.segment(aggregate.depth)?;
            let any = (aggregate.of)(call.runtime());
            let stream = any.instance(&id).map_err(|error| invalid(&error, ""))?.stream().clone();
            let accepted = call.parts.headers.get_all(header::ACCEPT).iter();
            let follows = accepted
                .filter_map(|accepted| accepted.to_str().ok())
                .any(|accepted| accepted.contains("text/event-stream"));
            if follows {
                follow(call, aggregate.of, stream).await
            } else {
                page(call, aggregate.of, stream).await
            }
        })
    })
}

fn no_stream() -> Problem {
    Problem::new(404, "not-found").detail("there are no events of this id")
}

/// A number in the query.
fn number(parameters: &Parameters, name: &str, default: u64, most: u64) -> Result<u64, Problem> {
    let Some((_, text)) = parameters.iter().find(|(other, _)| *other == name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| malformed(name, &format!("it is a number from 1 to {most}")))
}

async fn page(call: Call, of: fn(&Runtime) -> AnyAggregate<'_>, stream: StreamId) -> Result<Response, Problem> {
    let any = of(call.runtime());
    let parameters = Parameters::of(call.parts.uri.query().unwrap_or_default())?;
    if let Some((name, _)) = parameters.iter().find(|(name, _)| !["from", "limit"].contains(name)) {
        return Err(malformed(name, "events are asked for by `from` and `limit`"));
    }
    let from = number(&parameters, "from", 1, Version::MAX.0)?;
    let limit = number(&parameters, "limit", LIMIT as u64, MOST as u64)?;
    let query = ReadStream::new(stream).from(from).limit(limit + 1);
    let mut stored = call.runtime().store().read_stream(query);
    let (mut body, mut last, mut next, mut read) = ("{\"events\":[".to_owned(), Position::ZERO, None, 0);
    while let Some(event) = stored.try_next().await.map_err(|error| of_store(&error))? {
        if read == limit || body.len() > PAGE_BYTES {
            next = Some(format!("?from={}&limit={limit}", event.version));
            break;
        }
        (read, last) = (read + 1, event.position);
        for shown in any.read(&event).map_err(of_load)? {
            let comma = if body.ends_with('[') { "" } else { "," };
            body += comma;
            body += &json(&event, &shown);
        }
    }
    if read == 0 && from == 1 {
        return Err(no_stream());
    }
    let next_json = next.as_ref().map_or("null".to_owned(), |next| format!("\"{next}\""));
    body += "],\"next\":";
    body += &next_json;
    body.push('}');
    let mut response = answer::json(body);
    link_to(next.as_deref(), &mut response);
    response.headers_mut().insert(POSITION, last.0.into());
    Ok(response)
}

/// The event as JSON, in one line. Its metadata is not for strangers.
fn json(event: &RecordedEvent, shown: &AnyEvent) -> String {
    let data = String::from_utf8_lossy(&shown.json).replace(['\r', '\n'], " ");
    let name = serde_json::Value::from(shown.name);
    format!(
        "{{\"id\":\"{}\",\"version\":{},\"position\":{},\"name\":{name},\"shape_version\":{},\"recorded_at\":\"{}\",\"occurred_at\":\"{}\",\"data\":{data}}}",
        event.id,
        event.version,
        event.position,
        shown.shape_version,
        event.recorded_at,
        event.occurred_at(),
    )
}

/// The event as it is sent to those who follow. Where it is read as several, only the last one has the id, so that one who is cut
/// between them gets all of them again.
pub(crate) fn frame(any: AnyAggregate<'_>, event: &RecordedEvent) -> Result<Frame, LoadError> {
    let all = any.read(event)?;
    let mut text = String::new();
    for (index, shown) in all.iter().enumerate() {
        if index + 1 == all.len() {
            text.extend(["id: ", &event.version.to_string(), "\n"]);
        }
        let name = shown.name.replace(['\r', '\n'], " ");
        text.extend(["event: ", &name, "\ndata: ", &json(event, shown), "\n\n"]);
    }
    Ok(Frame {
        version: event.version,
        bytes: text.into(),
    })
}

async fn follow(call: Call, of: fn(&Runtime) -> AnyAggregate<'_>, stream: StreamId) -> Result<Response, Problem> {
    let last = call.header("last-event-id")?.map(str::parse).transpose();
    let last: u64 = last
        .map_err(|_| malformed("Last-Event-ID", "it is the `id` of an event, a version such as 7"))?
        .unwrap_or_default();
    let Some(tail) = &call.app.tail else {
        return Err(internal(&std::io::Error::other("a route of events without a tail")));
    };
    let frames = tail.follow(&stream).await.map_err(|error| of_store(&error))?;
    let version = call
        .runtime()
        .store()
        .version(&stream)
        .await
        .map_err(|error| of_store(&error))?;
    if version == Version::ZERO {
        return Err(no_stream());
    }
    let follower = Follower {
        app: Arc::clone(&call.app),
        of,
        stream,
        next: Version(last.min(Version::MAX.0 - 1)).next(),
        ready: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
        frames,
        is_behind: true,
    };
    let body = stream::unfold(follower, async |mut follower| {
        let bytes = follower.next().await?;
        Some((Ok::<_, Infallible>(bytes), follower))
    });
    let body = Body::from_stream(body.take_until(call.app.ends()));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// One who follows a stream: first by reading it, then by what the tail passes on, and by reading again if that was too fast.
struct Follower {
    app: Arc<App>,
    of: fn(&Runtime) -> AnyAggregate<'_>,
    stream: StreamId,
    /// The version to send next.
    next: Version,
    ready: VecDeque<Bytes>,
    frames: Receiver<Frame>,
    /// True if the store may have events that the tail does not pass on any more.
    is_behind: bool,
}

impl Follower {
    /// Returns the next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.is_behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, stream = %self.stream, "a follower could not be sent the events, and is let go");
                    return None;
                }
                continue;
            }
            let Ok(frame) = timeout(HEARTBEAT, self.frames.recv()).await else {
                return Some(Bytes::from_static(b":\n\n"));
            };
            match frame {
                Ok(frame) if frame.version == self.next => self.take(frame),
                // It was read before.
                Ok(frame) if frame.version < self.next => {}
                Ok(_) | Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads on, a few events at a time.
    async fn catch_up(&mut self) -> Result<(), LoadError> {
        let app = Arc::clone(&self.app);
        let any = (self.of)(&app.runtime);
        let query = ReadStream::new(self.stream.clone()).from(self.next).limit(AHEAD);
        let (mut read, mut bytes) = (0, 0);
        let mut stored = app.runtime.store().read_stream(query);
        while let Some(event) = stored.try_next().await? {
            let frame = frame(any, &event)?;
            (read, bytes) = (read + 1, bytes + frame.bytes.len());
            self.take(frame);
            if bytes > AHEAD_BYTES {
                return Ok(());
            }
        }
        self.is_behind = read == AHEAD;
        Ok(())
    }

    fn take(&mut self, frame: Frame) {
        self.next = frame.version.next();
        if !frame.bytes.is_empty() {
            self.ready.push_back(frame.bytes);
        }
    }
}
