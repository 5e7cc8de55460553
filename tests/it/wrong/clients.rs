//! Clients that are too much, too slow, silent or gone.

use super::{
    answers::{Refused, refusal, refused},
    calls::CALLS,
    watched::Watched,
    wire::{Reply, Request, Wire},
};
use crate::shop::Client;
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Bytes of a body that nobody should send.
const HUGE: usize = 10 << 20;
/// What the shop may take more at most, whatever it is sent.
const MEMORY_KIB_MAX: u64 = 96 << 10;

fn charge(key: &str) -> Request {
    let body = json!({"userId": 2, "amount": 7}).to_string();
    Request::new("POST", "/balance/charge")
        .header("prefer", "wait=20")
        .header("idempotency-key", key)
        .body(body)
}

fn health() -> Request {
    Request::new("GET", "/healthz")
}

/// Reads and writes of somebody else, all answered in good time.
async fn check_others_are_served(shop: &Watched, key: &str) {
    let client = shop.client();
    let begun = Instant::now();
    for n in 0..20 {
        assert_eq!(client.get("/products/1").await.status, 200);
        let charged = client.charge(2, &format!("{key}-{n}"), 1).await;
        assert_eq!(charged.status, 200, "{charged:?}");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "40 requests took {took:?}");
}

fn as_chunks(body: &[u8]) -> Vec<u8> {
    let chunks = body
        .chunks(16 << 10)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    chunks.chain(*b"0\r\n\r\n").collect()
}

