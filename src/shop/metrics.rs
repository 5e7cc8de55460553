//! What `/metrics` tells: everything that the process counts, and what the process itself uses.

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustix::time::ClockId;
use std::{fs, time::Duration};
use tokio::runtime::Handle;

/// Gauge: processor seconds that the process has used.
const CPU_SECONDS: &str = "jupan_process_cpu_seconds";
/// Gauge: bytes of memory that the process has in use.
const RESIDENT_BYTES: &str = "jupan_process_resident_bytes";

/// What was timed is kept one by one until somebody looks, or this has passed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The metrics of this process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins to count. Without anybody who asks for `/metrics`, memory stays bounded by
    /// [`UPKEEP_INTERVAL`].
    ///
    /// # Errors
    /// Something else counts already.
    pub(super) fn install(runtime: &Handle) -> anyhow::Result<Self> {
        let handle =
            PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
        runtime.spawn(keep_up(handle.clone()));
        Ok(Self(handle))
    }

    /// All of them, as Prometheus reads them.
    pub(super) fn render(&self) -> String {
        let now = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        if let Ok(used) = Duration::try_from(now) {
            metrics::gauge!(CPU_SECONDS).set(used.as_secs_f64());
        }
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!(RESIDENT_BYTES).set(bytes);
        }
        self.0.render()
    }
}

async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        handle.run_upkeep();
    }
}

/// The second number of `statm`, in pages.
fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let page_bytes = u32::try_from(rustix::param::page_size()).ok()?;
    Some(f64::from(pages) * f64::from(page_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_what_it_uses() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let metrics = Metrics::install(runtime.handle()).expect("nothing else counts");
        let text = metrics.render();
        for (name, least) in [(CPU_SECONDS, 1e-9), (RESIDENT_BYTES, 1e6)] {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 = line.expect(name).parse().expect("a number");
            assert!(value >= least, "{name} {value}");
        }
    }
}
