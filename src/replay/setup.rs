//! What must be in the shop before the first order: products with stock, users, money.

use super::{
    Error, Shop,
    demand::{Demand, Share, charges, stock},
};
use crate::client::{Answer, Request};
use indicatif::ProgressBar;
use jupan_schemas::{Code, Money, Units};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A write, and what to call it when it is refused.
struct Wish {
    subject: String,
    request: Request,
}

/// Registers every product of the products file.
pub(super) async fn register_products(
    shop: &Arc<Shop>,
    demand: &Demand,
    share: Share,
) -> Result<(), Error> {
    let bar = shop.bar("products", count(demand.products.len()));
    let wishes = demand.products.iter().map(|(id, listed)| {
        // Reading the file made sure that the demand fits; a share above 1 is cut at what a shop can stock.
        let stock =
            stock(listed.demanded, share).unwrap_or(Units(jupan_schemas::PRICE_AND_STOCK_MAX));
        let body = json!({"id": id, "name": listed.name, "price": listed.price, "stock": stock});
        let request = Request::post("/products", format!("replay-product-{id}"), &body);
        Wish { subject: format!("product {id}"), request }
    });
    all(shop, wishes, bar).await
}

/// Registers every user of the orders file, under a made-up name.
pub(super) async fn register_users(shop: &Arc<Shop>, demand: &Demand) -> Result<(), Error> {
    let bar = shop.bar("users", count(demand.users.len()));
    let wishes = demand.users.keys().map(|id| {
        let (name, email) = (format!("User {id}"), format!("user{id}@example.org"));
        let body = json!({"id": id, "name": name, "email": email});
        let request = Request::post("/users", format!("replay-user-{id}"), &body);
        Wish { subject: format!("user {id}"), request }
    });
    all(shop, wishes, bar).await
}

/// Charges every user with `wallet`, or with what its orders cost.
pub(super) async fn charge(
    shop: &Arc<Shop>,
    demand: &Demand,
    wallet: Option<i64>,
) -> Result<(), Error> {
    let total = |spent: Money| wallet.map_or(spent, Money);
    let number = demand.users.values().map(|spent| charges(total(*spent)).count()).sum();
    let bar = shop.bar("charges", count(number));
    let wishes = demand.users.iter().flat_map(|(id, spent)| {
        charges(total(*spent)).enumerate().map(move |(n, amount)| {
            let body = json!({"userId": id, "amount": amount});
            let request =
                Request::post("/balance/charge", format!("replay-charge-{id}-{n}"), &body);
            Wish { subject: format!("charge {n} of user {id}"), request }
        })
    });
    all(shop, wishes, bar).await
}

/// Gets every wish done, in any order.
async fn all(
    shop: &Arc<Shop>,
    wishes: impl Iterator<Item = Wish>,
    bar: ProgressBar,
) -> Result<(), Error> {
    shop.patience.progress();
    let mut under_way = JoinSet::new();
    for wish in wishes {
        if under_way.len() >= shop.concurrency {
            one_more(&mut under_way, &bar).await?;
        }
        let shop = Arc::clone(shop);
        under_way.spawn(async move {
            let answer = shop.client.outcome(&wish.request, &shop.patience).await?;
            judge(wish.subject, &answer)
        });
    }
    while !under_way.is_empty() {
        one_more(&mut under_way, &bar).await?;
    }
    bar.finish();
    Ok(())
}

async fn one_more(
    under_way: &mut JoinSet<Result<(), Error>>,
    bar: &ProgressBar,
) -> Result<(), Error> {
    if let Some(ended) = under_way.join_next().await {
        ended??;
        bar.inc(1);
    }
    Ok(())
}

fn judge(subject: String, answer: &Answer) -> Result<(), Error> {
    let is = |code: Code| answer.code() == Some(code.as_str());
    if (200..=299).contains(&answer.status) {
        Ok(())
    } else if is(Code::AlreadyExists) {
        Err(Error::Taken { subject })
    } else if is(Code::IdempotencyKeyReused) {
        Err(Error::OtherReplay { subject })
    } else {
        Err(Error::Refused { subject, answer: answer.brief() })
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
