//! The store is lost: its keyspace is dropped and made again while no process runs. Processes that
//! start then rebuild every row from the journals.

use crate::{
    faults::{rounds, wait_ms},
    fleet::{Ending, Fleet, LANES},
    ground,
};
use scylla::client::session_builder::SessionBuilder;
use std::time::Instant;

/// Drops the fleet's keyspace and makes it again, as an operator would.
async fn wipe(fleet: &[String]) {
    let flag = |name: &str| {
        let at = fleet.iter().position(|flag| flag.strip_prefix("--") == Some(name));
        fleet[at.expect("a flag") + 1].clone()
    };
    let session = SessionBuilder::new().known_node(flag("cql")).build().await.expect("a session");
    let dropped = session.query_unpaged(format!("DROP KEYSPACE {}", flag("keyspace")), ()).await;
    dropped.expect("it is dropped");
    ground::init(fleet, LANES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_rebuilt_from_the_journals() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start(2).await;
    let first = moments.below(2);
    for round in 0..rounds {
        // In turns, whichever comes first.
        let ending = if (first + round) % 2 == 0 { Ending::Drained } else { Ending::Killed };
        fleet.load();
        wait_ms(&mut moments, 4_000).await;
        let flags = fleet.flags().to_vec();
        let mut wiped = None;
        fleet = fleet
            .renew(ending, async || {
                wipe(&flags).await;
                wiped = Some(Instant::now());
            })
            .await;
        let rebuilt = wiped.expect("it was wiped").elapsed();
        let report = fleet.settle_all().await;
        println!(
            "round {round}, {ending:?}: ready again after {rebuilt:?}; {} answers, {} entries",
            fleet.ledger.answered.lock().expect("lock").len(),
            report["facts"]["entries"]
        );
    }
    fleet.end();
}
