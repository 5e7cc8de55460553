//! The flags of the scenarios.

use clap::Args;
use std::{path::PathBuf, time::Duration};

/// What every scenario is told.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-run")]
pub(crate) struct Run {
    /// Where the temporary data directory is made; not on a memory file system
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Counted rounds; figures are their medians
    #[arg(
        long,
        default_value_t = 3,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100)
    )]
    pub(crate) rounds: u32,
    /// End with one JSON line instead of a table
    #[arg(long, env = "JUPAN_JSON")]
    pub(crate) json: bool,
}

/// What a scenario with rounds of a given length is told.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-timed")]
pub(crate) struct Timed {
    #[command(flatten)]
    pub(crate) run: Run,
    /// Length of one round
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = length_of_seconds)]
    pub(crate) seconds: Duration,
}

/// A length in seconds, possibly with a fraction: up to an hour.
fn length_of_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "this is no number of seconds".to_owned())?;
    if !(0.01..=3600.0).contains(&seconds) {
        return Err("a round lasts 0.01 to 3600 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// What orders look like.
#[derive(Clone, Copy, Debug, Args)]
#[group(id = "bench-goods")]
pub(crate) struct Goods {
    /// Registered products
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(3..)
    )]
    pub(crate) products: u64,
    /// Lines an order
    #[arg(
        long,
        default_value_t = 3,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    pub(crate) lines: u64,
}

/// The shop that orders are placed in.
#[derive(Clone, Copy, Debug, Args)]
#[group(id = "bench-crowd")]
pub(crate) struct Crowd {
    /// Registered users
    #[arg(
        long,
        default_value_t = 10_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) users: u64,
    #[command(flatten)]
    pub(crate) goods: Goods,
}

/// Orders of one kind for a while: `engine` and `http`.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-orders")]
pub(crate) struct Orders {
    #[command(flatten)]
    pub(crate) timed: Timed,
    #[command(flatten)]
    pub(crate) crowd: Crowd,
    /// Product 1 is in every order
    #[arg(long)]
    pub(crate) hot: bool,
    /// Orders in flight (engine) or connections (http)
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<usize>,
}

/// Uniform orders and hot ones in turns.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-hot")]
pub(crate) struct Hot {
    #[command(flatten)]
    pub(crate) timed: Timed,
    #[command(flatten)]
    pub(crate) crowd: Crowd,
}

/// Kills and restarts.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-recovery")]
pub(crate) struct Recovery {
    #[command(flatten)]
    pub(crate) timed: Timed,
    #[command(flatten)]
    pub(crate) crowd: Crowd,
    /// Orders in the journal before the first kill
    #[arg(
        long,
        default_value_t = 200_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) orders: u64,
}

/// Shops of several sizes.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-grow")]
pub(crate) struct Grow {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) goods: Goods,
    /// Registered users, one shop each; the first is what the others are compared with
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10000,1000000",
        value_name = "N,N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) user_steps: Vec<u64>,
    /// Orders in the journal, one shop each; the first is what the others are compared with
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100000,1000000",
        value_name = "N,N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) order_steps: Vec<u64>,
    /// Orders of one round in each shop: few beside what is in the journals
    #[arg(
        long,
        default_value_t = 50_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) round_orders: u64,
}

/// A shop on Kafka and a CQL store, of processes of its own.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-cluster")]
pub(crate) struct Cluster {
    #[command(flatten)]
    pub(crate) timed: Timed,
    #[command(flatten)]
    pub(crate) crowd: Crowd,
    /// Kafka's bootstrap servers
    #[arg(long, env = "JUPAN_KAFKA", value_name = "HOST:PORT,…")]
    pub(crate) kafka: String,
    /// Contact points of ScyllaDB, or another CQL store
    #[arg(long, env = "JUPAN_CQL", value_name = "HOST:PORT,…")]
    pub(crate) cql: String,
    /// A Confluent-compatible schema registry
    #[arg(long, env = "JUPAN_REGISTRY", value_name = "URL")]
    pub(crate) registry: Option<String>,
    /// Lanes of each role
    #[arg(
        long,
        default_value_t = 4,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub(crate) partitions: u16,
    /// Copies of each topic and row
    #[arg(
        long,
        default_value_t = 1,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=9)
    )]
    pub(crate) replication: u16,
    /// Orders a second that come at their time, whatever becomes of earlier ones; a round each
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,500",
        value_name = "N,N",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub(crate) rates: Vec<u32>,
    /// Connections where orders follow each other: each waits some commits for its order's end
    #[arg(
        long,
        default_value_t = 64,
        value_name = "N",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16_384)
    )]
    pub(crate) in_flight: usize,
    /// How often one of two processes with lanes is killed; 0 leaves that out
    #[arg(
        long,
        default_value_t = 10,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=1000)
    )]
    pub(crate) kills: u32,
    /// A process beside the shop whose processor time an order is told, too; may be given again
    #[arg(long, value_name = "NAME=PID", value_parser = named_process)]
    pub(crate) beside: Vec<(String, u32)>,
}

/// `kafka=4711`.
fn named_process(text: &str) -> Result<(String, u32), String> {
    let named = text.split_once('=').and_then(|(name, pid)| Some((name, pid.parse().ok()?)));
    let (name, pid): (&str, u32) = named.ok_or("this is not NAME=PID")?;
    if !std::path::Path::new("/proc").join(pid.to_string()).exists() {
        return Err(format!("there is no process {pid}"));
    }
    Ok((name.to_owned(), pid))
}

/// The best sellers over many orders.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-window")]
pub(crate) struct Window {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) goods: Goods,
    /// Orders of the last 3 days
    #[arg(
        long,
        default_value_t = 10_000_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) orders: u64,
}

/// Users with money and products with stock in a running shop.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-prepare")]
pub(crate) struct Prepare {
    /// The running shop
    #[arg(long, env = "JUPAN_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) url: String,
    /// Users 1 to N, with more money than a load can spend
    #[arg(
        long,
        default_value_t = 10_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) users: u64,
    /// Products 1 to N, with more stock than a load can buy
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) products: u64,
    /// End with one JSON line
    #[arg(long, env = "JUPAN_JSON")]
    pub(crate) json: bool,
}

/// A journal for `recovery`, in a process that can be killed.
#[derive(Clone, Debug, Args)]
#[group(id = "bench-fill")]
pub(crate) struct Fill {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) crowd: Crowd,
    /// Orders before the figures are told; they go on after that, until the process is killed
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) orders: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_a_length() {
        let ms = |text| length_of_seconds(text).map(|length| length.as_millis());
        assert_eq!((ms("10"), ms("0.25"), ms("3600")), (Ok(10_000), Ok(250), Ok(3_600_000)));
        for text in ["", "0", "-1", "3601", "NaN", "inf", "x"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }
}
