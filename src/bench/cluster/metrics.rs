//! What a shop's `/metrics` say about its lanes.

use anyhow::Context;
use serde::Serialize;
use std::time::Duration;

/// How long a shop may take to tell its metrics.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of one quantity over all lanes, in milliseconds: the slowest lane's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spread {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// The metrics of a shop as text.
///
/// # Errors
/// Why it does not tell them.
pub(super) async fn read(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let answer = client.get(format!("{url}/metrics")).send().await?;
    answer.error_for_status()?.text().await.context("the shop's metrics break off")
}

/// The quantiles of a summary in seconds.
pub(super) fn spread(text: &str, metric: &str) -> Spread {
    let of = |quantile: &str| {
        let label = format!("quantile=\"{quantile}\"");
        let lines = text.lines().filter(|line| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'))
                && line.contains(&label)
        });
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.fold(0.0, f64::max) * 1e3
    };
    Spread { p50_ms: of("0.5"), p99_ms: of("0.99") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_lane_counts() {
        let text = "# TYPE a_seconds summary\n\
            a_seconds{lane=\"users/0\",quantile=\"0.5\"} 0.002\n\
            a_seconds{lane=\"users/1\",quantile=\"0.5\"} 0.003\n\
            a_seconds{lane=\"users/1\",quantile=\"0.99\"} 0.02\n\
            a_seconds_sum{lane=\"users/1\"} 7\n\
            ab_seconds{lane=\"users/1\",quantile=\"0.99\"} 9\n";
        assert_eq!(spread(text, "a_seconds"), Spread { p50_ms: 3.0, p99_ms: 20.0 });
        assert_eq!(spread(text, "b_seconds"), Spread::default());
    }
}
