//! Probes and metrics of a process that serves no API.

use crate::{
    Health, Limits, call::Voice, minted::Minted, problem::Problem, routes::probes,
    server::serve_router,
};
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What is asked.
#[derive(Clone)]
struct Probed {
    health: Arc<dyn Health>,
    render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    minted: Arc<Minted>,
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `shutdown` is ready. They tell nothing about
/// anybody, so any address will do.
pub async fn serve_probes(
    listener: TcpListener,
    health: Arc<dyn Health>,
    render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    shutdown: impl Future<Output = ()>,
) {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Probed { health, render_metrics, minted: Arc::default() });
    serve_router(listener, router, Limits::default(), shutdown).await;
}

async fn healthz(State(probed): State<Probed>, headers: HeaderMap) -> Response {
    probed.say(probes::alive(&*probed.health), &headers)
}

async fn readyz(State(probed): State<Probed>, headers: HeaderMap) -> Response {
    let ready = match probed.health.is_ready() {
        true => probes::alive(&*probed.health),
        false => Err(probes::not_ready()),
    };
    probed.say(ready, &headers)
}

async fn metrics(State(probed): State<Probed>) -> Response {
    probes::exposition((probed.render_metrics)())
}

impl Probed {
    fn say(&self, answer: Result<Response, Problem>, headers: &HeaderMap) -> Response {
        answer.unwrap_or_else(|problem| problem.respond(&Voice::of(headers, &self.minted)))
    }
}
