//! A kept connection that speaks just enough HTTP/1.1 to place orders: the load shares the processor with
//! the server, so every microsecond here is one that is missing there.

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of head and body together.
    bytes: usize,
    /// The server closes the connection behind it.
    closes: bool,
}

/// Reads an answer's head; `None` while it is incomplete.
fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        let long = bytes.len() > ANSWER_BYTES_MAX;
        return if long { Err("the answer's head is too long") } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "the answer's head is no text")?;
    let mut lines = text.split("\r\n");
    let first = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = first.and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or("the answer is no HTTP/1.1")?;
    let (mut length, mut closes) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>().map_err(|_| "the answer's length is no number")?);
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let length = length.ok_or("the answer has no content-length")?;
    if length > ANSWER_BYTES_MAX {
        return Err("the answer is too long");
    }
    Ok(Some(Head { status, bytes: end + 4 + length, closes }))
}

/// A connection that is made when it is needed, and made again when it was lost.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, received: Vec::with_capacity(4096) }
    }

    /// Sends one request and returns the status of its answer. After an error the next request has a new
    /// connection.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        // Taken out, so that a connection is never used again if this future is dropped half-way.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        self.received.clear();
        stream.write_all(request).await?;
        let head = loop {
            if stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match head(&self.received).map_err(io::Error::other)? {
                Some(head) if self.received.len() >= head.bytes => break head,
                _ => {}
            }
        };
        if !head.closes {
            self.stream = Some(stream);
        }
        Ok(head.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_far_as_they_are_needed() {
        let good = |status, bytes, closes| Ok(Some(Head { status, bytes, closes }));
        for (text, expected) in [
            ("", Ok(None)),
            ("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n", Ok(None)),
            ("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n", good(201, 48, false)),
            ("HTTP/1.1 201 Created\r\nContent-Length:5\r\n\r\nhello", good(201, 47, false)),
            (
                "HTTP/1.1 503 \r\nConnection: Close\r\ncontent-length: 0\r\n\r\n",
                good(503, 55, true),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", Err("the answer has no content-length")),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                Err("the answer's length is no number"),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", Err("the answer is too long")),
            ("HTTP/1.0 200 OK\r\n\r\n", Err("the answer is no HTTP/1.1")),
            ("HTTP/1.1 2\r\n\r\n", Err("the answer is no HTTP/1.1")),
        ] {
            assert_eq!(head(text.as_bytes()), expected, "{text:?}");
        }
    }
}
