//! Orders: placed by command, read from the store. The order's id names its user, so ownership
//! needs no look-up.

use super::standing::{Standing, standing};
use crate::{
    bodies,
    call::Call,
    cursor::{self, List},
    dto, etag, json,
    limits::{ORDERS_ITEMS_MAX, ORDERS_READ_MAX},
    prefer::Prefer,
    problem::Problem,
    shop::Shop,
    submit::{Wish, Write, order_path, refused},
};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use jupan_schemas::{
    Code, OrderId, OrderStatus, Outcome, Role, UserId, UserPayload, rows::OrderRow,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// `POST /order`
pub(crate) async fn place(mut call: Call) -> Result<Response, Problem> {
    let checked = call.json::<dto::NewOrder>().await?.check()?;
    let write = Write::of_order(&call, checked.user, checked.occurred_at)?;
    let done = |outcome: Outcome| async move {
        let id = outcome.order_id.ok_or_else(|| Problem::new(Code::Internal))?;
        let row = call.shop.ports.store.order(id).await?;
        let row = row.ok_or_else(|| Problem::new(Code::OrderNotFound))?;
        let mut response = shown(StatusCode::CREATED, &row)?;
        if let Ok(location) = HeaderValue::try_from(order_path(id)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    };
    write.answer(Wish::User(UserPayload::PlaceOrder(checked.order)), done).await
}

/// `GET /order?userId=&cursor=&limit=`, newest first.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let user_id = call.asked_user()?;
    let limit = call.query.limit()?;
    let mut before = call.query.cursor(List::Orders, user_id.0)?;
    let store = &call.shop.ports.store;
    let (mut orders, mut items, mut more) = (Vec::new(), 0, true);
    while more && orders.len() < limit && items < ORDERS_ITEMS_MAX {
        let count = (limit - orders.len()).min(ORDERS_READ_MAX);
        let page = store.orders(user_id, before, count).await?;
        more = page.more;
        for row in &page.items {
            if items >= ORDERS_ITEMS_MAX {
                more = true;
                break;
            }
            items += row.lines.len();
            before = Some(row.placed);
            orders.push(bodies::Order::from(&**row));
        }
    }
    if orders.is_empty() && store.user(user_id).await?.is_none() {
        return Err(Problem::new(Code::UserNotFound));
    }
    let next = before.filter(|_| more).map(|last| cursor::write(List::Orders, user_id.0, last));
    json::answer(StatusCode::OK, &bodies::Orders { user_id, orders, next })
}

/// `GET /order/{id}?at=`
pub(crate) async fn read(mut call: Call) -> Result<Response, Problem> {
    let (id, user) = own_order(&mut call).await?;
    let at = call.query.number("at", Code::Malformed)?;
    let wait = Prefer::of(call.headers()).news_wait().unwrap_or_default();
    let absent_wait = Duration::from_millis(call.shop.limits.absent_wait_ms).max(wait);
    let begun = Instant::now();
    loop {
        match look(&call.shop, (id, user), at).await? {
            Look::Found(row) if begun.elapsed() >= wait || is_news(&row, call.headers()) => {
                return if_changed(&row, call.headers());
            }
            Look::NotYet if begun.elapsed() >= wait => {
                return json::answer(StatusCode::OK, &bodies::PendingOrder::new(id, user));
            }
            Look::Unknown if begun.elapsed() >= absent_wait => {
                return Err(Problem::new(Code::OrderNotFound));
            }
            Look::Found(_) | Look::NotYet | Look::Unknown => {}
        }
        sleep(Duration::from_millis(call.shop.limits.look_interval_ms)).await;
    }
}

/// `GET /order/{id}/history`
pub(crate) async fn history(mut call: Call) -> Result<Response, Problem> {
    let (id, _) = own_order(&mut call).await?;
    let row = call.shop.until_there(|| call.shop.ports.store.order(id)).await?;
    let row = row.ok_or_else(|| Problem::new(Code::OrderNotFound))?;
    json::answer(StatusCode::OK, &bodies::History::from(&*row))
}

/// The order as it is now.
pub(super) async fn present(shop: &Shop, id: OrderId) -> Result<Response, Problem> {
    match shop.ports.store.order(id).await? {
        Some(row) => shown(StatusCode::OK, &row),
        None => Err(Problem::new(Code::OrderNotFound)),
    }
}

/// The order that the path names. Another user's looks like none.
async fn own_order(call: &mut Call) -> Result<(OrderId, UserId), Problem> {
    let (id, user) = call.order_id().await?;
    if call.caller()?.is(user) { Ok((id, user)) } else { Err(Problem::new(Code::OrderNotFound)) }
}

enum Look {
    Found(Arc<OrderRow>),
    /// Its command is in the log, and not yet projected.
    NotYet,
    /// Nobody said where its command lies.
    Unknown,
}

async fn look(
    shop: &Shop,
    (id, user): (OrderId, UserId),
    at: Option<u64>,
) -> Result<Look, Problem> {
    let store = &shop.ports.store;
    if let Some(row) = store.order(id).await? {
        return Ok(Look::Found(row));
    }
    match standing(shop, (Role::Users, user.0), at).await? {
        Standing::Unsaid => return Ok(Look::Unknown),
        Standing::NotYet => return Ok(Look::NotYet),
        Standing::Projected => {}
    }
    // The row may have come between the two looks; after the watermark it would be there.
    if let Some(row) = store.order(id).await? {
        return Ok(Look::Found(row));
    }
    let outcome = match id.command() {
        Some(command) => store.outcome(command).await?,
        None => None,
    };
    match outcome.map(|row| row.outcome) {
        Some(outcome) if outcome.code != Code::Ok => Err(refused(&outcome)),
        _ => Err(Problem::new(Code::OrderNotFound)),
    }
}

/// The order with its tag.
fn shown(status: StatusCode, row: &OrderRow) -> Result<Response, Problem> {
    let mut response = json::answer(status, &bodies::Order::from(row))?;
    add_tag(&mut response, row);
    Ok(response)
}

fn add_tag(response: &mut Response, row: &OrderRow) {
    if let Ok(tag) = HeaderValue::try_from(tag(row)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// Names this state of the order: an entry changes it, and entries are numbered.
fn tag(row: &OrderRow) -> String {
    format!("\"{}\"", row.as_of.sequence)
}

/// The order, or 304 where the caller has it.
fn if_changed(row: &OrderRow, headers: &HeaderMap) -> Result<Response, Problem> {
    if seen_tag(row, headers) != Some(true) {
        return shown(StatusCode::OK, row);
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    add_tag(&mut response, row);
    Ok(response)
}

/// Whether `If-None-Match` has the order's tag; `None` without the header.
fn seen_tag(row: &OrderRow, headers: &HeaderMap) -> Option<bool> {
    etag::is_seen(&tag(row), headers)
}

/// Whether a caller who waits for news need not wait any longer. Who names a state that it has seen
/// waits for another one, until none can follow by itself; who names none waits until the order
/// has ended or can be paid.
fn is_news(row: &OrderRow, headers: &HeaderMap) -> bool {
    let has_ended = row.status != OrderStatus::Pending;
    match seen_tag(row, headers) {
        Some(has_seen) => has_ended || !has_seen,
        None => has_ended || row.payment_due.is_some(),
    }
}
