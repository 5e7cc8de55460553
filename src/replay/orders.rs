//! The second pass over the orders file: every order is placed and followed to its end.

use super::{
    Error, Shop,
    files::{FileError, Order, Orders},
    limits::{EXAMPLES_MAX, READ_AHEAD_ORDERS, WAITING_ORDERS_MAX},
    schedule::Schedule,
};
use crate::client::{Answer, Pauses, Request, Stalled};
use jupan_schemas::{Code, UserId};
use serde_json::json;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tokio::{sync::mpsc, task::JoinSet};

/// Reasons for which the shop may let an order fail; any other end is unexpected.
const FAILED_CODES: &[Code] = &[
    Code::OutOfStock,
    Code::ProductNotFound,
    Code::InsufficientBalance,
    Code::Cancelled,
    Code::Expired,
];

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Success,
    /// Refused by the shop's rules, with this code.
    Failed(String),
    /// Anything else that sending again would not change.
    Unexpected(String),
}

/// An order that has ended.
struct Ended {
    user: UserId,
    reference: String,
    line: u64,
    lines: usize,
    end: End,
}

/// How all orders ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) orders: u64,
    pub(super) lines: u64,
    pub(super) success: u64,
    /// Failed orders by code.
    pub(super) failed: BTreeMap<String, u64>,
    /// Orders with an end that must not be, by answer.
    pub(super) unexpected: BTreeMap<String, u64>,
    /// The first orders of each such answer.
    pub(super) examples: Vec<String>,
}

impl Tally {
    fn add(&mut self, ended: Ended) {
        self.orders += 1;
        self.lines += u64::try_from(ended.lines).unwrap_or(u64::MAX);
        match ended.end {
            End::Success => self.success += 1,
            End::Failed(code) => *self.failed.entry(code).or_default() += 1,
            End::Unexpected(answer) => {
                let number = self.unexpected.entry(answer.clone()).or_default();
                *number += 1;
                if *number == 1 && self.examples.len() < EXAMPLES_MAX {
                    let (reference, line) = (ended.reference, ended.line);
                    self.examples.push(format!("order {reference} (line {line}): {answer}"));
                }
            }
        }
    }
}

/// Places all orders of the file.
pub(super) async fn drive(shop: &Arc<Shop>, file: &Path, number: u64) -> Result<Tally, Error> {
    let bar = shop.bar("orders", number);
    let mut source = read_ahead(file);
    let mut schedule = Schedule::default();
    let mut under_way = JoinSet::new();
    let mut tally = Tally::default();
    let mut at_end = false;
    shop.patience.progress();
    loop {
        while under_way.len() < shop.concurrency
            && let Some(order) = schedule.start()
        {
            under_way.spawn(place(Arc::clone(shop), order));
        }
        let may_read = !at_end && schedule.waiting() < WAITING_ORDERS_MAX;
        if !may_read && under_way.is_empty() {
            break;
        }
        tokio::select! {
            Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                let ended = ended??;
                schedule.end(ended.user);
                tally.add(ended);
                bar.inc(1);
            }
            order = source.recv(), if may_read => match order {
                Some(order) => schedule.push(order?),
                None => at_end = true,
            },
        }
    }
    bar.finish();
    Ok(tally)
}

