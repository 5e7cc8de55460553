//! A way to the server that can be held up or cut: to a client the server is paused, or away.

use crate::server::{self, RUNTIME};
use std::net::Ipv4Addr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// They wait.
    Stalled,
    /// Connections end, and new ones end at once.
    Cut,
}

pub(crate) struct Proxy {
    address: String,
    way: watch::Sender<Way>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let (way, seen) = watch::channel(Way::Open);
        let bind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = RUNTIME.block_on(bind).expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let accepting = RUNTIME.spawn(accept(listener, seen)).abort_handle();
        Self { address, way, accepting }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Way::Cut);
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, way: watch::Receiver<Way>) {
    while let Ok((client, _)) = listener.accept().await {
        if *way.borrow() == Way::Cut {
            continue;
        }
        let Ok(server) = TcpStream::connect(server::address()).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) =
            (client.into_split(), server.into_split());
        tokio::spawn(pump(from_client, to_server, way.clone()));
        tokio::spawn(pump(from_server, to_client, way.clone()));
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut bytes = vec![0; 64 * 1024];
    let mut cut = way.clone();
    let carry = async {
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            let is_open = way.wait_for(|way| *way == Way::Open).await.is_ok();
            if !is_open || to.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = carry => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}
