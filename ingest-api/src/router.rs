//! The table of routes, and what happens around each of them: query check, trace, metrics, and an
//! answer even if the route's code panics.

use crate::{
    call::{Call, TRACE_ID, Voice},
    docs, metric_names,
    problem::Problem,
    query::Parameters,
    routes::{balance, cart, commands, order_changes, orders, probes, products, users, web},
    server::NoHost,
    shop::Shop,
};
use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderValue, Method, header::CACHE_CONTROL},
    response::Response,
    routing::{MethodFilter, on},
};
use jupan_schemas::Code;
use metrics::{Counter, Histogram};
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::Poll,
    time::Instant,
};
use tracing::{Instrument, field};

/// All routes.
pub(crate) fn build(shop: &Arc<Shop>) -> Router {
    let routes = table().router;
    routes
        .fallback(route("unknown", None, nowhere))
        .method_not_allowed_fallback(route("not allowed", None, not_allowed))
        .with_state(Arc::clone(shop))
}

/// Every call: what it is named, which query parameters it knows, and its code.
#[rustfmt::skip]
pub(crate) fn table() -> Table {
    const NONE: &[&str] = &[];
    Table::default()
        .call("POST /users", NONE, users::register)
        .call("GET /users/{id}", NONE, users::read)
        .call("GET /balance", &["userId"], balance::read)
        .call("POST /balance/charge", NONE, balance::charge)
        .call("GET /balance/entries", &["userId", "cursor", "limit"], balance::entries)
        .call("POST /products", NONE, products::register)
        .call("GET /products", &["cursor", "limit"], products::list)
        .call("GET /products/top", &["days", "limit", "asOf"], products::top)
        .call("PATCH /products/{id}", NONE, products::change)
        .call("GET /products/{id}", NONE, products::read)
        .call("POST /products/{id}/restock", NONE, products::restock)
        .call("POST /order", NONE, orders::place)
        .call("GET /order", &["userId", "cursor", "limit"], orders::list)
        .call("GET /order/{id}", &["at"], orders::read)
        .call("GET /order/{id}/history", NONE, orders::history)
        .call("POST /order/{id}/payment", NONE, order_changes::pay)
        .call("POST /order/{id}/cancel", NONE, order_changes::cancel)
        .call("POST /order/{id}/refund", NONE, order_changes::refund)
        .call("GET /cart", &["userId"], cart::read)
        .call("POST /cart/add", NONE, cart::add)
        .call("DELETE /cart/remove", &["userId", "productId", "quantity"], cart::remove)
        .call("GET /commands/{id}", &["at"], commands::read)
        // Whoever watches the process, or just looks around, calls these with whatever parameters.
        .page("GET /", web::page)
        .page("GET /web/{file}", web::file)
        .page("GET /healthz", probes::healthz)
        .page("GET /readyz", probes::readyz)
        .page("GET /metrics", probes::metrics)
        .page("GET /openapi.json", docs::document)
        .page("GET /docs", docs::index)
        .page("GET /docs/", docs::index)
        .page("GET /docs/{file}", docs::file)
}

/// Routes as they are added: to the router, and to a list that others are compared with.
#[derive(Default)]
pub(crate) struct Table {
    router: Router<Arc<Shop>>,
    pub(crate) listed: Vec<Listed>,
}

