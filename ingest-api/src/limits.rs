//! Every bound of this crate.

/// Longest wait that `Prefer: wait=N` gets, in seconds.
pub(crate) const WAIT_S_MAX: u64 = 30;
/// Items of a list's page, if the caller does not say.
pub(crate) const LIST_LIMIT_DEFAULT: usize = 50;
/// Most items of a list's page.
pub(crate) const LIST_LIMIT_MAX: usize = 500;
/// Orders that are read at once for a page of them.
pub(crate) const ORDERS_READ_MAX: usize = 50;
/// A page of orders ends with the one that brings it to so many items.
pub(crate) const ORDERS_ITEMS_MAX: usize = 5_000;
/// Days of the best sellers' window, if the caller does not say.
pub(crate) const TOP_DAYS_DEFAULT: u32 = 3;
/// Ranks of the best sellers, if the caller does not say.
pub(crate) const TOP_LIMIT_DEFAULT: u32 = 5;
/// Most characters of a caller's field name that a problem repeats.
pub(crate) const ECHO_CHARS_MAX: usize = 64;

/// How much a server takes on at once, and how long it has patience.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most requests whose command is being appended or whose outcome is awaited; so also most
    /// waiters.
    pub in_flight_max: usize,
    /// Most open connections; more wait in the listener's backlog.
    pub connections_max: u32,
    /// Largest body.
    pub body_bytes_max: usize,
    /// Most headers of a request.
    pub headers_max: usize,
    /// Most bytes of a request's line and headers.
    pub header_bytes_max: usize,
    /// From a request's first byte to the end of its headers.
    pub header_timeout_ms: u64,
    /// From the end of the headers to the end of the body.
    pub body_timeout_ms: u64,
    /// How long a connection may stay open without a request.
    pub idle_timeout_ms: u64,
    /// How long a response may wait for a client that does not read.
    pub write_timeout_ms: u64,
    /// How long a request goes on whose client has ended its side of the connection: it may wait
    /// for the answer, or be gone.
    pub half_closed_timeout_ms: u64,
    /// How long running requests may take once the server was told to stop.
    pub drain_timeout_ms: u64,
    /// After this time without an answer of the log the outcome of an append is unknown.
    pub append_timeout_ms: u64,
    /// How long a write other than an order waits for its outcome, if the caller does not say.
    pub outcome_wait_ms: u64,
    /// How long a read waits for an id that is not known (yet).
    pub absent_wait_ms: u64,
    /// Pause between two looks at the store by a read that waits.
    pub look_interval_ms: u64,
    /// Least amount of a charge. This and what follows is told in the API's document; the lanes
    /// hold to it.
    pub charge_min: i64,
    /// Most of one charge.
    pub charge_max: i64,
    /// Most units of a line.
    pub line_units_max: i64,
    /// Most lines of an order.
    pub order_lines_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_max: 16_384,
            connections_max: 4_096,
            body_bytes_max: 64 * 1024,
            headers_max: 64,
            header_bytes_max: 16 * 1024,
            header_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            write_timeout_ms: 10_000,
            half_closed_timeout_ms: 1_000,
            drain_timeout_ms: 5_000,
            append_timeout_ms: 10_000,
            outcome_wait_ms: 2_000,
            absent_wait_ms: 1_000,
            look_interval_ms: 25,
            charge_min: 1,
            charge_max: 10_000_000,
            line_units_max: 10_000,
            order_lines_max: 500,
        }
    }
}
