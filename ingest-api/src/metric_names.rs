//! The names of this crate's metrics, in one place.

/// Counter: requests answered, by `route` and `status`.
pub const REQUESTS: &str = "jupan_http_requests_total";
/// Histogram: seconds from a request's headers to its answer, by `route`.
pub const REQUEST_SECONDS: &str = "jupan_http_request_seconds";
/// Counter: appends of commands, by `outcome`.
pub const APPENDS: &str = "jupan_http_appends_total";
/// Gauge: requests with commands that are not yet answered.
pub const IN_FLIGHT: &str = "jupan_http_in_flight";
/// Gauge: requests that wait for an outcome.
pub const WAITERS: &str = "jupan_http_waiters";
