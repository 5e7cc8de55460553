//! The connection to the servers, and how requests of either kind are made.

use super::options::{OpenError, Options};
use crate::limits;
use scylla::{
    client::{
        PoolSize,
        execution_profile::{ExecutionProfile, ExecutionProfileHandle},
        session::Session,
        session_builder::SessionBuilder,
    },
    policies::load_balancing::DefaultPolicy,
    statement::Consistency,
};
use std::{collections::BTreeSet, num::NonZeroUsize, time::Duration};

/// Connects to the servers of the local datacenter.
pub(super) async fn connect(options: &Options) -> Result<(Session, String), OpenError> {
    let failed = |source| OpenError::Connect { nodes: options.nodes.join(", "), source };
    let session = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .pool_size(PoolSize::PerShard(NonZeroUsize::MIN))
        .connection_timeout(limits::CQL_CONNECT_TIMEOUT)
        .cluster_metadata_refresh_interval(limits::CQL_METADATA_PAUSE)
        .keepalive_interval(limits::CQL_KEEPALIVE_PAUSE)
        .keepalive_timeout(limits::CQL_KEEPALIVE_TIMEOUT)
        .schema_agreement_interval(limits::CQL_SCHEMA_PAUSE)
        // Nobody here looks into the tables' columns, and other tenants may have many.
        .fetch_full_schema_metadata(false)
        .build()
        .await
        .map_err(|error| failed(error.into()))?;
    let datacenter = local_datacenter(&session, options.datacenter.as_deref())?;
    Ok((session, datacenter))
}

/// The configured datacenter, if it is there; else the only one.
fn local_datacenter(session: &Session, wanted: Option<&str>) -> Result<String, OpenError> {
    let state = session.get_cluster_state();
    let found: BTreeSet<String> =
        state.get_nodes_info().iter().filter_map(|node| node.datacenter.clone()).collect();
    let choice = match wanted {
        Some(name) => found.get(name),
        None if found.len() == 1 => found.first(),
        None => None,
    };
    choice.cloned().ok_or_else(|| {
        let found: Vec<String> = found.into_iter().collect();
        OpenError::Datacenter { found: found.join(", ") }
    })
}

/// Requests that each take so long at most, from servers of one datacenter.
pub(super) fn profile(datacenter: &str, timeout: Duration) -> ExecutionProfileHandle {
    let policy = DefaultPolicy::builder()
        .prefer_datacenter(datacenter.to_owned())
        .token_aware(true)
        .permit_dc_failover(false);
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(timeout))
        .load_balancing_policy(policy.build())
        .build()
        .into_handle()
}