/// A route's name, and the query parameters that it knows; `None`: it ignores its query.
pub(crate) type Listed = (&'static str, Option<&'static [&'static str]>);

impl Table {
    /// A route that knows these query parameters and no others.
    fn call<F, R>(self, name: &'static str, parameters: &'static [&'static str], run: F) -> Self
    where
        F: FnOnce(Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        self.add((name, Some(parameters)), run)
    }

    /// A route that ignores its query.
    fn page<F, R>(self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        self.add((name, None), run)
    }

    /// The name is the method and the path.
    fn add<F, R>(mut self, (name, parameters): Listed, run: F) -> Self
    where
        F: FnOnce(Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let (method, path) = name.split_once(' ').expect("a method and a path");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let method = MethodFilter::try_from(method).expect("a method that routes can have");
        self.router = self.router.route(path, on(method, route(name, parameters, run)));
        self.listed.push((name, parameters));
        self
    }
}

async fn nowhere(_: Call) -> Result<Response, Problem> {
    Err(Problem::new(Code::RouteNotFound))
}

async fn not_allowed(_: Call) -> Result<Response, Problem> {
    Err(Problem::new(Code::MethodNotAllowed))
}

fn route<F>(name: &'static str, parameters: Option<&'static [&'static str]>, run: F) -> Route<F> {
    Route { parameters, meters: Meters::new(name), run }
}

/// A route's code and its surroundings. One boxed future a request holds all of it; layers would
/// box each.
#[derive(Clone)]
struct Route<F> {
    parameters: Option<&'static [&'static str]>,
    meters: Arc<Meters>,
    run: F,
}

impl<F, R> Handler<(), Arc<Shop>> for Route<F>
where
    F: FnOnce(Call) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, shop: Arc<Shop>) -> Self::Future {
        Box::pin(self.respond(request, shop))
    }
}

impl<F, R> Route<F>
where
    F: FnOnce(Call) -> R,
    R: Future<Output = Result<Response, Problem>>,
{
    async fn respond(self, request: Request, shop: Arc<Shop>) -> Response {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let voice = Voice::of(&parts.headers, &shop.minted);
        let span = tracing::debug_span!(
            "request",
            route = self.meters.route,
            trace_id = voice.trace_text(),
            command_id = field::Empty,
        );
        let query = match self.parameters {
            _ if parts.extensions.get::<NoHost>().is_some() => {
                Err(Problem::new(Code::Malformed).field("Host").detail("must be given once"))
            }
            Some(known) => Parameters::of(&parts.uri, known),
            None => Ok(Parameters::default()),
        };
        let answer = match query {
            Ok(query) => {
                let call = Call::new(shop, voice.clone(), query, (parts, body));
                unless_it_panics((self.run)(call)).instrument(span).await
            }
            Err(problem) => Err(problem),
        };
        let mut response = answer.unwrap_or_else(|problem| problem.respond(&voice));
        let headers = response.headers_mut();
        headers.insert(TRACE_ID, voice.trace_header());
        // Stock is live and orders are private: only what says so itself may be kept on the way.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        self.meters.count(&response, begun);
        response
    }
}

/// A panic is a bug in one route and ends one request only.
async fn unless_it_panics(
    run: impl Future<Output = Result<Response, Problem>>,
) -> Result<Response, Problem> {
    let mut run = pin!(run);
    poll_fn(|context| {
        // What a panic leaves half done is dropped with the request; shared state is behind locks
        // that do not poison.
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => {
                tracing::error!("a route panicked");
                Poll::Ready(Err(Problem::new(Code::Internal)))
            }
        }
    })
    .await
}

/// Statuses that are counted under their own name: all that this server answers with.
const STATUSES: [u16; 18] =
    [200, 201, 202, 304, 400, 402, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503, 504];

/// A route's metrics, looked up once.
struct Meters {
    route: &'static str,
    seconds: Histogram,
    requests: [OnceLock<Counter>; STATUSES.len() + 1],
}

impl Meters {
    fn new(route: &'static str) -> Arc<Self> {
        let seconds = metrics::histogram!(metric_names::REQUEST_SECONDS, "route" => route);
        Arc::new(Self { route, seconds, requests: Default::default() })
    }

    fn count(&self, response: &Response, begun: Instant) {
        let status = response.status().as_u16();
        let at = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        let register = || {
            let status = STATUSES.get(at).map_or_else(|| "other".to_owned(), u16::to_string);
            metrics::counter!(metric_names::REQUESTS, "route" => self.route, "status" => status)
        };
        self.requests[at].get_or_init(register).increment(1);
        self.seconds.record(begun.elapsed().as_secs_f64());
    }
}
