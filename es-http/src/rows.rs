//! Rows of projections: one by its key, and lists by declared indexes.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use es_runtime::projection::{AnyKey, KeyOfRow, ReadError, RowProjection};
use es_runtime::runtime::{List, Page};
use es_runtime::store::{Compare, FieldValue};
use es_runtime::{Position, ProjectionRow};
use futures_core::future::BoxFuture;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Problem;
use crate::answer::{self, POSITION, etag, link_to};
use crate::call::Call;
use crate::errors::{internal, malformed, of_read};
use crate::query::{Parameters, cursor_of, page_of};
use crate::routes::Handler;

/// The rows of a page, unless the request says otherwise, and at most.
const LIMIT: u32 = 50;
const MOST: u32 = 1_000;

/// The time that a read waits for `ES-After`, unless the request says otherwise, and at most.
const WAIT: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30);

/// `GET /balances/{id}`, where the key is the part of the path with index `depth`.
pub(crate) fn one<P: RowProjection>(depth: usize) -> Handler
where
    AnyKey: KeyOfRow<P::Key>,
{
    Arc::new(move |call| {
        Box::pin(async move {
            let (after, wait) = (call.after()?.unwrap_or_default(), wait(&call)?);
            let key = call.segment(depth)?;
            let get = call.runtime().get::<P>(AnyKey::new(key)).after(after).timeout(wait);
            let Some(found) = get.await.map_err(of_read)? else {
                return Err(Problem::new(404, "not-found").detail("there is no such row"));
            };
            let position = found.position.max(after);
            let tag = etag(found.position.0);
            let is_known = call.header("if-none-match")?.is_some_and(|known| {
                let tags = known.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
                known == "*" || tags.into_iter().any(|known| known.as_bytes() == tag.as_bytes())
            });
            let mut response = if is_known {
                StatusCode::NOT_MODIFIED.into_response()
            } else {
                answer::json(row(&found)?.get().to_owned())
            };
            response.headers_mut().insert(header::ETAG, tag);
            response.headers_mut().insert(POSITION, position.0.into());
            Ok(response)
        })
    })
}

/// `GET /balances`, where rows are found by `indexes`.
pub(crate) fn list<P: RowProjection>(indexes: Arc<[String]>) -> Handler {
    Arc::new(move |call| listed::<P>(call, Arc::clone(&indexes)))
}

fn listed<P: RowProjection>(call: Call, indexes: Arc<[String]>) -> BoxFuture<'static, Result<Response, Problem>> {
    Box::pin(async move {
        let (after, wait) = (call.after()?.unwrap_or_default(), wait(&call)?);
        let parameters = Parameters::of(call.parts.uri.query().unwrap_or_default())?;
        let list = call.runtime().list::<P>().after(after).timeout(wait);
        let list = asked(list, &parameters, &indexes)?;
        let Page { rows, next, .. } = list.await.map_err(of_read)?;
        let position = rows.iter().map(|row| row.position).max().unwrap_or_default().max(after);
        let next = next.map(|next| parameters.with_page(&page_of(&next)));
        let shown: Vec<_> = rows.iter().map(Shown::of).collect::<Result<_, Problem>>()?;
        let listed = Listed {
            rows: &shown,
            next: next.as_deref(),
        };
        let listed = serde_json::to_vec(&listed).map_err(|error| internal(&error))?;
        let mut response = answer::json(listed);
        link_to(next.as_deref(), &mut response);
        response.headers_mut().insert(POSITION, position.0.into());
        Ok(response)
    })
}

/// A page of a list.
#[derive(Serialize)]
struct Listed<'l> {
    rows: &'l [Shown<'l>],
    next: Option<&'l str>,
}

/// A row of a list.
#[derive(Serialize)]
struct Shown<'r> {
    key: &'r str,
    position: Position,
    row: Box<RawValue>,
}

impl<'r> Shown<'r> {
    fn of<P: RowProjection>(found: &'r ProjectionRow<P>) -> Result<Self, Problem> {
        Ok(Self {
            key: &found.key,
            position: found.position,
            row: row(found)?,
        })
    }
}

/// Asks the list for what the parameters say.
fn asked<'a, P: RowProjection>(
    mut list: List<'a, P>,
    parameters: &Parameters,
    indexes: &[String],
) -> Result<List<'a, P>, Problem> {
    let mut limit = LIMIT;
    let (mut order, mut page) = (None, None);
    for (name, value) in parameters.iter() {
        match name {
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
                limit = number.ok_or_else(|| malformed("limit", &format!("it is a number from 1 to {MOST}")))?;
            }
            "order" => order = Some(value),
            "page" => page = Some(value),
            condition => {
                let (field, compare) = condition_of(condition)?;
                check_index(field, indexes)?;
                let value = FieldValue::of_text::<P>(field, value).map_err(of_read)?;
                list = list.filter(field.to_owned(), compare, value);
            }
        }
    }
    let order = order.map(|order| order.strip_prefix('-').map_or((order, false), |field| (field, true)));
    if let Some((field, is_descending)) = order {
        check_index(field, indexes)?;
        list = list.order_by(field.to_owned());
        if is_descending {
            list = list.descending();
        }
    }
    if let Some(page) = page {
        list = list.page(cursor_of(page, order.map(|(field, _)| field))?);
    }
    Ok(list.limit(limit))
}

/// The field of `cents` or `cents[gte]`, and how it compares.
fn condition_of(name: &str) -> Result<(&str, Compare), Problem> {
    let Some((field, compare)) = name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) else {
        return Ok((name, Compare::Equal));
    };
    let compare = match compare {
        "eq" => Compare::Equal,
        "lt" => Compare::Less,
        "lte" => Compare::AtMost,
        "gt" => Compare::Greater,
        "gte" => Compare::AtLeast,
        _ => return Err(malformed(name, "in brackets stands `eq`, `lt`, `lte`, `gt` or `gte`")),
    };
    Ok((field, compare))
}

/// Lets nobody have a table scanned.
fn check_index(field: &str, indexes: &[String]) -> Result<(), Problem> {
    if indexes.iter().any(|index| index == field) {
        return Ok(());
    }
    let known = indexes.join("`, `");
    let detail = if indexes.is_empty() {
        "rows are found by their key only: the projection declares no index".to_owned()
    } else {
        format!("rows are found and ordered by `{known}`")
    };
    Err(malformed(field, &detail).with("indexes", indexes))
}

/// The time to wait: `Prefer: wait=2`.
fn wait(call: &Call) -> Result<Duration, Problem> {
    let preferences = call.header("prefer")?.unwrap_or_default();
    let wait = preferences
        .split([',', ';'])
        .find_map(|preference| preference.trim().strip_prefix("wait="));
    let Some(wait) = wait else { return Ok(WAIT) };
    let seconds = wait.trim_matches('"').parse().map(Duration::from_secs);
    seconds
        .map(|seconds| seconds.min(LONGEST))
        .map_err(|_| malformed("Prefer", "`wait` is a number of seconds"))
}

/// The JSON of the row. Not a `Value`, which holds no number of more than 64 bits.
fn row<P: RowProjection>(found: &ProjectionRow<P>) -> Result<Box<RawValue>, Problem> {
    to_raw_value(&found.row).map_err(|source| {
        of_read(ReadError::Row {
            projection: P::NAME,
            key: found.key.clone(),
            source,
        })
    })
}
