//! A shop's start as its callers see it: when it listens, when it takes the first order, when it is
//! ready, when the first order is done.

use super::{Server, Shape, wire::Connection};
use anyhow::bail;
use serde::Serialize;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// A shop that is not back after so long is not coming.
const START_MAX: Duration = Duration::from_secs(3_600);

/// Milliseconds from just before the process was made.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Started {
    /// It listens.
    pub(crate) listening_ms: f64,
    /// The first order was accepted: 202 for one that does not wait, 201 for one that does.
    pub(crate) accepted_ms: f64,
    /// `/readyz` said so.
    pub(crate) ready_ms: f64,
    /// The first order was done: 201.
    pub(crate) done_ms: f64,
}

impl Started {
    /// The start in a few words.
    pub(crate) fn brief(&self) -> String {
        let Self { listening_ms, accepted_ms, ready_ms, done_ms } = self;
        format!(
            "listening after {listening_ms:.0} ms, first accepted order {accepted_ms:.0}, ready \
             {ready_ms:.0}, first done order {done_ms:.0}"
        )
    }
}

/// Watches a shop that has just begun to listen. It needs user 1 and the products of an order, or
/// places none that is done.
pub(super) async fn watch(server: &Server, shape: Shape) -> anyhow::Result<Started> {
    let address = server.address();
    let listening_ms = ms(server.age());
    let age_ms = || ms(server.age());
    let head = format!("host: {address}\r\n");
    let ready = format!("GET /readyz HTTP/1.1\r\n{head}\r\n");
    let at_once = order(shape, &format!("{head}prefer: respond-async\r\n"));
    let waited = order(shape, &format!("{head}prefer: wait=30\r\n"));
    let (accepted_ms, ready_ms, done_ms) = tokio::try_join!(
        first(address, &at_once, 202, age_ms),
        first(address, &ready, 200, age_ms),
        first(address, &waited, 201, age_ms),
    )?;
    let accepted_ms = accepted_ms.min(done_ms);
    Ok(Started { listening_ms, accepted_ms, ready_ms, done_ms })
}

/// An order of user 1, with a key of its own.
fn order(shape: Shape, headers: &str) -> String {
    let items = (1..=shape.lines.min(shape.products))
        .map(|product| format!("{{\"productId\":{product},\"quantity\":1}}"));
    let body = format!("{{\"userId\":1,\"items\":[{}]}}", items.collect::<Vec<_>>().join(","));
    let key = super::load::salt();
    format!(
        "POST /order HTTP/1.1\r\n{headers}content-type: application/json\r\n\
         idempotency-key: start-{key:x}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request until it is answered so.
async fn first(
    address: SocketAddr,
    request: &str,
    expected: u16,
    age_ms: impl Fn() -> f64,
) -> anyhow::Result<f64> {
    let (mut connection, start) = (Connection::new(address), Instant::now());
    let mut last = String::new();
    while start.elapsed() < START_MAX {
        last = match connection.exchange(request.as_bytes()).await {
            Ok(status) if status == expected => return Ok(age_ms()),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        tokio::time::sleep(PAUSE).await;
    }
    bail!("the shop does not answer {expected} but {last}")
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_at_a_start_is_a_new_one() {
        let shape = Shape { users: 1, products: 2, lines: 3, hot: false };
        let (one, two) = (order(shape, "host: x\r\n"), order(shape, "host: x\r\n"));
        assert_ne!(one, two);
        let (head, body) = one.split_once("\r\n\r\n").expect("a head");
        let expected =
            r#"{"userId":1,"items":[{"productId":1,"quantity":1},{"productId":2,"quantity":1}]}"#;
        assert_eq!(body, expected);
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }
}
