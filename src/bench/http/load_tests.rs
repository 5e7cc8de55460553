//! Orders as they go out, and what comes of a server that fails.

use super::*;
use serde_json::Value;
use std::collections::HashSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Takes a request apart: its key and its body.
fn parts(request: &[u8]) -> (String, Value) {
    let text = std::str::from_utf8(request).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).expect("it");
    assert_eq!(header("content-length: ").parse(), Ok(body.len()));
    assert!(head.starts_with("POST /order HTTP/1.1\r\n"));
    (header("idempotency-key: ").to_owned(), serde_json::from_str(body).expect("JSON"))
}

#[test]
fn every_order_has_a_new_key_and_different_products() {
    for (users, products, lines, hot) in [
        (10_000, 1000, 3, false),
        (10, 500, 3, true),
        (1, 3, 3, true),
        (5, 100, 100, false),
        (5, 9, 1, true),
    ] {
        let shape = Shape { users, products, lines, hot };
        let mut keys = HashSet::new();
        let mut bought = HashSet::new();
        for number in 0..2 {
            let mut worker = Worker::new(NOWHERE, shape, 7, number);
            for _ in 0..6000 / lines {
                worker.write_request().expect("memory");
                let (key, body) = parts(&worker.request);
                assert!(keys.insert(key), "{shape:?}");
                assert!((1..=users).contains(&body["userId"].as_u64().expect("a user")));
                let items = body["items"].as_array().expect("items");
                let in_order: HashSet<_> =
                    items.iter().map(|item| item["productId"].as_u64().expect("an id")).collect();
                assert_eq!(in_order.len() as u64, lines, "{body}");
                assert!(in_order.iter().all(|id| (1..=products).contains(id)), "{body}");
                assert!(!hot || in_order.contains(&1), "{body}");
                let units =
                    |item: &Value| (1..=3).contains(&item["quantity"].as_u64().unwrap_or(0));
                assert!(items.iter().all(units), "{body}");
                bought.extend(in_order);
            }
        }
        let expected = if hot && lines == 1 { 1 } else { products };
        assert_eq!(bought.len() as u64, expected, "every product is bought: {shape:?}");
    }
}

/// Answers every third order with 503, closes the connection behind every fifth, and breaks every seventh.
async fn serve(mut stream: TcpStream, first: u64) {
    let mut bytes = Vec::new();
    for number in first.. {
        while !bytes.ends_with(b"}]}") {
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        }
        parts(&bytes);
        bytes.clear();
        let status = if number % 3 == 0 { "503 Service Unavailable" } else { "201 Created" };
        let close = if number % 5 == 0 { "connection: close\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status}\r\n{close}content-length: 2\r\n\r\n{{}}");
        let cut = if number % 7 == 0 { 9 } else { answer.len() };
        if stream.write_all(&answer.as_bytes()[..cut]).await.is_err()
            || cut == 9
            || !close.is_empty()
        {
            return;
        }
    }
}

#[tokio::test]
async fn faults_are_counted_and_survived() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut first = 1;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, first));
            first += 1;
        }
    });
    let shape = Shape { users: 10, products: 10, lines: 3, hot: false };
    let mut load = Load::new(address, shape, 4);
    for _ in 0..2 {
        let mut ended = false;
        let seen =
            load.run_and(Duration::from_millis(300), || ended = true).await.expect("a round");
        assert!(ended);
        assert!(seen.ok > 20 && seen.latencies.total() == seen.ok, "{} orders", seen.ok);
        let errors: Vec<_> = seen.errors.keys().map(String::as_str).collect();
        assert_eq!(errors, ["503", "unexpected end of file"]);
    }
    let mut nobody = Load::new(NOWHERE, shape, 2);
    let seen = nobody.run_and(Duration::from_millis(50), || ()).await.expect("a round");
    assert_eq!((seen.ok, seen.errors.contains_key("connection refused")), (0, true));
}
