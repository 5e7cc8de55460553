//! How a shop runs: flags, variables and keys of the configuration file, in groups that roles share.

use crate::{cluster, demo, traces};
use anyhow::bail;
use jupan_ledger::Rules;
use jupan_schemas::{Micros, Money, Role};
use std::{net::SocketAddr, path::PathBuf};

/// Which clock the best sellers' window follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ClockChoice {
    /// The machine's: the last 3 days from now.
    Wall,
    /// The newest sale: for imports and replays of the past.
    Event,
}

/// What the shop allows; the same for every process of a shop.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "allowed")]
pub(crate) struct Allowed {
    /// Least amount of one charge, in minor units
    #[arg(
        long,
        env = "JUPAN_CHARGE_MIN",
        default_value_t = 1,
        value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) charge_min: i64,
    /// Most of one charge, in minor units
    #[arg(
        long,
        env = "JUPAN_CHARGE_MAX",
        default_value_t = 10_000_000,
        value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) charge_max: i64,
    /// How long an order may stay pending
    #[arg(
        long,
        env = "JUPAN_ORDER_DEADLINE_S",
        default_value_t = 900,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(i64).range(1..=86_400)
    )]
    pub(crate) order_deadline_s: i64,
}

impl Allowed {
    pub(crate) fn rules(&self, lanes: u16) -> Rules {
        let mut rules = Rules::new(lanes);
        rules.charge_min = Money(self.charge_min);
        rules.charge_max = Money(self.charge_max);
        rules.order_deadline_us = self.order_deadline_s * Micros::SECOND;
        rules
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.charge_min > self.charge_max {
            bail!("--charge-min is above --charge-max");
        }
        Ok(())
    }
}

/// How HTTP is served.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "http")]
pub(crate) struct Http {
    /// Where HTTP is served; a loopback address only, unless --trusted-network is given
    #[arg(long, env = "JUPAN_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Whoever reaches --listen is trusted: nobody is authenticated there, and anybody may act for any user
    #[arg(
        long,
        env = "JUPAN_TRUSTED_NETWORK",
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub(crate) trusted_network: bool,
    /// Commands that may wait for their outcome at once; more are refused before they are written
    #[arg(
        long,
        env = "JUPAN_IN_FLIGHT_MAX",
        default_value_t = 16_384,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) in_flight_max: u32,
}

impl Http {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        Ok(jupan_ingest_api::check_listen(self.listen, self.trusted_network)?)
    }
}

/// What counts among the best sellers.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "sales")]
pub(crate) struct Sales {
    /// Which clock the best sellers' window follows
    #[arg(long, env = "JUPAN_CLOCK", value_enum, default_value = "wall")]
    pub(crate) clock: ClockChoice,
    /// For how many days sales are kept for the best sellers
    #[arg(
        long,
        env = "JUPAN_SALES_DAYS",
        default_value_t = 33,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(4..=400)
    )]
    pub(crate) sales_days: u32,
}

impl Sales {
    /// Counts of a directory, or of this run alone.
    pub(crate) fn analyzer(&self, data: Option<PathBuf>) -> jupan_analytics::Options {
        jupan_analytics::Options {
            clock: match self.clock {
                ClockChoice::Wall => jupan_analytics::Clock::Wall,
                ClockChoice::Event => jupan_analytics::Clock::Event,
            },
            sales_days: self.sales_days,
            data,
            ..Default::default()
        }
    }
}

/// Every role in one process.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "shop")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) http: Http,
    /// The data directory; made if it is not there. With --kafka it keeps the best sellers' counts only
    #[arg(long, env = "JUPAN_DATA", default_value = "./jupan-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Adds a made-up catalogue and users 1 to 10 with money; only in a directory of its own
    #[arg(long, env = "JUPAN_DEMO", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) demo: bool,
    /// Lanes of each role, fixed when the data directory is made; default: half the cores
    #[arg(
        long,
        env = "JUPAN_LANES",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub(crate) lanes: Option<u16>,
    #[command(flatten)]
    pub(crate) sales: Sales,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
    #[command(flatten)]
    pub(crate) cluster: cluster::Options,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}

impl Options {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.allowed.check()?;
        let Allowed { charge_min, charge_max, .. } = self.allowed;
        if self.demo && !(charge_min..=charge_max).contains(&demo::WALLET) {
            bail!(
                "--demo charges every user with {}: --charge-min and --charge-max must allow it",
                demo::WALLET
            );
        }
        if self.cluster.is_given() && self.demo {
            bail!("--demo needs a data directory of its own: it goes without --kafka");
        }
        if self.cluster.is_given() && self.lanes.is_some() {
            bail!(
                "--lanes is for a data directory: with --kafka `jupan init --partitions` says it"
            );
        }
        self.http.check()
    }
}

/// The HTTP API alone.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "api")]
pub(crate) struct ApiOptions {
    #[command(flatten)]
    pub(crate) http: Http,
    /// Where the best sellers' counts are saved between runs; without it they are counted again
    #[arg(long, env = "JUPAN_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sales: Sales,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
    #[command(flatten)]
    pub(crate) cluster: cluster::Options,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}

/// Lanes alone.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "process")]
pub(crate) struct ProcessOptions {
    /// Lanes of this role only; without it, of both
    #[arg(long, env = "JUPAN_ROLE", value_enum)]
    pub(crate) role: Option<RoleChoice>,
    /// Where the probes and metrics are served; without it, nowhere
    #[arg(long, env = "JUPAN_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
    #[command(flatten)]
    pub(crate) cluster: cluster::Options,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}

/// Whose lanes a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleChoice {
    /// Wallets, carts and orders.
    Users,
    /// Stock.
    Products,
}

impl ProcessOptions {
    pub(crate) fn roles(&self) -> Vec<Role> {
        match self.role {
            None => vec![Role::Users, Role::Products],
            Some(RoleChoice::Users) => vec![Role::Users],
            Some(RoleChoice::Products) => vec![Role::Products],
        }
    }
}

/// An analyzer alone.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "analyze")]
pub(crate) struct AnalyzeOptions {
    /// Where the probes and metrics are served; without it, nowhere
    #[arg(long, env = "JUPAN_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the counts are saved between runs; without it they are counted again
    #[arg(long, env = "JUPAN_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sales: Sales,
    #[command(flatten)]
    pub(crate) cluster: cluster::Options,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}
