//! The best sellers, as the shop shows them.

use super::{
    Error, Shop,
    limits::{TOP_POLL, TOP_STABLE, TOP_WAIT_MAX},
};
use crate::client::Request;
use jiff::Timestamp;
use jupan_schemas::{Money, ProductId, Units};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// One rank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Ranked {
    pub(super) rank: u32,
    pub(super) id: ProductId,
    pub(super) name: String,
    pub(super) units: Units,
    pub(super) amount: Money,
}

/// The best sellers of one window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Top {
    pub(super) products: Vec<Ranked>,
    pub(super) window_from: String,
    pub(super) window_to: String,
}

/// The five best sellers of the three days before `at`, or before now on the shop's clock.
pub(super) async fn fetch(shop: &Shop, at: Option<Timestamp>) -> Result<Top, Error> {
    let mut path = "/products/top?days=3&limit=5".to_owned();
    if let Some(at) = at {
        path.push_str(&format!("&asOf={at}"));
    }
    let answer = shop.client.outcome(&Request::get(&path), &shop.patience).await?;
    let brief = answer.brief();
    let top = (answer.status == 200).then(|| serde_json::from_value(answer.body));
    top.and_then(Result::ok).ok_or_else(|| {
        let at = at.map_or_else(|| "now".to_owned(), |at| format!("at {at}"));
        Error::Top { at, answer: brief }
    })
}

/// The best sellers once they stay the same: the analyzer follows the orders, it is not waited for by them.
pub(super) async fn settled(shop: &Shop) -> Result<Top, Error> {
    let start = Instant::now();
    let mut top = fetch(shop, None).await?;
    let mut since = Instant::now();
    while since.elapsed() < TOP_STABLE {
        if start.elapsed() > TOP_WAIT_MAX {
            tracing::warn!("the best sellers keep changing; these are the present ones");
            break;
        }
        tokio::time::sleep(TOP_POLL).await;
        let seen = fetch(shop, None).await?;
        if seen != top {
            (top, since) = (seen, Instant::now());
        }
    }
    Ok(top)
}
