//! A client's connection with limited patience: for a request's headers once they have begun, for
//! a client that does not read its answer, and for an answer to a client that has said its last.
//! The HTTP library's own timer only knows how long a connection has been without a request, and
//! the end of a client's side is the end of its request at once, or not at all.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Counts the requests of one connection; shared with the service that handles them.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    /// A request's headers are complete; it ends when the guard is dropped.
    pub(crate) fn begin(&self) -> Request {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Request(self.clone())
    }

    fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn is_running(&self) -> bool {
        self.begun() != self.0.ended.load(Ordering::Relaxed)
    }
}

/// One request that is being handled.
pub(crate) struct Request(Requests);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) header: Duration,
    pub(crate) write: Duration,
    /// What has ended its side may be gone, or wait for the answer to its last request.
    pub(crate) half_closed: Duration,
}

/// The connection.
pub(crate) struct PatientStream<S> {
    stream: S,
    requests: Requests,
    /// How many requests had begun when the stream was last read.
    requests_seen: u64,
    patience: Patience,
    /// When the first byte of headers came that are not complete yet.
    headers_begun: Option<Instant>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl<S> PatientStream<S> {
    pub(crate) fn new(stream: S, requests: Requests, patience: Patience) -> Self {
        Self {
            stream,
            requests,
            requests_seen: 0,
            patience,
            headers_begun: None,
            reading: None,
            writing: None,
            half_closed: None,
        }
    }

    /// Headers that led to a request are complete: nobody waits for them any longer.
    fn forget_complete_headers(&mut self) {
        let begun = self.requests.begun();
        if begun != self.requests_seen {
            self.requests_seen = begun;
            (self.headers_begun, self.reading) = (None, None);
        }
    }

    /// Whether headers have been on their way for too long. Called when there is nothing to read.
    fn headers_are_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(begun) = self.headers_begun else { return false };
        let deadline = begun + self.patience.header;
        let timer = self.reading.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(context).is_ready()
    }

    /// Whether the end of the client's side is not told yet, because a request is being answered.
    /// An answer that is on its way has the patience for writes.
    fn hides_end(&mut self, context: &mut Context<'_>) -> bool {
        if self.writing.is_some() {
            return true;
        }
        if !self.requests.is_running() {
            return false;
        }
        let deadline = || Box::pin(sleep_until(Instant::now() + self.patience.half_closed));
        let timer = self.half_closed.get_or_insert_with(deadline);
        timer.as_mut().poll(context).is_pending()
    }

    /// Turns a write that has been pending for too long into an error.
    fn check_write<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.writing = None;
            return poll;
        }
        let deadline = || Box::pin(sleep_until(Instant::now() + self.patience.write));
        match self.writing.get_or_insert_with(deadline).as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.forget_complete_headers();
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        if poll.is_pending() && self.headers_are_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let has_come = buffer.filled().len() > before;
        let is_end = !has_come && buffer.remaining() > 0 && matches!(poll, Poll::Ready(Ok(())));
        if is_end && self.hides_end(context) {
            return Poll::Pending;
        }
        // What comes while a request runs is its body, or a request that need not be read yet.
        let is_header = has_come && !self.requests.is_running();
        if is_header && self.headers_begun.is_none() {
            self.headers_begun = Some(Instant::now());
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_write(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check_write(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.check_write(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
