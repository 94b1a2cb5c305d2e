//! The routes as OpenAPI 3.1.

use std::sync::Arc;

use axum::http::Method;
use bytes::Bytes;
use es_runtime::CommandInfo;
use es_runtime::runtime::AggregateInfo;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::commands::creates;
use crate::routes::Handler;

/// Routes that are described together.
pub(crate) enum Documented {
    Commands {
        path: String,
        aggregate: AggregateInfo,
        makes_ids: bool,
    },
    Command {
        path: String,
        method: Method,
        aggregate: &'static str,
        command: CommandInfo,
    },
    Rows {
        path: String,
        projection: &'static str,
        indexes: Arc<[String]>,
    },
    Events {
        path: String,
        aggregate: AggregateInfo,
    },
}

/// `GET /openapi.json`.
pub(crate) fn handler(document: &Value) -> Handler {
    let document = Bytes::from(document.to_string());
    Arc::new(move |_| {
        let response = answer::json(document.clone());
        Box::pin(std::future::ready(Ok(response)))
    })
}

pub(crate) fn document(title: &str, version: &str, documented: &[Documented], requires_keys: bool) -> Value {
    let mut document = Document {
        paths: Map::new(),
        schemas: schemas(),
        requires_keys,
    };
    for routes in documented {
        document.add(routes);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": document.paths,
        "components": {"schemas": document.schemas},
    })
}

struct Document {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    requires_keys: bool,
}

impl Document {
    fn add(&mut self, routes: &Documented) {
        match routes {
            Documented::Commands {
                path,
                aggregate,
                makes_ids,
            } => {
                for command in aggregate.commands {
                    let operation = self.command(aggregate.name, command, "200");
                    self.route(&format!("{path}/{{id}}/{}", command.name), &Method::POST, operation);
                    if *makes_ids && creates(command) {
                        let operation = self.command(aggregate.name, command, "201");
                        self.route(&format!("{path}/{}", command.name), &Method::POST, operation);
                    }
                }
            }
            Documented::Command {
                path,
                method,
                aggregate,
                command,
            } => {
                let operation = self.command(aggregate, command, "200");
                self.route(path, method, operation);
            }
            Documented::Rows {
                path,
                projection,
                indexes,
            } => {
                self.route(&format!("{path}/{{id}}"), &Method::GET, row(projection));
                self.route(path, &Method::GET, rows(projection, indexes));
            }
            Documented::Events { path, aggregate } => {
                let operation = self.events(aggregate);
                self.route(&format!("{path}/{{id}}/events"), &Method::GET, operation);
            }
        }
    }

    /// Adds the operation, with the id as a parameter if the path has one.
    fn route(&mut self, path: &str, method: &Method, mut operation: Value) {
        if path.contains("{id}") {
            let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}});
            if let Some(parameters) = operation["parameters"].as_array_mut() {
                parameters.insert(0, id);
            }
        }
        operation["responses"]["default"] = json!({
            "description": "what is wrong",
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        });
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation;
    }

    fn command(&mut self, aggregate: &str, command: &CommandInfo, status: &str) -> Value {
        let schema = schema_of(command).map_or_else(
            || json!({}),
            |schema| self.schema(&format!("command.{aggregate}.{}", command.name), schema),
        );
        let mut key = header("Idempotency-Key", "done once, however often it is sent");
        key["required"] = self.requires_keys.into();
        json!({
            "summary": command.name,
            "parameters": [
                header("If-Match", "only at this version, such as \"7\""),
                header("If-None-Match", "`*`: only a new one"),
                key,
                header("X-Correlation-Id", "recorded with each event"),
                header("traceparent", "recorded with each event"),
            ],
            "requestBody": {"content": {"application/json": {"schema": schema}}},
            "responses": {status: {
                "description": "done",
                "headers": {
                    "ETag": {"schema": {"type": "string"}},
                    "ES-Position": {"schema": {"type": "integer"}},
                    "ES-Repeated": {"schema": {"const": "true"}},
                },
                "content": {"application/json": {"schema": reference("Receipt")}},
            }},
        })
    }

    fn events(&mut self, aggregate: &AggregateInfo) -> Value {
        let known = aggregate.events.iter().filter(|event| !event.retired);
        let events: Vec<_> = known
            .map(|event| {
                let data = event_schema(aggregate, event.name, event.shape_version);
                let data = data.map_or_else(
                    || json!({}),
                    |schema| self.schema(&format!("event.{}.{}", aggregate.name, event.name), schema),
                );
                json!({"allOf": [reference("Event"), {"properties": {"name": {"const": event.name}, "data": data}}]})
            })
            .collect();
        let items = if events.is_empty() {
            reference("Event")
        } else {
            json!({"oneOf": events})
        };
        let page = json!({
            "type": "object",
            "required": ["events", "next"],
            "properties": {"events": {"type": "array", "items": items}, "next": {"type": ["string", "null"]}},
        });
        json!({
            "summary": format!("the events of `{}`", aggregate.name),
            "parameters": [
                query("from", "the first version", &json!({"type": "integer", "minimum": 1})),
                query("limit", "events of a page", &json!({"type": "integer", "minimum": 1, "maximum": 1000})),
                header("Last-Event-ID", "continues behind this version"),
            ],
            "responses": {"200": {
                "description": "a page, or the events as they come",
                "content": {"application/json": {"schema": page}, "text/event-stream": {}},
            }},
        })
    }

    /// Puts the schema among the components, with those that it refers to, and returns a reference.
    fn schema(&mut self, name: &str, mut schema: Value) -> Value {
        let name: String = name
            .chars()
            .map(|char| if allowed(char) { char } else { '_' })
            .collect();
        let definitions = schema.as_object_mut().and_then(|schema| {
            schema.remove("$schema");
            schema.remove("$defs")
        });
        if let Some(Value::Object(definitions)) = definitions {
            for (of, mut definition) in definitions {
                refer(&mut definition, &name);
                self.schemas.insert(component(&name, &of), definition);
            }
        }
        refer(&mut schema, &name);
        self.schemas.insert(name.clone(), schema);
        reference(&name)
    }
}

