//! Commands by their names.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use es_runtime::TargetKind;
use es_runtime::runtime::{AggregateInfo, AnyAggregate, AnyInstance, AnyRequest};
use es_runtime::{BelongsToOneAggregate, CommandInfo, CommandOf, Commanded, Receipt, Runtime};
use serde_json::json;
use uuid::Uuid;

use crate::Problem;
use crate::answer::{self, POSITION, REPEATED, etag};
use crate::call::Call;
use crate::errors;
use crate::routes::Handler;

/// The aggregate of a route.
#[derive(Clone, Copy)]
pub(crate) struct Aggregate {
    pub(crate) of: fn(&Runtime) -> AnyAggregate<'_>,
    info: fn() -> AggregateInfo,
    /// The number of parts of the path before the id.
    pub(crate) depth: usize,
}

impl Aggregate {
    pub(crate) fn of<A: Commanded>(path: &str) -> Self {
        Self {
            of: Runtime::any_of::<A>,
            info: AggregateInfo::of::<A>,
            depth: path.split('/').count() - 1,
        }
    }

    pub(crate) fn info(self) -> AggregateInfo {
        (self.info)()
    }

    pub(crate) fn name(self) -> &'static str {
        self.info().name
    }

    pub(crate) fn commands(self) -> &'static [CommandInfo] {
        (self.info)().commands
    }

    /// Returns whether a command can make an instance whose id nobody has chosen.
    pub(crate) fn makes_ids(self, runtime: &Runtime) -> bool {
        (self.of)(runtime).instance_of(Uuid::nil()).is_some() && self.commands().iter().any(creates)
    }

    /// The command of this name.
    fn command(self, name: &str, wanted: impl Fn(&CommandInfo) -> bool) -> Result<&'static CommandInfo, Problem> {
        let AggregateInfo {
            name: category,
            commands,
            ..
        } = (self.info)();
        let found = commands.iter().find(|command| command.name == name && wanted(command));
        found.ok_or_else(|| {
            let known: Vec<_> = commands
                .iter()
                .filter(|command| wanted(command))
                .map(|command| command.name)
                .collect();
            Problem::new(404, "unknown-command")
                .detail(format!("`{category}` knows no such command here"))
                .with("commands", known)
        })
    }
}

pub(crate) fn creates(command: &CommandInfo) -> bool {
    command.target != TargetKind::Existing
}

/// `POST /accounts/{id}/{command}`.
pub(crate) struct Instance;

impl Instance {
    pub(crate) fn handler(aggregate: Aggregate) -> Handler {
        Arc::new(move |call| {
            Box::pin(async move {
                let command = aggregate.command(&call.segment(aggregate.depth + 1)?, |_| true)?;
                let id = call.segment(aggregate.depth)?;
                let receipt = to_instance(call, aggregate.of, &id, command.name).await?;
                Ok(done(receipt))
            })
        })
    }
}

/// `POST /accounts/{command}`.
pub(crate) struct Collection;

impl Collection {
    pub(crate) fn handler(aggregate: Aggregate) -> Handler {
        Arc::new(move |call| {
            Box::pin(async move {
                let command = aggregate.command(&call.segment(aggregate.depth)?, creates)?;
                // Made from the key, so that a repeated request is one to the same instance.
                let uuid = match call.key()? {
                    Some(key) => Uuid::new_v5(&IDS, format!("{} {key}", (aggregate.info)().name).as_bytes()),
                    None => Uuid::now_v7(),
                };
                let id = uuid.to_string();
                let receipt = to_instance(call, aggregate.of, &id, command.name).await?;
                let mut response = done(receipt);
                *response.status_mut() = StatusCode::CREATED;
                // Relative, as only the client knows under which path it sees this one.
                response
                    .headers_mut()
                    .extend(HeaderValue::from_str(&id).map(|id| (header::LOCATION, id)));
                Ok(response)
            })
        })
    }
}

/// The namespace of ids that are made from idempotency keys.
const IDS: Uuid = Uuid::from_u128(0x3e5d_09c1_7f42_4b8e_a1d6_2c90_5be8_f713);

/// A command with a route of its own.
#[derive(Clone, Copy)]
pub(crate) struct Single {
    aggregate: Aggregate,
    name: &'static str,
}

impl Single {
    /// Command `C`, whose id is the part of the path with this index.
    pub(crate) fn of<C>(index: usize) -> Self
    where
        C: BelongsToOneAggregate<Aggregate: Commanded> + CommandOf<C::Aggregate>,
    {
        let aggregate = Aggregate {
            of: Runtime::any_of::<C::Aggregate>,
            info: AggregateInfo::of::<C::Aggregate>,
            depth: index,
        };
        Self {
            aggregate,
            name: C::NAME,
        }
    }

    pub(crate) fn aggregate(self) -> &'static str {
        self.aggregate.name()
    }

    #[track_caller]
    pub(crate) fn info(self) -> CommandInfo {
        match (self.aggregate.info)().command(self.name) {
            Some(command) => *command,
            None => panic!("command `{}` is none of its aggregate's enum", self.name),
        }
    }

    pub(crate) fn handler(self) -> Handler {
        Arc::new(move |call| {
            Box::pin(async move {
                let id = call.segment(self.aggregate.depth)?;
                let receipt = to_instance(call, self.aggregate.of, &id, self.name).await?;
                Ok(done(receipt))
            })
        })
    }
}

/// Executes the command with the content of the body.
async fn to_instance(
    call: Call,
    of: fn(&Runtime) -> AnyAggregate<'_>,
    id: &str,
    command: &'static str,
) -> Result<Receipt, Problem> {
    let request = call.request()?;
    let app = Arc::clone(&call.app);
    let instance = of(&app.runtime)
        .instance(id)
        .map_err(|invalid| errors::invalid(&invalid, ""))?;
    let json = call.json().await?;
    let executed = execute(&instance, command, &json, request).await;
    executed.or_else(|error| errors::of_command(error, command, |refusal| app.refused(&refusal)))
}

/// Executes the command. One without fields needs no content: `null` if it is a unit, `{}` if it is not.
async fn execute(
    instance: &AnyInstance<'_>,
    command: &str,
    json: &Bytes,
    request: AnyRequest,
) -> Result<Receipt, es_runtime::ExecuteError<es_runtime::AnyRefusal>> {
    let is_empty = matches!(json.trim_ascii(), b"" | b"{}" | b"null");
    let content: &[u8] = match is_empty {
        true if instance.takes(command, b"null") => b"null",
        true => b"{}",
        false => json,
    };
    instance.execute(command, content, request).await
}

/// The answer to a command that is done.
fn done(receipt: Receipt) -> Response {
    let Receipt {
        stream,
        version,
        position,
        events,
        repeated,
        ..
    } = receipt;
    let body = json!({
        "id": stream.id(),
        "version": version.0,
        "position": position.0,
        "events": events,
        "repeated": repeated,
    });
    let mut response = answer::json(body.to_string());
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag(version.0));
    headers.insert(POSITION, position.0.into());
    if repeated {
        headers.insert(REPEATED, HeaderValue::from_static("true"));
    }
    response
}
