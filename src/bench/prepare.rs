//! `bench prepare`: users with money and products with stock in a running shop, for loads from
//! outside.

use super::{http, plan::Prepare};
use serde_json::json;
use std::time::Instant;

/// Prepares the shop; may be repeated.
///
/// # Errors
/// Why it could not be prepared.
pub(crate) fn run(plan: &Prepare) -> anyhow::Result<()> {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(http::populate(&plan.url, plan.users, plan.products))?;
    let (Prepare { url, users, products, .. }, seconds) = (plan, start.elapsed().as_secs_f64());
    if plan.json {
        println!(
            "{}",
            json!({"url": url, "users": users, "products": products, "seconds": seconds})
        );
    } else {
        println!("{url} has users 1 to {users} and products 1 to {products}, after {seconds:.1} s");
    }
    Ok(())
}