/// Reads the file on a thread of its own, a bounded number of orders ahead. Whoever drops the receiver
/// ends it.
fn read_ahead(file: &Path) -> mpsc::Receiver<Result<Order, FileError>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD_ORDERS);
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || {
        let send_all = || {
            let mut orders = Orders::open(&file)?;
            while let Some(order) = orders.next_order()? {
                if sender.blocking_send(Ok(order)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        if let Err(error) = send_all() {
            // Nobody listens only when the replay has ended for another reason.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// Places one order and stays with it until it has ended.
async fn place(shop: Arc<Shop>, order: Order) -> Result<Ended, Stalled> {
    let body = json!({
        "userId": order.user,
        "items": order.items,
        "occurredAt": order.at.to_string(),
    });
    let request = Request::post("/order", format!("replay-order-{}", order.reference), &body);
    let mut pauses = Pauses::default();
    let end = loop {
        let mut answer = shop.client.insist(&request, &shop.patience).await?;
        if let Some(path) = whereabouts(&answer)
            && let Some(seen) = watch(&shop, &path).await?
        {
            answer = seen;
        }
        if let Some(end) = judge(&answer) {
            break end;
        }
        shop.patience.pause(&mut pauses, "/order", "still pending").await?;
    };
    shop.patience.progress();
    let lines = order.items.len();
    Ok(Ended { user: order.user, reference: order.reference, line: order.line, lines, end })
}

/// Where to look for the end of an order that the shop has taken but not decided.
fn whereabouts(answer: &Answer) -> Option<String> {
    let path = || Some(format!("/order/{}", answer.text("orderId")?));
    answer.is_pending().then(|| answer.location.clone().or_else(path)).flatten()
}

/// Looks at the order until it has ended; `None` if it cannot be seen there, which asking again will
/// explain.
async fn watch(shop: &Shop, path: &str) -> Result<Option<Answer>, Stalled> {
    let request = Request::get(path);
    let mut pauses = Pauses::default();
    loop {
        let answer = shop.client.insist(&request, &shop.patience).await?;
        if answer.status != 200 {
            return Ok(None);
        }
        if judge(&answer).is_some() {
            return Ok(Some(answer));
        }
        shop.patience.pause(&mut pauses, path, "still pending").await?;
    }
}

/// The end that an answer tells, or `None` while there is none.
fn judge(answer: &Answer) -> Option<End> {
    let failed = |code: Option<&str>| {
        let known = FAILED_CODES.iter().find(|known| Some(known.as_str()) == code);
        known.map(|code| End::Failed(code.to_string()))
    };
    let unexpected = || End::Unexpected(answer.brief());
    match (answer.status, answer.text("status")) {
        // A problem's `status` is a number, so no text.
        (200..=299, Some("PENDING")) | (202, _) => None,
        // Refunded since: it was a success, and a repeated request gets its first outcome.
        (200..=299, Some("SUCCESS" | "REFUNDED")) | (201, None) => Some(End::Success),
        (200..=299, Some("FAILED")) => {
            let reason = answer.text("reason");
            Some(failed(reason).unwrap_or_else(|| {
                End::Unexpected(format!("FAILED {}", reason.unwrap_or("without a reason")))
            }))
        }
        (200..=299, _) => Some(unexpected()),
        _ => Some(failed(answer.code()).unwrap_or_else(unexpected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn only_business_codes_are_an_expected_failure() {
        let failed = |code: &str| Some(End::Failed(code.to_owned()));
        let unexpected = |text: &str| Some(End::Unexpected(text.to_owned()));
        for (status, body, expected) in [
            (201, json!({"orderId": "x", "status": "SUCCESS"}), Some(End::Success)),
            (201, Value::Null, Some(End::Success)),
            (200, json!({"status": "SUCCESS"}), Some(End::Success)),
            (200, json!({"status": "REFUNDED"}), Some(End::Success)),
            (200, json!({"status": "PENDING"}), None),
            (202, json!({"status": "PENDING"}), None),
            (202, Value::Null, None),
            (200, json!({"status": "FAILED", "reason": "EXPIRED"}), failed("EXPIRED")),
            (200, json!({"status": "FAILED", "reason": "ODD"}), unexpected("FAILED ODD")),
            (200, json!({"status": "FAILED"}), unexpected("FAILED without a reason")),
            (200, Value::Null, unexpected("200")),
            (409, json!({"code": "OUT_OF_STOCK", "status": 409}), failed("OUT_OF_STOCK")),
            (402, json!({"code": "INSUFFICIENT_BALANCE"}), failed("INSUFFICIENT_BALANCE")),
            (404, json!({"code": "USER_NOT_FOUND"}), unexpected("404 USER_NOT_FOUND")),
            (
                422,
                json!({"code": "IDEMPOTENCY_KEY_REUSED"}),
                unexpected("422 IDEMPOTENCY_KEY_REUSED"),
            ),
            (500, Value::Null, unexpected("500")),
        ] {
            let answer = Answer::new(status, body.clone());
            assert_eq!(judge(&answer), expected, "{status} {body}");
        }
    }
}
