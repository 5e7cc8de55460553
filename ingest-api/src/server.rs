//! The accept loop: bounded connections, patience per connection, and a drain at the end.

use crate::{
    limits::Limits,
    shop::Api,
    stream::{Patience, PatientStream, Requests},
};
use axum::{
    Router,
    body::Body,
    http::{Request, Version, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::Service;

/// Pause after the system refused a connection, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request that was begun got its answer.
    Complete,
    /// Time was over for some.
    CutOff {
        /// Connections that were closed in the middle of a request.
        connections: usize,
    },
}

/// Serves until `shutdown` is ready, then takes no more connections, and lets running requests
/// finish within the drain's time.
pub async fn serve(listener: TcpListener, api: Api, shutdown: impl Future<Output = ()>) -> Drained {
    let limits = api.shop.limits.clone();
    serve_router(listener, api.router(), limits, shutdown).await
}

/// The same for any routes.
pub(crate) async fn serve_router(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let seats = usize::try_from(limits.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
    let seats = Arc::new(Semaphore::new(seats.min(Semaphore::MAX_PERMITS)));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, seat) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &seats) => accepted,
        };
        connections.spawn(connection(
            stream,
            seat,
            router.clone(),
            limits.clone(),
            stopped.clone(),
        ));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    stop.send_replace(());
    let patience = Duration::from_millis(limits.drain_timeout_ms);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(patience, finished).await.is_ok() {
        return Drained::Complete;
    }
    // What is left is cut off as the set is dropped.
    Drained::CutOff { connections: connections.len() }
}

/// The next connection, once there is a seat for it.
async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(seat) = Arc::clone(seats).acquire_owned().await else {
            // The semaphore is never closed.
            std::future::pending().await
        };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, seat),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted, trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Marks a request that does not name its host as it must.
#[derive(Clone, Copy)]
pub(crate) struct NoHost;

/// HTTP/1.1 asks for exactly one `Host` (RFC 9112, 3.2): with several, a proxy before the server
/// may have taken another one than it.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// One connection, to its end.
async fn connection(
    stream: TcpStream,
    _seat: OwnedSemaphorePermit,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let requests = Requests::default();
    let patience = Patience {
        header: Duration::from_millis(limits.header_timeout_ms),
        write: Duration::from_millis(limits.write_timeout_ms),
        half_closed: Duration::from_millis(limits.half_closed_timeout_ms),
    };
    let stream = PatientStream::new(stream, requests.clone(), patience);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let running = requests.begin();
        if !names_one_host(&request) {
            request.extensions_mut().insert(NoHost);
        }
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let answer = answer.await;
            drop(running);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.idle_timeout_ms))
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
