//! Puts users and products into an empty shop, with more money and stock than a bench can use.

use crate::client::{Answer, Client, Patience, Request};
use anyhow::bail;
use jupan_schemas::Code;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Requests under way at once.
const CONCURRENCY: usize = 64;
/// Gives up after this time in which nothing got done.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is charged to each user: the most that the shop takes at once by default. At two won a unit it
/// lasts for hundreds of thousands of orders.
const CHARGE: i64 = 10_000_000;
/// Units of each product: days of a hot one at a hundred thousand orders a second.
const STOCK: i64 = 100_000_000_000;

/// Registers products 1 to `products`, and users 1 to `users` with money. May be repeated.
pub(crate) async fn populate(url: &str, users: u64, products: u64) -> anyhow::Result<()> {
    let client = Client::new(url, CONCURRENCY)?;
    let patience = Arc::new(Patience::new(PATIENCE));
    let new_products = (1..=products).map(|id| {
        let price = 1 + id % 3;
        let body =
            json!({"id": id, "name": format!("Product {id}"), "price": price, "stock": STOCK});
        Request::post("/products", format!("bench-product-{id}"), &body)
    });
    all(&client, &patience, new_products).await?;
    let new_users = (1..=users).map(|id| {
        let (name, email) = (format!("User {id}"), format!("user{id}@example.org"));
        let body = json!({"id": id, "name": name, "email": email});
        Request::post("/users", format!("bench-user-{id}"), &body)
    });
    all(&client, &patience, new_users).await?;
    let charges = (1..=users).map(|id| {
        let body = json!({"userId": id, "amount": CHARGE});
        Request::post("/balance/charge", format!("bench-charge-{id}"), &body)
    });
    all(&client, &patience, charges).await
}

async fn all(
    client: &Client,
    patience: &Arc<Patience>,
    requests: impl Iterator<Item = Request>,
) -> anyhow::Result<()> {
    let mut under_way: JoinSet<anyhow::Result<Answer>> = JoinSet::new();
    for request in requests {
        if under_way.len() >= CONCURRENCY {
            one_more(&mut under_way).await?;
        }
        let (client, patience) = (client.clone(), Arc::clone(patience));
        under_way.spawn(async move { Ok(client.outcome(&request, &patience).await?) });
    }
    while !under_way.is_empty() {
        one_more(&mut under_way).await?;
    }
    Ok(())
}

async fn one_more(under_way: &mut JoinSet<anyhow::Result<Answer>>) -> anyhow::Result<()> {
    let Some(ended) = under_way.join_next().await else { return Ok(()) };
    let answer = ended??;
    let there_before = answer.code() == Some(Code::AlreadyExists.as_str());
    if (200..=299).contains(&answer.status) || there_before {
        Ok(())
    } else {
        bail!("the shop refused what the bench needs: {}", answer.brief())
    }
}
