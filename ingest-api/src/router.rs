//! The table of routes, and what happens around each of them: query check, trace, metrics, and an
//! answer even if the route's code panics.

use crate::{
    call::{Call, TRACE_ID, Voice},
    metric_names,
    problem::Problem,
    query::Parameters,
    routes::{balance, commands, orders, probes, products, users},
    shop::Shop,
};
use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::Response,
    routing::{get, patch, post},
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
    const NONE: &[&str] = &[];
    Router::new()
        .route("/users", post(at("POST /users", NONE, users::register)))
        .route("/users/{id}", get(at("GET /users/{id}", NONE, users::read)))
        .route("/balance", get(at("GET /balance", &["userId"], balance::read)))
        .route("/balance/charge", post(at("POST /balance/charge", NONE, balance::charge)))
        .route(
            "/balance/entries",
            get(at("GET /balance/entries", &["userId", "cursor", "limit"], balance::entries)),
        )
        .route(
            "/products",
            post(at("POST /products", NONE, products::register)).get(at(
                "GET /products",
                &["cursor", "limit"],
                products::list,
            )),
        )
        .route(
            "/products/top",
            get(at("GET /products/top", &["days", "limit", "asOf"], products::top)),
        )
        .route(
            "/products/{id}",
            patch(at("PATCH /products/{id}", NONE, products::change)).get(at(
                "GET /products/{id}",
                NONE,
                products::read,
            )),
        )
        .route(
            "/products/{id}/restock",
            post(at("POST /products/{id}/restock", NONE, products::restock)),
        )
        .route("/order", post(at("POST /order", NONE, orders::place)))
        .route("/order/{id}", get(at("GET /order/{id}", &["at"], orders::read)))
        .route("/order/{id}/history", get(at("GET /order/{id}/history", NONE, orders::history)))
        .route("/commands/{id}", get(at("GET /commands/{id}", &["at"], commands::read)))
        .merge(probe_routes())
        .fallback(at_any("unknown", nowhere))
        .method_not_allowed_fallback(at_any("not allowed", not_allowed))
        .with_state(Arc::clone(shop))
}

/// Those that whoever watches the process calls, with whatever parameters.
fn probe_routes() -> Router<Arc<Shop>> {
    Router::new()
        .route("/", get(at_any("GET /", probes::hint)))
        .route("/healthz", get(at_any("GET /healthz", probes::healthz)))
        .route("/readyz", get(at_any("GET /readyz", probes::readyz)))
        .route("/metrics", get(at_any("GET /metrics", probes::metrics)))
}

async fn nowhere(_: Call) -> Result<Response, Problem> {
    Err(Problem::new(Code::RouteNotFound))
}

async fn not_allowed(_: Call) -> Result<Response, Problem> {
    Err(Problem::new(Code::MethodNotAllowed))
}

/// A route that knows these query parameters and no others.
fn at<F>(name: &'static str, parameters: &'static [&'static str], run: F) -> Route<F> {
    Route { parameters: Some(parameters), meters: Meters::new(name), run }
}

/// A route that ignores its query.
fn at_any<F>(name: &'static str, run: F) -> Route<F> {
    Route { parameters: None, meters: Meters::new(name), run }
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
        let voice = Voice::of(&parts.headers, &shop);
        let span = tracing::debug_span!(
            "request",
            route = self.meters.route,
            trace_id = voice.trace_text(),
            command_id = field::Empty,
        );
        let query = match self.parameters {
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
        response.headers_mut().insert(TRACE_ID, voice.trace_header());
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
