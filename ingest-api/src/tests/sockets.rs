//! The server over real sockets: slow, silent, huge and vanishing clients, panics, and the drain.

use super::{
    lane::{Hand, outcome},
    rig::{ORDER, Rig},
};
use crate::{Drained, Limits, serve};
use jupan_schemas::{Code, Money, Outcome, Role};
use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// A running server.
struct Served {
    rig: Rig,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Drained>,
}

async fn start(limits: Limits) -> Served {
    let rig = Rig::with(limits, true);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let api = crate::Api { shop: std::sync::Arc::clone(&rig.api.shop) };
    let server = tokio::spawn(serve(listener, api, async {
        stopped.await.ok();
    }));
    Served { rig, address, stop, server }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    async fn stop(self) -> Drained {
        self.stop.send(()).expect("a running server");
        self.server.await.expect("no panic")
    }
}

/// Everything that comes until the server closes; panics if it does not within ten seconds.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    let _ = read.expect("the server closes in time");
    String::from_utf8(bytes).expect("text")
}

/// One answer with a body of known length.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.and_then(|text| text.parse().ok()) <= Some(body.len()) {
                return text;
            }
        }
        let read = timeout(Duration::from_secs(10), stream.read_buf(&mut bytes)).await;
        assert_ne!(read.expect("in time").expect("no error"), 0, "closed after {text:?}");
    }
}

async fn get(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a write");
    one_answer(stream).await
}

