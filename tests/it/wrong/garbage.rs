//! What is no HTTP, or only almost: it gets the bare answer that HTTP has for it, or none, and the
//! connection ends. Where HTTP leaves room the request is served.

use super::{
    answers::{refusal, shown},
    watched::Watched,
    wire::{Reply, Request},
};

/// What comes of bytes that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// An answer without a body, and the end of the connection.
    Bare(u16),
    /// The problem MALFORMED about this field.
    Malformed(&'static str),
    /// The problem ROUTE_NOT_FOUND.
    NotFound,
    /// A good answer.
    Served,
    /// The end of the connection.
    Silence,
}

use End::*;

const ENDING: &str = "host: x\r\n\r\n";

fn get(line: &str, rest: &str) -> Vec<u8> {
    format!("{line}\r\n{rest}").into_bytes()
}

/// Request lines and headers.
fn heads() -> Vec<(&'static str, Vec<u8>, End)> {
    let header = |line: &[u8]| {
        [&b"GET /healthz HTTP/1.1\r\nhost: x\r\n"[..], line, &b"\r\n\r\n"[..]].concat()
    };
    let line = |line: &str| get(line, ENDING);
    let many = "x: y\r\n".repeat(1_000);
    vec![
        ("bytes", b"\x00\x01\x02\xff\xfe\r\n\r\n".to_vec(), Bare(400)),
        (
            "a TLS hello",
            [&b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03"[..], &[0; 200]].concat(),
            Bare(400),
        ),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), Silence),
        ("an SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), Bare(400)),
        ("SMTP", b"EHLO example.org\r\n\r\n".to_vec(), Bare(400)),
        ("Redis", b"*1\r\n$4\r\nPING\r\n\r\n".to_vec(), Bare(400)),
        ("JSON", b"{\"userId\":1}\r\n\r\n".to_vec(), Bare(400)),
        ("HTTP/0.9", b"GET /healthz\r\n\r\n".to_vec(), Bare(400)),
        ("HTTP/1.2", line("GET /healthz HTTP/1.2"), Bare(400)),
        ("HTTP/2 in a line", line("GET /healthz HTTP/2.0"), Bare(400)),
        ("http/1.1", line("GET /healthz http/1.1"), Bare(400)),
        ("no version", line("GET /healthz HTTP/"), Bare(400)),
        ("no target", line("GET  HTTP/1.1"), Bare(400)),
        ("a blank in the target", line("GET /health z HTTP/1.1"), Bare(400)),
        ("NUL in the target", line("GET /heal\0thz HTTP/1.1"), Bare(400)),
        ("a bracket in the target", line("GET /users/<1> HTTP/1.1"), Bare(400)),
        (
            "no UTF-8 in the target",
            [&b"GET /\xff HTTP/1.1\r\n"[..], ENDING.as_bytes()].concat(),
            Bare(400),
        ),
        ("no method", line("/healthz HTTP/1.1"), Bare(400)),
        ("an @ in the method", line("G@T /healthz HTTP/1.1"), Bare(400)),
        ("a header without colon", header(b"nonsense"), Bare(400)),
        ("a header without name", header(b": x"), Bare(400)),
        ("a blank in a name", header(b"a b: x"), Bare(400)),
        ("a blank after a name", header(b"a : x"), Bare(400)),
        ("a name that is no ASCII", header(b"\xc3\xa9: x"), Bare(400)),
        ("a folded header", header(b"a: b\r\n c"), Bare(400)),
        ("NUL in a header", header(b"a: b\0c"), Bare(400)),
        ("a return in a header", header(b"a: b\rc"), Bare(400)),
        ("64 KiB of header", header(&[b"a: ", &[b'b'; 65_536][..]].concat()), Bare(431)),
        ("64 KiB of name", header(&[&[b'b'; 65_536][..], b": a"].concat()), Bare(431)),
        ("1,000 headers", header(many.as_bytes()), Bare(431)),
        ("65 headers", header("x: y\r\n".repeat(64).trim_end().as_bytes()), Bare(431)),
        (
            "64 KiB of target",
            line(&format!("GET /healthz?{} HTTP/1.1", "a".repeat(65_536))),
            Bare(431),
        ),
        ("64 KiB of method", line(&format!("{} /healthz HTTP/1.1", "A".repeat(65_536))), Bare(431)),
        ("a megabyte without end", vec![b'a'; 1 << 20], Bare(431)),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(), Malformed("Host")),
        ("two hosts", header(b"host: x"), Malformed("Host")),
        ("CONNECT", line("CONNECT example.org:443 HTTP/1.1"), NotFound),
        ("an asterisk", line("OPTIONS * HTTP/1.1"), NotFound),
        ("no slash", line("GET healthz HTTP/1.1"), NotFound),
        ("letters of another script", line("GET /사용자 HTTP/1.1"), NotFound),
        ("a whole URL", line("GET http://elsewhere/healthz HTTP/1.1"), Served),
        ("a fragment", line("GET /healthz#top HTTP/1.1"), Served),
        ("lines before", [&b"\r\n\r\n"[..], &line("GET /healthz HTTP/1.1")].concat(), Served),
        ("line feeds only", b"GET /healthz HTTP/1.1\nhost: x\n\n".to_vec(), Served),
        ("an upgrade", header(b"connection: upgrade\r\nupgrade: websocket"), Served),
        (
            "16,000 bytes of query",
            line(&format!("GET /healthz?{} HTTP/1.1", "a".repeat(16_000))),
            Served,
        ),
        (
            "a body that nobody asked for",
            header(b"content-length: 5\r\n\r\nhello").into_iter().collect(),
            Served,
        ),
        ("HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n".to_vec(), Served),
    ]
}

