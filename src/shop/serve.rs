//! What a process serves over HTTP while it runs: the API, or the probes alone; and what ends it.

use super::{Allowed, Engine, Http, Options, Shop, metrics::Metrics};
use crate::{demo, open_files};
use anyhow::Context;
use jupan_analytics::Analyzer;
use jupan_ingest_api::{Api, Drained, Ports};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, signal::unix};

/// How often the lanes are asked whether one has failed.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// What is served.
pub(crate) enum Served {
    /// The whole API.
    Api { http: Http, allowed: Allowed, demo: bool },
    /// What machines ask, or nothing.
    Probes(Option<SocketAddr>),
}

impl Served {
    pub(crate) fn api(http: &Http, allowed: &Allowed) -> Self {
        Self::Api { http: http.clone(), allowed: allowed.clone(), demo: false }
    }

    pub(crate) fn demo(options: &Options) -> Self {
        let Options { http, allowed, demo, .. } = options.clone();
        Self::Api { http, allowed, demo }
    }

    pub(crate) fn probes(listen: Option<SocketAddr>) -> Self {
        Self::Probes(listen)
    }

    /// Serves until the process is told to stop, or the shop cannot go on.
    ///
    /// # Errors
    /// What cannot be served, or set up.
    pub(super) async fn serve<E: Engine>(
        &self,
        shop: &Shop<E>,
        metrics: Metrics,
        files_max: u64,
    ) -> anyhow::Result<()> {
        match self {
            Self::Api { http, allowed, demo } => {
                let served = ApiServed { http, allowed, is_demo: *demo };
                served.serve(shop, metrics, files_max).await
            }
            Self::Probes(listen) => serve_probes(*listen, shop, metrics).await,
        }
    }
}

/// The API, with its address and what it refuses.
struct ApiServed<'a> {
    http: &'a Http,
    allowed: &'a Allowed,
    is_demo: bool,
}

impl ApiServed<'_> {
    async fn serve<E: Engine>(
        &self,
        shop: &Shop<E>,
        metrics: Metrics,
        files_max: u64,
    ) -> anyhow::Result<()> {
        let (listener, url) = bind(self.http.listen).await?;
        let view = shop.analyzer.as_ref().map(Analyzer::view);
        let view = view.context("an API needs best sellers that are counted in its process")?;
        let ports = Ports {
            render_metrics: Arc::new(move || metrics.render()),
            is_demo: self.is_demo,
            ..shop.ports(view, &url)
        };
        let rules = self.allowed.rules(shop.engine.log().partitions());
        let mut limits = jupan_ingest_api::Limits {
            in_flight_max: usize::try_from(self.http.in_flight_max)?,
            charge_min: rules.charge_min.0,
            charge_max: rules.charge_max.0,
            line_units_max: rules.line_units_max,
            order_lines_max: rules.order_lines_max,
            ..Default::default()
        };
        limits.connections_max = open_files::connections_max(limits.connections_max, files_max);
        let api = Api::open(ports, limits)?;
        let inspection = shop.engine.inspection().transpose();
        let _inspection = inspection.inspect_err(
            |error| tracing::warn!(%error, "the shop cannot be verified while it runs"),
        );
        println!("jupan serves {url}, {}", shop.engine.place());
        let mut failed_start = Ok(());
        let stop = async {
            tokio::select! {
                Err(error) = self.set_up(shop, &url) => failed_start = Err(error),
                () = told_to_stop(shop) => {}
            }
        };
        if let Drained::CutOff { connections } = jupan_ingest_api::serve(listener, api, stop).await
        {
            tracing::warn!(connections, "requests were cut off: their callers ask again");
        }
        failed_start
    }

    /// Adds what was asked for at the start, while the shop is served, and says what to try.
    async fn set_up<E: Engine>(&self, shop: &Shop<E>, url: &str) -> anyhow::Result<()> {
        if self.is_demo {
            demo::set_up(url, &*shop.engine.log(), &*shop.engine.read_store()).await?;
            shop.is_set_up.store(true, Ordering::Release);
        }
        println!("{}", jupan_ingest_api::hint(url, self.is_demo));
        Ok(())
    }
}

async fn serve_probes<E: Engine>(
    listen: Option<SocketAddr>,
    shop: &Shop<E>,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let stop = told_to_stop(shop);
    let Some(address) = listen else {
        println!("jupan works, {}", shop.engine.place());
        stop.await;
        return Ok(());
    };
    let (listener, url) = bind(address).await?;
    println!("jupan works, its probes at {url}, {}", shop.engine.place());
    let render = Arc::new(move || metrics.render());
    jupan_ingest_api::serve_probes(listener, Arc::new(shop.probe()), render, stop).await;
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on"))?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// Returns when a signal says so, or something has failed for good.
async fn told_to_stop<E: Engine>(shop: &Shop<E>) {
    let signals = unix::signal(unix::SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, unix::signal(unix::SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return tracing::error!(%error, "signals cannot be received"),
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
        () = failure(shop) => tracing::error!("the shop cannot go on"),
    }
}

/// Returns when something has failed for good.
async fn failure<E: Engine>(shop: &Shop<E>) {
    let failed = shop.engine.failed();
    while shop.failure().is_none() {
        tokio::select! {
            () = failed.notified() => {}
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
    }
}