fn is_refused(reply: &Reply, expected: Refused<'_>) {
    let found = refusal(reply, false).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((found.0, found.1.as_str()), (expected.status, expected.code), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_bodies_are_refused_unread() {
    let shop = Watched::start(&[]).await;
    let (before, memory) = (shop.quiet_log().await, shop.memory_peak_kib());
    let blanks = vec![b' '; HUGE];
    let deep = [b"{\"userId\":".to_vec(), vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let too_large = refused(413, "PAYLOAD_TOO_LARGE");
    let mut count = 0;
    for call in CALLS.iter().filter(|call| !call.body.is_empty()) {
        for body in [&[call.good_body(), blanks.clone()].concat(), &deep] {
            let whole = call.keyed().body(body.clone());
            let mut in_chunks = call.keyed().header("transfer-encoding", "chunked");
            in_chunks = in_chunks.body(as_chunks(body));
            let mut asked = call.keyed().header("expect", "100-continue");
            asked = asked.header("content-length", body.len().to_string()).body(Vec::new());
            for request in [whole, in_chunks, asked] {
                let mut wire = shop.wire().await;
                let reply = wire.ask(&request).await.expect("an answer");
                is_refused(&reply, too_large);
                assert_eq!(reply.header("connection"), "close", "{}", call.route);
                assert!(wire.is_silent_to_the_end().await, "{}", call.route);
                count += 1;
            }
        }
    }
    // Many at once, and bodies where none is read.
    let at_once: Vec<_> = (0..32)
        .map(|n| {
            let (url, blanks) = (shop.url.clone(), blanks.clone());
            let path = ["/order", "/users", "/nowhere", "/metrics"][n % 4];
            tokio::spawn(async move {
                let request = Request::new("POST", path).body(blanks);
                Wire::to(&url).await.ask(&request).await.expect("an answer").status
            })
        })
        .collect();
    for (n, status) in at_once.into_iter().enumerate() {
        assert_eq!(status.await.expect("no panic"), [413, 413, 404, 405][n % 4]);
    }
    let more = shop.memory_peak_kib().saturating_sub(memory);
    println!("{count} huge bodies, and 32 at once: {more} KiB more at most");
    assert!(more < MEMORY_KIB_MAX, "{more} KiB");
    assert!(shop.quiet_log().await == before, "the log was written");
    shop.end().await;
}

/// Sends byte by byte with a pause; how long it went until the server hung up, if it did.
async fn trickle(wire: &mut Wire, bytes: &[u8], pause: Duration) -> Option<Duration> {
    let begun = Instant::now();
    for byte in bytes {
        if wire.send(&[*byte]).await.is_err() {
            return Some(begun.elapsed());
        }
        tokio::time::sleep(pause).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_get_their_time_and_no_more() {
    let shop = Watched::start(&[]).await;
    let quick = Duration::from_millis(2);
    // Slow, and in time: head and body byte by byte.
    let mut slow = shop.wire().await;
    let request = charge("slow").bytes();
    assert_eq!(trickle(&mut slow, &request, quick).await, None);
    assert_eq!(slow.reply().await.expect("an answer").status, 200);
    let appends = shop.appends().await;
    // A head that never ends, from the first byte of a connection and after a request.
    let endless = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{}", "a: b\r\n".repeat(40));
    let heads = [shop.wire().await, slow].map(|mut wire| {
        let endless = endless.clone();
        tokio::spawn(async move {
            let cut_after =
                trickle(&mut wire, endless.as_bytes(), Duration::from_millis(100)).await;
            (cut_after.expect("it is cut off"), wire.is_silent_to_the_end().await)
        })
    });
    // A body that stops half-way, and one that comes too slowly.
    let body = json!({"userId": 2, "amount": 7}).to_string();
    let head = Request::new("POST", "/balance/charge")
        .header("content-length", (body.len() + 1_000).to_string())
        .body(Vec::new())
        .bytes();
    let bodies = [Duration::from_secs(60), Duration::from_millis(500)].map(|pause| {
        let (url, head, body) = (shop.url.clone(), head.clone(), body.clone());
        tokio::spawn(async move {
            let mut wire = Wire::to(&url).await;
            wire.send(&head).await.expect("it is open");
            let begun = Instant::now();
            let sending = trickle(&mut wire, body.as_bytes(), pause);
            drop(tokio::time::timeout(Duration::from_secs(11), sending).await);
            (wire.reply().await.expect("an answer"), begun.elapsed())
        })
    });
    check_others_are_served(&shop, "beside-the-slow").await;
    for head in heads {
        let (cut_after, is_silent) = head.await.expect("no panic");
        assert!((5..15).contains(&cut_after.as_secs()) && is_silent, "{cut_after:?}");
    }
    for body in bodies {
        let (reply, took) = body.await.expect("no panic");
        is_refused(&reply, refused(408, "TIMEOUT"));
        assert!((10..30).contains(&took.as_secs()), "{took:?}");
    }
    assert_eq!(shop.appends().await, appends + 20, "only those of the others");
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut_off_and_costs_little() {
    let shop = Watched::start(&[]).await;
    let memory = shop.memory_peak_kib();
    let ask = Request::new("GET", "/docs/swagger-ui-bundle.js").bytes().repeat(50);
    let deaf: Vec<_> = (0..16)
        .map(|_| {
            let (url, ask) = (shop.url.clone(), ask.clone());
            tokio::spawn(async move {
                let mut wire = Wire::to(&url).await;
                let begun = Instant::now();
                // Answers fill the buffers between the two, and nobody takes one out.
                while wire.send(&ask).await.is_ok() {}
                begun.elapsed()
            })
        })
        .collect();
    check_others_are_served(&shop, "beside-the-deaf").await;
    for deaf in deaf {
        let cut_after = deaf.await.expect("no panic");
        assert!((10..40).contains(&cut_after.as_secs()), "{cut_after:?}");
    }
    let more = shop.memory_peak_kib().saturating_sub(memory);
    println!("16 clients that do not read: {more} KiB more at most");
    assert!(more < MEMORY_KIB_MAX, "{more} KiB");
    shop.end().await;
}

/// Raises what this process may open, as far as it goes.
fn raise_own_limit() {
    let own = std::process::id().to_string();
    let hard = Command::new("sh").args(["-c", "ulimit -Hn"]).output().expect("a shell");
    let hard = String::from_utf8(hard.stdout).expect("text").trim().to_owned();
    let raised =
        Command::new("prlimit").args(["--pid", &own, &format!("--nofile={hard}:")]).status();
    assert!(raised.expect("prlimit runs").success());
}

async fn idle(shop: &Watched, count: usize) -> Vec<Wire> {
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let mut wire = shop.wire().await;
        match n % 4 {
            0 => {}
            1 => wire.send(b"GET /heal").await.expect("it is open"),
            2 => wire.send(&charge("idle").bytes()[..120]).await.expect("it is open"),
            _ => assert_eq!(wire.ask(&health()).await.expect("an answer").status, 200),
        }
        idle.push(wire);
    }
    idle
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_are_in_nobodys_way() {
    raise_own_limit();
    // The shop raises its own soft limit.
    let shop = Watched::start_under("ulimit -Sn 256", &[]).await;
    let idle = idle(&shop, 1_000).await;
    assert!(shop.open_files() > 1_000, "{} files", shop.open_files());
    check_others_are_served(&shop, "beside-the-idle").await;
    drop(idle);
    check_others_are_served(&shop, "after-the-idle").await;
    shop.end().await;
}

/// Connections never take the last file: the log needs some.
#[tokio::test(flavor = "multi_thread")]
async fn where_few_files_may_be_open_connections_leave_some_to_the_data() {
    raise_own_limit();
    let shop = Watched::start_under("ulimit -n 256", &[]).await;
    let mut first = shop.wire().await;
    assert_eq!(first.ask(&health()).await.expect("an answer").status, 200);
    let mut waiting = Vec::new();
    // The others wait in the listener's queue.
    for _ in 0..230 {
        waiting.push(shop.wire().await);
    }
    for n in 0..50 {
        let reply = first.ask(&charge(&format!("crowded-{n}"))).await.expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let files = shop.open_files();
    println!("{files} of 256 files are open");
    assert!(files < 200, "{files} of 256 files are open");
    drop(waiting);
    drop(first);
    check_others_are_served(&shop, "after-the-crowd").await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_said_its_last_gets_its_answer() {
    let shop = Watched::start(&[]).await;
    for (request, status) in [
        (health(), 200),
        (charge("last-words"), 200),
        (Request::new("GET", "/nowhere"), 404),
        (charge("").header("idempotency-key", "two"), 400),
    ] {
        let mut wire = shop.wire().await;
        wire.send(&request.bytes()).await.expect("it is open");
        wire.end_sending().await;
        assert_eq!(wire.reply().await.expect("an answer").status, status, "{request:?}");
        assert!(wire.is_silent_to_the_end().await);
    }
    // More than the buffers between the two hold.
    let (page, times) = (Request::new("GET", "/docs/swagger-ui-bundle.js"), 8);
    let mut wire = shop.wire().await;
    wire.send(&page.bytes().repeat(times)).await.expect("it is open");
    wire.end_sending().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for n in 0..times {
        let reply = wire.reply().await.unwrap_or_else(|| panic!("no answer {n}"));
        assert!(reply.status == 200 && reply.body.len() > 100_000, "{} bytes", reply.body.len());
    }
    let appends = shop.appends().await;
    let bytes = charge("half").bytes();
    for length in [1, 30, bytes.len() - 23, bytes.len() - 1] {
        let mut wire = shop.wire().await;
        wire.send(&bytes[..length]).await.expect("it is open");
        wire.end_sending().await;
        let reply = wire.reply().await;
        assert!(reply.is_none_or(|reply| reply.status == 400), "{length} bytes");
    }
    assert_eq!(shop.appends().await, appends);
    shop.end().await;
}

async fn balance(client: &Client) -> i64 {
    client.balance(2).await
}

/// Clients that go away while they wait: what they asked for happens once or not at all, and asking
/// again with the key tells.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_while_waiting_is_served_once() {
    const CLIENTS: usize = 300;
    let shop = Watched::start(&[]).await;
    for n in 0..CLIENTS {
        let mut wire = shop.wire().await;
        wire.send(&charge(&format!("gone-{n}")).bytes()).await.expect("it is open");
        if n % 3 == 0 {
            // With what it never reads in its buffers it resets the connection.
            wire.send(&health().bytes()).await.ok();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(wire);
    }
    let client = shop.client();
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..CLIENTS {
        let reply = shop.ask(&charge(&format!("gone-{n}"))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        seen.insert(body["balance"].as_i64().expect("a balance"));
    }
    assert_eq!(balance(&client).await, 7 * i64::try_from(CLIENTS).expect("few"));
    assert_eq!(seen.len(), CLIENTS, "every charge has its own balance after it");
    // Nobody is waited for any longer.
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = client.get("/metrics").await.body;
        let metrics = metrics.as_str().expect("text");
        if ["jupan_http_in_flight 0", "jupan_http_waiters 0"]
            .iter()
            .all(|line| metrics.contains(line))
        {
            break;
        }
        assert!(Instant::now() < end, "somebody is still waited for");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_at_once_is_answered_in_order() {
    let shop = Watched::start(&[]).await;
    let mut requests = Vec::new();
    for n in 0..30 {
        requests.extend([
            (charge(&format!("pipe-{n}")), 200),
            (Request::new("GET", "/nowhere"), 404),
            (charge("x").body("{"), 400),
            (Request::new("HEAD", "/products"), 200),
            (Request::new("GET", "/products/1"), 200),
        ]);
    }
    let mut wire = shop.wire().await;
    let bytes: Vec<_> = requests.iter().flat_map(|(request, _)| request.bytes()).collect();
    wire.send(&bytes).await.expect("it is open");
    for (n, (request, status)) in requests.iter().enumerate() {
        let reply = match request.method.as_str() {
            "HEAD" => wire.head_reply().await,
            _ => wire.reply().await,
        };
        assert_eq!(reply.expect("an answer").status, *status, "answer {n}");
    }
    assert_eq!(balance(&shop.client()).await, 7 * 30);
    shop.end().await;
}