/// Writes whose end is not where they say.
fn frames() -> Vec<(&'static str, Vec<u8>, End)> {
    const CHARGE: &str = r#"{"userId":1,"amount":5}"#;
    let post = |headers: &str, body: &str| {
        let head = "POST /balance/charge HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        format!("{head}{headers}\r\n{body}").into_bytes()
    };
    let with_length = |length: &str| post(&format!("content-length: {length}\r\n"), CHARGE);
    let chunked = |body: &str| post("transfer-encoding: chunked\r\n", body);
    let whole = format!("17\r\n{CHARGE}\r\n0\r\n\r\n");
    let long = format!("1;{}\r\n{{\r\n0\r\n\r\n", "x".repeat(20_000));
    let trailers = format!("17\r\n{CHARGE}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    vec![
        ("a length below zero", with_length("-1"), Bare(400)),
        ("a length with a sign", with_length("+23"), Bare(400)),
        ("a length in words", with_length("many"), Bare(400)),
        ("a length in hexadecimal", with_length("0x17"), Bare(400)),
        ("a list of lengths", with_length("23, 23"), Bare(400)),
        ("two lengths", with_length("23\r\ncontent-length: 5"), Bare(400)),
        ("a length beyond 64 bits", with_length("99999999999999999999999"), Bare(400)),
        ("the longest length", with_length("18446744073709551615"), Bare(431)),
        ("no length", post("", CHARGE), Malformed("")),
        ("an encoding that is none", post("transfer-encoding: gzip\r\n", CHARGE), Bare(400)),
        ("an encoding like chunked", post("transfer-encoding: xchunked\r\n", &whole), Bare(400)),
        ("a chunk of no length", chunked("zz\r\n{}\r\n0\r\n\r\n"), Malformed("")),
        ("a chunk below zero", chunked("-1\r\n{}\r\n0\r\n\r\n"), Malformed("")),
        ("a chunk beyond 64 bits", chunked("fffffffffffffffff\r\n{}\r\n"), Malformed("")),
        ("a chunk that is longer", chunked("2\r\n{}}\r\n0\r\n\r\n"), Malformed("")),
        ("20,000 bytes about a chunk", chunked(&long), Malformed("")),
        ("1,000 trailers", chunked(&trailers), Malformed("")),
    ]
}

fn kind(reply: Option<Reply>) -> Result<(End, String), String> {
    let Some(reply) = reply else { return Ok((Silence, String::new())) };
    if reply.status < 300 {
        return Ok((Served, String::new()));
    }
    if reply.body.is_empty() {
        return Ok((Bare(reply.status), String::new()));
    }
    match refusal(&reply, false)? {
        (400, code, field) if code == "MALFORMED" => Ok((Malformed(""), field)),
        (404, code, _) if code == "ROUTE_NOT_FOUND" => Ok((NotFound, String::new())),
        (status, code, field) => Err(format!("{status} {code} {field}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_ends_its_connection_only() {
    let shop = Watched::start(&[]).await;
    let before = shop.quiet_log().await;
    let appends = shop.appends().await;
    let mut faults = Vec::new();
    let rows: Vec<_> = heads().into_iter().chain(frames()).collect();
    for (row, bytes, expected) in &rows {
        let mut wire = shop.wire().await;
        // Some of it may be refused before all of it is sent.
        let sent = wire.send(bytes).await;
        let found = kind(wire.reply().await);
        let is_expected = match (&found, expected) {
            (Ok((Malformed(_), field)), Malformed(wanted)) => field == wanted,
            (Ok((found, _)), expected) => found == expected,
            (Err(_), _) => false,
        };
        if !is_expected {
            faults.push(format!("{row}: {found:?}, not {expected:?} ({sent:?})"));
        } else if matches!(expected, Bare(_) | Silence) && !wire.is_silent_to_the_end().await {
            faults.push(format!("{row}: it goes on"));
        }
    }
    println!("{} requests that are no HTTP, or almost", rows.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(shop.appends().await, appends);
    assert!(shop.quiet_log().await == before, "the log was written");
    shop.end().await;
}

/// Bytes by chance, and good requests with bytes changed by chance: whatever they are, they change
/// nothing, and nobody else is in their way.
#[tokio::test(flavor = "multi_thread")]
async fn noise_hurts_nobody() {
    const ROUNDS: u64 = 600;
    let shop = Watched::start(&[]).await;
    let before = shop.quiet_log().await;
    // Good but for one thing, so that no change by chance makes an order of it.
    let almost = r#"{"userId":1,"items":[],"payment":"later"}"#;
    let almost = Request::new("POST", "/order").body(almost).bytes();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let mut bytes = almost.clone();
        if round % 3 == 0 {
            bytes = (0..random.below(2_000)).map(|_| random.byte()).collect();
        } else {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
        }
        let mut wire = shop.wire().await;
        wire.send(&bytes).await.expect("it is open");
        // Whatever is still expected does not come.
        wire.end_sending().await;
        let reply = wire.reply().await;
        let is_fine = reply.as_ref().is_none_or(|reply| matches!(reply.status, 400..=499));
        assert!(
            is_fine,
            "round {round}: {} gets {reply:?}",
            shown(&bytes.escape_ascii().to_string())
        );
    }
    assert!(shop.quiet_log().await == before, "the log was written");
    shop.end().await;
}

/// Numbers by chance, the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it fits")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}
