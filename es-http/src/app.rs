use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use es_runtime::projection::{AnyKey, Keep, KeyOfRow, RowProjection};
use es_runtime::runtime::AnyAggregate;
use es_runtime::{AnyRefusal, BelongsToOneAggregate, CommandInfo, CommandOf, Commanded, MemoryStore, Runtime};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, select};

use crate::Problem;
use crate::commands::{Aggregate, Collection, Instance, Single};
use crate::events;
use crate::openapi::{self, Documented};
use crate::routes::Routes;
use crate::rows;
use crate::tail::Tail;

type ActorHook = Box<dyn Fn(&Parts) -> Result<Option<String>, Box<Response>> + Send + Sync>;
type RefusalHook = Box<dyn Fn(&AnyRefusal) -> Option<Problem> + Send + Sync>;

/// The state that all routes share.
pub(crate) struct App {
    pub(crate) runtime: Runtime,
    actor: Option<ActorHook>,
    refusals: Vec<RefusalHook>,
    pub(crate) requires_keys: bool,
    /// `None` if no route shows events.
    pub(crate) tail: Option<Arc<Tail>>,
    ends: Ends,
}

/// Comes when event streams are to end.
pub(crate) type Ends = Shared<BoxFuture<'static, ()>>;

impl App {
    pub(crate) fn actor(&self, parts: &Parts) -> Result<Option<String>, Box<Response>> {
        self.actor.as_ref().map_or(Ok(None), |actor| actor(parts))
    }

    pub(crate) fn ends(&self) -> Ends {
        self.ends.clone()
    }

    /// The problem of a refusal.
    pub(crate) fn refused(&self, refusal: &AnyRefusal) -> Problem {
        let told = self.refusals.iter().find_map(|hook| hook(refusal));
        told.unwrap_or_else(|| crate::errors::refused(refusal))
    }
}

/// Settings of an application: [`router`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    app: App,
    routes: Routes,
    /// The commands that have a route.
    commands: Vec<CommandInfo>,
    hooks: Vec<Hooked>,
    /// The aggregates whose events are shown.
    followed: HashMap<&'static str, fn(&Runtime) -> AnyAggregate<'_>>,
    documented: Vec<Documented>,
    /// Title and version of the document that describes the routes.
    openapi: Option<(String, String)>,
}

