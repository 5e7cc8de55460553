//! What machines and newcomers ask first.

use crate::{Health, call::Call, json, metric_names, openapi::shapes, problem::Problem};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jupan_schemas::Code;
use serde::Serialize;
use utoipa::ToSchema;

/// How it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    #[schema(value_type = shapes::Fine)]
    status: &'static str,
}

/// `GET /healthz`: whether the process works, or should be restarted.
pub(crate) async fn healthz(call: Call) -> Result<Response, Problem> {
    match call.shop.waiters.is_closed() {
        false => alive(&*call.shop.ports.health),
        true => Err(Problem::new(Code::Unavailable).detail("outcomes cannot be read")),
    }
}

/// `GET /readyz`: whether requests should come here.
pub(crate) async fn readyz(call: Call) -> Result<Response, Problem> {
    match call.shop.ports.health.is_ready() {
        true => healthz(call).await,
        false => Err(not_ready()),
    }
}

/// Whether nothing has failed for good.
pub(crate) fn alive(health: &dyn Health) -> Result<Response, Problem> {
    match health.failure() {
        None => json::answer(StatusCode::OK, &Status { status: "OK" }),
        Some(failure) => Err(Problem::new(Code::Unavailable).detail(failure)),
    }
}

pub(crate) fn not_ready() -> Problem {
    Problem::new(Code::Unavailable).detail("the shop has not caught up yet")
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Result<Response, Problem> {
    let gauge = |name, value: usize| {
        // Exact below 2^32, which is far above the limits of what is counted here.
        metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    };
    gauge(metric_names::IN_FLIGHT, call.shop.admission.inside());
    gauge(metric_names::WAITERS, call.shop.waiters.seated());
    Ok(exposition((call.shop.ports.render_metrics)()))
}

/// Metrics as Prometheus reads them.
pub(crate) fn exposition(text: String) -> Response {
    plain(text, "text/plain; version=0.0.4; charset=utf-8")
}

/// `GET /`, without HTML
pub(crate) async fn hint(call: Call) -> Result<Response, Problem> {
    let text = crate::hint::hint(&call.shop.ports.base_url, call.shop.ports.is_demo);
    Ok(plain(text, "text/plain; charset=utf-8"))
}

fn plain(text: String, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
