//! HTTP/1.1 by hand, for requests that no client library would send.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longest time for an answer, or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, byte by byte as the test wants it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Option<Vec<u8>>,
}

impl Request {
    pub(super) fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: None }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A body, and the media type of JSON unless another one is given.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With `Host`, and with what a body needs where nothing else is said.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: x\r\n", self.method, self.target).into_bytes();
        let has = |wanted: &str| self.headers.iter().any(|(name, _)| name == wanted);
        if let Some(body) = &self.body {
            if !has("content-type") {
                bytes.extend_from_slice(b"content-type: application/json\r\n");
            }
            if !has("content-length") && !has("transfer-encoding") {
                bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
            }
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

/// An answer, as it came.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads one answer's head; the rest stays.
    fn read(bytes: &mut Vec<u8>, has_body: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|text| text.parse().ok()).expect("a status line");
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_lowercase(), value.to_owned())
        };
        let mut reply = Self { status, headers: lines.map(header).collect(), body: Vec::new() };
        let length = match reply.header("content-length") {
            "" => 0,
            text => text.parse().expect("a length"),
        };
        assert_eq!(reply.header("transfer-encoding"), "", "{reply:?}");
        let whole = end + 4 + if has_body { length } else { 0 };
        if bytes.len() < whole {
            return None;
        }
        reply.body = bytes[end + 4..whole].to_vec();
        bytes.drain(..whole);
        Some(reply)
    }
}

/// A connection.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// A connection to the shop at this URL.
    pub(super) async fn to(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes; an error where the server has hung up.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes its own side.
    pub(super) async fn end_sending(&mut self) {
        // Where the server has hung up there is nothing to close.
        drop(self.stream.shutdown().await);
    }

    /// The next answer; `None` if the server hangs up without one.
    pub(super) async fn reply(&mut self) -> Option<Reply> {
        self.next(true).await
    }

    /// The next answer, which is to a HEAD.
    pub(super) async fn head_reply(&mut self) -> Option<Reply> {
        self.next(false).await
    }

    async fn next(&mut self, has_body: bool) -> Option<Reply> {
        loop {
            if let Some(reply) = Reply::read(&mut self.unread, has_body) {
                return Some(reply);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
            // A reset is an end, too.
            if read.expect("an answer in time").unwrap_or(0) == 0 {
                assert!(self.unread.is_empty(), "half an answer: {:?}", self.unread);
                return None;
            }
        }
    }

    /// One request and its answer.
    pub(super) async fn ask(&mut self, request: &Request) -> Option<Reply> {
        // Who is refused early may be hung up on while it still sends; the answer is there.
        let sent = self.send(&request.bytes()).await;
        let reply =
            if request.method == "HEAD" { self.head_reply().await } else { self.reply().await };
        assert!(sent.is_ok() || reply.is_some(), "hung up on without an answer");
        reply
    }

    /// Waits until the server has hung up, and says whether it said anything more.
    pub(super) async fn is_silent_to_the_end(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        drop(read.expect("the server hangs up in time"));
        self.unread.is_empty() && rest.is_empty()
    }
}