/// Of a refusal that has a hook: its type, and whether a command has it.
type Hooked = (&'static str, fn(&CommandInfo) -> bool);

/// Begins an application on `runtime`: add routes, then [`build`](Builder::build).
pub fn router(runtime: &Runtime) -> Builder {
    Builder {
        app: App {
            runtime: runtime.clone(),
            actor: None,
            refusals: Vec::new(),
            requires_keys: false,
            tail: None,
            ends: pending().boxed().shared(),
        },
        routes: Routes::default(),
        commands: Vec::new(),
        hooks: Vec::new(),
        followed: HashMap::new(),
        documented: Vec::new(),
        openapi: None,
    }
}

impl Builder {
    /// Asks who sends a request: recorded with each event, and the scope of idempotency keys. An `Err` is the answer.
    ///
    /// It is called for every route. It trusts what a layer in front has checked: authentication and authorisation are a layer of yours.
    pub fn actor<A: Into<Option<String>>, E: IntoResponse>(
        mut self,
        who: impl Fn(&Parts) -> Result<A, E> + Send + Sync + 'static,
    ) -> Self {
        self.app.actor = Some(Box::new(move |parts| match who(parts) {
            Ok(actor) => Ok(actor.into()),
            Err(error) => Err(Box::new(error.into_response())),
        }));
        self
    }

    /// Refuses commands without an `Idempotency-Key`.
    pub fn require_keys(mut self) -> Self {
        self.app.requires_keys = true;
        self
    }

    /// Says what is answered if a command is refused with an `R`; otherwise its text is, with status 422.
    ///
    /// # Panics
    ///
    /// [`build`](Self::build) does, if no command that has a route is refused with an `R`.
    pub fn refusal<R: std::error::Error + 'static>(
        mut self,
        problem: impl Fn(&R) -> Problem + Send + Sync + 'static,
    ) -> Self {
        let hook = move |refusal: &AnyRefusal| refusal.downcast_ref::<R>().map(&problem);
        self.app.refusals.push(Box::new(hook));
        self.hooks
            .push((std::any::type_name::<R>(), CommandInfo::is_refused_with::<R>));
        self
    }

    /// Takes all commands of aggregate `A`, each with its content in the body: `POST <path>/{id}/{command}`.
    ///
    /// `POST <path>/{command}` makes the id, if the command creates the aggregate and that has an [`Id`](es_runtime::Id).
    ///
    /// # Panics
    ///
    /// If `path` is not like `/accounts`, or another route is there.
    #[track_caller]
    pub fn commands<A: Commanded>(mut self, path: &str) -> Self {
        check_collection(path);
        let aggregate = Aggregate::of::<A>(path);
        self.commands.extend(aggregate.commands());
        let makes_ids = aggregate.makes_ids(&self.app.runtime);
        self.documented.push(Documented::Commands {
            path: path.to_owned(),
            aggregate: aggregate.info(),
            makes_ids,
        });
        self.routes.add(
            Method::POST,
            format!("{path}/{{id}}/{{command}}"),
            Instance::handler(aggregate),
        );
        if makes_ids {
            self.routes
                .add(Method::POST, format!("{path}/{{id}}"), Collection::handler(aggregate));
        }
        self
    }

    /// Takes command `C` with a method and a path of its own, such as `DELETE /accounts/{id}`. Its content is in the body; one without
    /// fields needs none.
    ///
    /// # Panics
    ///
    /// If `path` is not like `/accounts/{id}`, or another route is there.
    #[track_caller]
    pub fn command<C>(mut self, method: Method, path: &str) -> Self
    where
        C: BelongsToOneAggregate<Aggregate: Commanded> + CommandOf<C::Aggregate>,
    {
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let plain = |part: &str| part == "{id}" || !part.is_empty() && !part.contains(['{', '}']);
        let index = parts.iter().position(|part| *part == "{id}");
        assert!(
            path.starts_with('/') && parts.iter().all(|part| plain(part)),
            "`{path}` is not the path of a command: write one like `/accounts/{{id}}`"
        );
        let Some(index) = index else {
            panic!(
                "`{path}` has no `{{id}}`, so that it is not known whom the command is for: write one like `/accounts/{{id}}`"
            )
        };
        let single = Single::of::<C>(index);
        self.commands.push(single.info());
        self.documented.push(Documented::Command {
            path: path.to_owned(),
            method: method.clone(),
            aggregate: single.aggregate(),
            command: single.info(),
        });
        self.routes.add(method, path.to_owned(), single.handler());
        self
    }

    /// Shows the rows of projection `P`: `GET <path>/{key}` one, `GET <path>` those that the query asks for, in pages.
    ///
    /// Rows are found and ordered by declared indexes only, so that no stranger has a table scanned.
    ///
    /// # Panics
    ///
    /// If `path` is not like `/balances`, another route is there, or `P` is not one of the runtime's.
    #[track_caller]
    pub fn rows<P: RowProjection<Rows: Keep<MemoryStore>>>(mut self, path: &str) -> Self
    where
        AnyKey: KeyOfRow<P::Key>,
    {
        check_collection(path);
        let projections = &self.app.runtime.catalog().projections;
        let known = projections
            .iter()
            .find(|known| known.name == P::NAME && known.version == P::VERSION);
        let Some(known) = known else {
            panic!(
                "projection `{}` is not one of this runtime's: add `.projection::<…>()` or `.reads::<…>()` to its builder",
                P::NAME
            )
        };
        let indexes: Arc<[String]> = known.indexes.clone().into();
        self.documented.push(Documented::Rows {
            path: path.to_owned(),
            projection: P::NAME,
            indexes: Arc::clone(&indexes),
        });
        let depth = path.split('/').count() - 1;
        self.routes.add(Method::GET, path.to_owned(), rows::list::<P>(indexes));
        self.routes
            .add(Method::GET, format!("{path}/{{id}}"), rows::one::<P>(depth));
        self
    }

    /// Shows the events of instances of aggregate `A`: `GET <path>/{id}/events`, as JSON in pages, or as they come to one who accepts
    /// `text/event-stream`. Events are in the shapes of today, and without metadata.
    ///
    /// # Panics
    ///
    /// If `path` is not like `/accounts`, or another route is there.
    #[track_caller]
    pub fn events<A: Commanded>(mut self, path: &str) -> Self {
        check_collection(path);
        let aggregate = Aggregate::of::<A>(path);
        self.followed.insert(aggregate.name(), aggregate.of);
        self.documented.push(Documented::Events {
            path: path.to_owned(),
            aggregate: aggregate.info(),
        });
        let route = format!("{path}/{{id}}/events");
        self.routes.add(Method::GET, route, events::handler(aggregate));
        self
    }

    /// Describes the routes as OpenAPI 3.1: `GET /openapi.json`. With the feature `schema` it has the schemas of commands and events.
    pub fn openapi(mut self, title: impl Into<String>, version: impl Into<String>) -> Self {
        self.openapi = Some((title.into(), version.into()));
        self
    }

    /// Ends event streams when `signal` comes: that which ends the server too, which otherwise waits for them. They end with the runtime,
    /// too.
    pub fn until(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.app.ends = signal.boxed().shared();
        self
    }

    /// Makes the router: nest it, put layers around it, serve it.
    ///
    /// # Panics
    ///
    /// If a [`refusal`](Self::refusal) is one that no command has.
    #[track_caller]
    pub fn build(mut self) -> Router {
        for (name, is_of) in &self.hooks {
            assert!(
                self.commands.iter().any(is_of),
                "no command with a route is refused with `{name}`: remove its `refusal`, or add the `commands`"
            );
        }
        if let Some((title, version)) = self.openapi {
            let document = openapi::document(&title, &version, &self.documented, self.app.requires_keys);
            self.routes
                .add(Method::GET, "/openapi.json".to_owned(), openapi::handler(&document));
        }
        let (signal, stopped) = (self.app.ends, self.app.runtime.stopped());
        self.app.ends = select(signal, stopped.boxed()).map(drop).boxed().shared();
        if !self.followed.is_empty() {
            self.app.tail = Some(Tail::new(self.app.runtime.clone(), self.followed));
        }
        self.routes.into_router(Arc::new(self.app))
    }
}

#[track_caller]
fn check_collection(path: &str) {
    let mut parts = path.split('/');
    assert!(
        parts.next() == Some("")
            && parts.clone().next().is_some()
            && parts.all(|part| !part.is_empty() && !part.contains(['{', '}'])),
        "`{path}` is not the path of a collection: write one like `/accounts`, and nest the router for more"
    );
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}