fn post(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_pipelines() {
    let served = start(Limits::default()).await;
    let mut stream = served.connect().await;
    for _ in 0..3 {
        assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
    }
    let two = format!("{}{ORDER}", post("/order", ORDER.len())).repeat(2);
    stream.write_all(two.as_bytes()).await.expect("a write");
    let mut text = String::new();
    while text.matches("HTTP/1.1 202 Accepted").count() < 2 {
        text += &one_answer(&mut stream).await;
    }
    assert_eq!(served.rig.appended(), 2);
    drop(stream);
    assert_eq!(served.stop().await, Drained::Complete);
}

#[tokio::test]
async fn slow_headers_are_cut_off() {
    let limits = Limits { header_timeout_ms: 100, idle_timeout_ms: 60_000, ..Limits::default() };
    let served = start(limits).await;
    // One after a served request, too: what counts is the time from the header's first byte.
    let mut used = served.connect().await;
    let mut fresh = served.connect().await;
    for _ in 0..2 {
        // Longer between two requests than the headers may take.
        get(&mut used, "/healthz").await;
        sleep(Duration::from_millis(200)).await;
    }
    for stream in [&mut used, &mut fresh] {
        let begun = Instant::now();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.expect("a write");
        let mut trickle = 0;
        while begun.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(20)).await;
            if stream.write_all(b"a: b\r\n").await.is_err() {
                break;
            }
            trickle += 1;
        }
        assert!((1..100).contains(&trickle), "cut off after {trickle} trickles");
    }
    let mut other = served.connect().await;
    assert!(get(&mut other, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let limits = Limits { idle_timeout_ms: 100, ..Limits::default() };
    let served = start(limits).await;
    let mut silent = served.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    let mut used = served.connect().await;
    get(&mut used, "/healthz").await;
    assert_eq!(rest(&mut used).await, "");
}

#[tokio::test]
async fn slow_bodies_time_out() {
    let limits = Limits { body_timeout_ms: 100, ..Limits::default() };
    let served = start(limits).await;
    let mut stream = served.connect().await;
    let request = format!("{}{{\"userId\"", post("/order", ORDER.len()));
    stream.write_all(request.as_bytes()).await.expect("a write");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"TIMEOUT""#), "{answer}");
    assert_eq!(served.rig.appended(), 0);
}

#[tokio::test]
async fn huge_bodies_and_headers_are_refused() {
    let served = start(Limits::default()).await;
    let mut stream = served.connect().await;
    let huge = 10 * 1024 * 1024;
    stream.write_all(post("/order", huge).as_bytes()).await.expect("a write");
    let (mut reader, mut writer) = stream.into_split();
    let flood = tokio::spawn(async move { writer.write_all(&vec![b' '; huge]).await.is_ok() });
    let mut answer = [0; 512];
    let length = reader.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(!flood.await.expect("no panic"), "the server does not read it");

    let mut stream = served.connect().await;
    let chunked = "POST /order HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n";
    stream.write_all(chunked.as_bytes()).await.expect("a write");
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000)).repeat(5);
    stream.write_all(chunk.as_bytes()).await.ok();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413 "));

    for headers in ["a: b\r\n".repeat(100), format!("a: {}\r\n", "b".repeat(20_000))] {
        let mut stream = served.connect().await;
        let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.ok();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(served.rig.appended(), 0);
    let mut other = served.connect().await;
    assert!(get(&mut other, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let limits = Limits { write_timeout_ms: 100, ..Limits::default() };
    let served = start(limits).await;
    let mut stream = served.connect().await;
    // Answers fill the socket's buffers, and the client never takes one out.
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    let flood = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_secs(10), flood).await.expect("the server hangs up");
}

#[tokio::test]
async fn who_has_said_its_last_is_answered_if_that_is_soon() {
    let limits = Limits { half_closed_timeout_ms: 200, ..Limits::default() };
    let served = start(limits).await;
    for version in ["1.0", "1.1"] {
        let mut stream = served.connect().await;
        let request = format!("GET /healthz HTTP/{version}\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a write");
        stream.shutdown().await.expect("half of it is closed");
        let answer = rest(&mut stream).await;
        assert!(answer.contains(" 200 OK") && answer.ends_with('}'), "{answer}");
    }
    // Nobody decides this charge: its asker, who may be gone, is waited with for a moment only.
    let mut hand = Hand::open(&served.rig, Role::Users);
    let charge = r#"{"userId":1,"amount":5}"#;
    let mut stream = served.connect().await;
    let request =
        post("/balance/charge", charge.len()).replace("\r\n\r\n", "\r\nprefer: wait=30\r\n\r\n");
    stream.write_all(format!("{request}{charge}").as_bytes()).await.expect("a write");
    hand.user_command().await;
    let begun = Instant::now();
    stream.shutdown().await.expect("half of it is closed");
    assert_eq!(rest(&mut stream).await, "");
    let took = begun.elapsed();
    assert!((200..5_000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(served.stop().await, Drained::Complete);
}

#[tokio::test]
async fn a_host_is_named_once() {
    let served = start(Limits::default()).await;
    for (version, hosts, status) in [
        ("1.1", "", 400),
        ("1.1", "host: a\r\nhost: a\r\n", 400),
        ("1.1", "host:\r\n", 200),
        ("1.0", "", 200),
        ("1.0", "host: a\r\nhost: b\r\n", 400),
    ] {
        for path in ["/healthz", "/products"] {
            let mut stream = served.connect().await;
            let request = format!("GET {path} HTTP/{version}\r\n{hosts}\r\n");
            stream.write_all(request.as_bytes()).await.expect("a write");
            let answer = one_answer(&mut stream).await;
            assert!(answer.contains(&format!(" {status} ")), "{version} {hosts}: {answer}");
            assert_eq!(answer.contains(r#""field":"Host""#), status == 400, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_thousand_idle_connections_are_in_nobodys_way() {
    let served = start(Limits::default()).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(served.connect().await);
    }
    let mut stream = served.connect().await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(stream);
    assert_eq!(served.stop().await, Drained::Complete, "idle connections end at once");
    for mut stream in idle {
        assert_eq!(rest(&mut stream).await, "");
    }
}

#[tokio::test]
async fn beyond_its_connections_the_server_lets_wait() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let served = start(limits).await;
    let mut first = served.connect().await;
    get(&mut first, "/healthz").await;
    let mut second = served.connect().await;
    let waiting = timeout(Duration::from_millis(100), get(&mut second, "/healthz")).await;
    assert!(waiting.is_err(), "{waiting:?}");
    drop(first);
    assert!(one_answer(&mut second).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_panic_ends_one_request_only() {
    let served = start(Limits::default()).await;
    let mut stream = served.connect().await;
    served.rig.health.panics.store(true, Ordering::SeqCst);
    let answer = get(&mut stream, "/healthz").await;
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains(r#""code":"INTERNAL""#),
        "{answer}"
    );
    served.rig.health.panics.store(false, Ordering::SeqCst);
    assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_drain_finishes_what_was_begun() {
    let served = start(Limits::default()).await;
    let mut hand = Hand::open(&served.rig, Role::Users);
    let charge = r#"{"userId":1,"amount":5}"#;
    let mut stream = served.connect().await;
    let request = format!("{}{charge}", post("/balance/charge", charge.len()));
    stream.write_all(request.as_bytes()).await.expect("a write");
    let asked = hand.user_command().await;
    let (address, stop) = (served.address, served.stop);
    stop.send(()).expect("a running server");
    sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
    hand.finish(&asked, Outcome { balance: Some(Money(5)), ..outcome(Code::Ok) });
    let answer = rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"userId":1,"balance":5}"#),
        "{answer}"
    );
    assert_eq!(served.server.await.expect("no panic"), Drained::Complete);
}

#[tokio::test]
async fn a_drain_ends_even_if_requests_do_not() {
    let limits = Limits { drain_timeout_ms: 50, outcome_wait_ms: 20_000, ..Limits::default() };
    let served = start(limits).await;
    let mut hand = Hand::open(&served.rig, Role::Users);
    let charge = r#"{"userId":1,"amount":5}"#;
    let mut stream = served.connect().await;
    let request = format!("{}{charge}", post("/balance/charge", charge.len()));
    stream.write_all(request.as_bytes()).await.expect("a write");
    hand.user_command().await;
    assert_eq!(served.stop().await, Drained::CutOff { connections: 1 });
    assert_eq!(rest(&mut stream).await, "");
}
