//! Probes, metrics, and pages.

use super::Operation;
use crate::{openapi::parameters::shared, routes::probes};
use axum::http::StatusCode;
use jupan_schemas::Code;

const TAG: &str = "service";

pub(super) fn calls() -> Vec<Operation> {
    vec![healthz(), readyz(), metrics(), document(), docs(), page()]
}

fn healthz() -> Operation {
    Operation::page("GET /healthz", "readHealth", TAG)
        .about("Whether the process works", "503: restart it. The detail says what is wrong.")
        .answers::<probes::Status>(StatusCode::OK, "It works.", &[])
        .refuses(&[Code::Unavailable])
}

fn readyz() -> Operation {
    Operation::page("GET /readyz", "readReadiness", TAG)
        .about("Whether requests should come here", "503 until every lane has caught up.")
        .answers::<probes::Status>(StatusCode::OK, "It is ready.", &[])
        .refuses(&[Code::Unavailable])
}

fn metrics() -> Operation {
    Operation::page("GET /metrics", "readMetrics", TAG)
        .about("Metrics of the process", "In the text format of Prometheus.")
        .answers_as(StatusCode::OK, "All metrics.", &[], &[("text/plain", "string")])
}

fn document() -> Operation {
    Operation::page("GET /openapi.json", "readDocument", TAG)
        .about("This document", "OpenAPI 3.1, generated from the code that answers.")
        .takes([shared("IfNoneMatch")])
        .answers_as(StatusCode::OK, "The document.", &["ETag"], &[("application/json", "object")])
        .answers_bare(StatusCode::NOT_MODIFIED, "You have it.", &["ETag"])
}

fn docs() -> Operation {
    Operation::page("GET /docs", "readDocs", TAG)
        .about("This document, to read and to try", "Swagger UI, from this server alone.")
        .takes([shared("IfNoneMatch")])
        .answers_as(StatusCode::OK, "The page.", &["ETag"], &[("text/html", "string")])
        .answers_bare(StatusCode::NOT_MODIFIED, "You have it.", &["ETag"])
}

fn page() -> Operation {
    Operation::page("GET /", "readPage", TAG)
        .about(
            "The shop as a page",
            "For those who take HTML; for others, such as curl, a few lines to try first.",
        )
        .takes([shared("IfNoneMatch")])
        .answers_as(
            StatusCode::OK,
            "The page.",
            &["ETagIfAny", "Vary"],
            &[("text/html", "string"), ("text/plain", "string")],
        )
        .answers_bare(StatusCode::NOT_MODIFIED, "You have it.", &["ETag", "Vary"])
}