fn allowed(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-')
}

/// The name of a definition of the schema `name`.
fn component(name: &str, definition: &str) -> String {
    let definition = definition.chars().map(|char| if allowed(char) { char } else { '_' });
    format!("{name}.{}", definition.collect::<String>())
}

/// Makes references to definitions of the schema `name` lead to the components.
fn refer(schema: &mut Value, name: &str) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, name)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(to) if key == "$ref" => {
                        let to = to.strip_prefix('#').unwrap_or_default();
                        let component = to
                            .strip_prefix("/$defs/")
                            .map_or(name.to_owned(), |of| component(name, of));
                        *value = format!("#/components/schemas/{component}").into();
                    }
                    value => refer(value, name),
                }
            }
        }
        _ => {}
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}})
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn after() -> [Value; 2] {
    [
        header("ES-After", "waits until this position is shown"),
        header("Prefer", "`wait=2`: for so many seconds"),
    ]
}

fn row(projection: &str) -> Value {
    json!({
        "summary": format!("a row of `{projection}`"),
        "parameters": after(),
        "responses": {
            "200": {
                "description": "the row",
                "headers": {"ETag": {"schema": {"type": "string"}}, "ES-Position": {"schema": {"type": "integer"}}},
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "304": {"description": "it is the one of `If-None-Match`"},
        },
    })
}

fn rows(projection: &str, indexes: &[String]) -> Value {
    let mut parameters = Vec::from(after());
    parameters.push(query(
        "limit",
        "rows of a page",
        &json!({"type": "integer", "minimum": 1, "maximum": 1000}),
    ));
    parameters.push(query("page", "the place of a `next` link", &json!({"type": "string"})));
    if !indexes.is_empty() {
        let orders: Vec<_> = indexes
            .iter()
            .flat_map(|index| [index.clone(), format!("-{index}")])
            .collect();
        parameters.push(query("order", "the order", &json!({"enum": orders})));
    }
    for index in indexes {
        parameters.push(query(index, "equal to this", &json!({"type": "string"})));
        for compare in ["lt", "lte", "gt", "gte"] {
            parameters.push(query(
                &format!("{index}[{compare}]"),
                "compares so",
                &json!({"type": "string"}),
            ));
        }
    }
    json!({
        "summary": format!("rows of `{projection}`"),
        "parameters": parameters,
        "responses": {"200": {
            "description": "a page",
            "content": {"application/json": {"schema": reference("Rows")}},
        }},
    })
}

/// The schemas of what the answers of every application are.
fn schemas() -> Map<String, Value> {
    let object = |properties: Value| {
        let required: Vec<_> = properties
            .as_object()
            .map(|fields| fields.keys().cloned().collect())
            .unwrap_or_default();
        json!({"type": "object", "required": required, "properties": properties})
    };
    let number = || json!({"type": "integer", "minimum": 0});
    let text = || json!({"type": "string"});
    let receipt = object(json!({
        "id": text(), "version": number(), "position": number(), "events": number(), "repeated": {"type": "boolean"},
    }));
    let problem = object(json!({"type": text(), "title": text(), "status": number()}));
    let event = object(json!({
        "id": text(), "version": number(), "position": number(), "name": text(), "shape_version": number(),
        "recorded_at": {"type": "string", "format": "date-time"}, "occurred_at": {"type": "string", "format": "date-time"},
        "data": {},
    }));
    let row = object(json!({"key": text(), "position": number(), "row": {"type": "object"}}));
    let rows = object(json!({"rows": {"type": "array", "items": row}, "next": {"type": ["string", "null"]}}));
    let all = [
        ("Receipt", receipt),
        ("Problem", problem),
        ("Event", event),
        ("Rows", rows),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

#[cfg(feature = "schema")]
fn schema_of(command: &CommandInfo) -> Option<Value> {
    command.schema()
}

#[cfg(not(feature = "schema"))]
fn schema_of(_: &CommandInfo) -> Option<Value> {
    None
}

#[cfg(feature = "schema")]
fn event_schema(aggregate: &AggregateInfo, name: &str, version: u32) -> Option<Value> {
    aggregate.shapes().schema(name, version).cloned()
}

#[cfg(not(feature = "schema"))]
fn event_schema(_: &AggregateInfo, _: &str, _: u32) -> Option<Value> {
    None
}
