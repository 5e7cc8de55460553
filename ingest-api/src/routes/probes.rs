//! What machines and newcomers ask first.

use crate::{call::Call, json, metric_names, openapi::shapes, problem::Problem};
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
    match call.shop.ports.health.failure() {
        None if !call.shop.waiters.is_closed() => {
            json::answer(StatusCode::OK, &Status { status: "OK" })
        }
        None => Err(Problem::new(Code::Unavailable).detail("outcomes cannot be read")),
        Some(failure) => Err(Problem::new(Code::Unavailable).detail(failure)),
    }
}

/// `GET /readyz`: whether requests should come here.
pub(crate) async fn readyz(call: Call) -> Result<Response, Problem> {
    if call.shop.ports.health.is_ready() {
        return healthz(call).await;
    }
    Err(Problem::new(Code::Unavailable).detail("the lanes have not caught up yet"))
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Result<Response, Problem> {
    let gauge = |name, value: usize| {
        // Exact below 2^32, which is far above the limits of what is counted here.
        metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    };
    gauge(metric_names::IN_FLIGHT, call.shop.admission.inside());
    gauge(metric_names::WAITERS, call.shop.waiters.seated());
    let text = (call.shop.ports.render_metrics)();
    Ok(plain(text, "text/plain; version=0.0.4; charset=utf-8"))
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
