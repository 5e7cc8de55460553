//! What is kept beside the log is lost, or is another shop's. The keyspace is dropped and made again
//! while no process runs: processes that start then rebuild every row from the journals.

use crate::{
    faults::{rounds, wait_ms},
    fleet::{Ending, Fleet, LANES, spawn},
    ground::{self, flag},
    shop::fresh_dir,
};
use scylla::client::session_builder::SessionBuilder;
use std::time::{Duration, Instant};

/// How long a sale may take until it is counted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Drops the fleet's keyspace and makes it again, as an operator would.
async fn wipe(fleet: &[String]) {
    let session = SessionBuilder::new().known_node(flag(fleet, "cql")).build().await;
    let drop = format!("DROP KEYSPACE {}", flag(fleet, "keyspace"));
    let dropped = session.expect("a session").query_unpaged(drop, ()).await;
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

/// Best sellers that were counted of one shop are not taken for another's, whose processes have the
/// same directory.
#[tokio::test(flavor = "multi_thread")]
async fn best_sellers_of_another_shop_are_not_taken_over() {
    let (data, other) = (fresh_dir(), fresh_dir());
    for (dir, product) in [(&data, 1), (&data, 1), (&other, 2)] {
        let cluster = ground::cluster_flags(dir.path());
        ground::make(dir.path(), &cluster, "1");
        let saved = ["--data".to_owned(), data.path().display().to_string()];
        let shop = spawn("all", &[&cluster[..], &saved].concat()).await;
        shop.until_ready().await;
        let client = shop.client();
        client.user(1).await;
        client.charge(1, "charge", 1_000).await;
        client.product(product, 10, 100).await;
        let ordered = client.order(1, "order", &[(product, 3)]).await;
        assert_eq!(ordered.status, 201, "{ordered:?}");
        let end = Instant::now() + PATIENCE;
        loop {
            let top = client.get("/products/top").await.body["products"].clone();
            let list = top.as_array().expect("a list");
            let sold = list.iter().map(|one| (one["id"].clone(), one["units"].clone()));
            if sold.eq([(product.into(), 3.into())]) {
                break;
            }
            assert!(list.is_empty() && Instant::now() < end, "product {product}: {top}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(shop.terminate().0.success());
    }
}
