//! The routes, as a table: which methods a path has.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_core::future::BoxFuture;

use crate::Problem;
use crate::app::App;
use crate::call::{Call, Echo};

/// Answers a request.
pub(crate) type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Response, Problem>> + Send + Sync>;

/// A path with its methods. Parts of it in braces stand for anything.
struct Route {
    path: String,
    methods: Vec<(Method, Handler)>,
}

impl Route {
    /// Returns whether each path of `other` is one of this.
    fn covers(&self, other: &Self) -> bool {
        let (ours, theirs): (Vec<_>, Vec<_>) = (self.path.split('/').collect(), other.path.split('/').collect());
        ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .all(|(ours, theirs)| ours.starts_with('{') || *ours == theirs)
    }

    fn handler(&self, method: &Method) -> Option<&Handler> {
        let of = |wanted: &Method| {
            self.methods
                .iter()
                .find(|(method, _)| method == wanted)
                .map(|(_, handler)| handler)
        };
        of(method).or_else(|| if method == Method::HEAD { of(&Method::GET) } else { None })
    }
}

#[derive(Default)]
pub(crate) struct Routes(Vec<Route>);

impl Routes {
    /// Adds a route.
    ///
    /// # Panics
    ///
    /// If it is there already.
    #[track_caller]
    pub(crate) fn add(&mut self, method: Method, path: String, handler: Handler) {
        let index = self.0.iter().position(|route| route.path == path).unwrap_or_else(|| {
            self.0.push(Route {
                path: path.clone(),
                methods: Vec::new(),
            });
            self.0.len() - 1
        });
        let methods = &mut self.0[index].methods;
        assert!(
            methods.iter().all(|(other, _)| *other != method),
            "two routes are `{method} {path}`: give one of them another path"
        );
        methods.push((method, handler));
    }

    pub(crate) fn into_router(mut self, app: Arc<App>) -> Router {
        self.fill();
        let fallback = async || Problem::new(404, "not-found").detail("there is no such route");
        let router = Router::new().fallback(fallback);
        self.0.into_iter().fold(router, |router, route| {
            let (path, route, app) = (route.path.clone(), Arc::new(route), Arc::clone(&app));
            let answer = move |request| answer(Arc::clone(&app), Arc::clone(&route), request);
            router.route(&path, any(answer))
        })
    }

    /// A router stops at the path that fits best, so that one has all methods of those that fit less.
    fn fill(&mut self) {
        for index in 0..self.0.len() {
            let route = &self.0[index];
            let covering = self
                .0
                .iter()
                .filter(|other| other.path != route.path && other.covers(route));
            let inherited: Vec<_> = covering.flat_map(|other| other.methods.clone()).collect();
            let own = &mut self.0[index].methods;
            for (method, handler) in inherited {
                if own.iter().all(|(other, _)| *other != method) {
                    own.push((method, handler));
                }
            }
        }
    }
}

async fn answer(app: Arc<App>, route: Arc<Route>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(handler) = route.handler(&parts.method) else {
        let methods: Vec<_> = route.methods.iter().map(|(method, _)| method.as_str()).collect();
        let methods = methods.join(", ");
        let problem = Problem::new(405, "method-not-allowed").detail(format!("this path has {methods}"));
        let mut response = problem.into_response();
        response
            .headers_mut()
            .extend(HeaderValue::from_str(&methods).map(|methods| (header::ALLOW, methods)));
        return response;
    };
    let actor = match app.actor(&parts) {
        Ok(actor) => actor,
        Err(response) => return *response,
    };
    let echo = Echo::of(&parts);
    let call = Call {
        app,
        actor,
        parts,
        body,
    };
    echo.onto(handler(call).await.into_response())
}
