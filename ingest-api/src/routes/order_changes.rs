//! What becomes of an order by its user's wish: payment, cancellation, refund. Each is a command
//! with an outcome of its own, and is answered with the order as it is then.

use super::orders;
use crate::{
    call::Call,
    dto,
    problem::Problem,
    submit::{Wish, Write},
};
use axum::response::Response;
use jupan_schemas::{CancelOrder, OrderId, PayOrder, RefundOrder, UserId, UserPayload};

/// `POST /order/{id}/payment`
pub(crate) async fn pay(mut call: Call) -> Result<Response, Problem> {
    let (order_id, _) = call.order_id().await?;
    let user = call.json::<dto::OrderOwner>().await?.check()?;
    let write = Write::of_user(&call, user)?.with_given_key()?;
    change(call, write, (order_id, user), UserPayload::PayOrder(PayOrder { order_id })).await
}

/// `POST /order/{id}/cancel`
pub(crate) async fn cancel(mut call: Call) -> Result<Response, Problem> {
    let (order_id, _) = call.order_id().await?;
    let user = call.json::<dto::OrderOwner>().await?.check()?;
    let write = Write::of_user(&call, user)?;
    change(call, write, (order_id, user), UserPayload::CancelOrder(CancelOrder { order_id })).await
}

/// `POST /order/{id}/refund`
pub(crate) async fn refund(mut call: Call) -> Result<Response, Problem> {
    let (order_id, _) = call.order_id().await?;
    let (user, items) = call.json::<dto::Refund>().await?.check()?;
    let write = Write::of_user(&call, user)?.with_given_key()?;
    let wish = UserPayload::RefundOrder(RefundOrder { order_id, items });
    change(call, write, (order_id, user), wish).await
}

/// Sends the wish, and shows the order after it.
async fn change(
    call: Call,
    write: Write,
    (order_id, user): (OrderId, UserId),
    wish: UserPayload,
) -> Result<Response, Problem> {
    let write = write.about_order(order_id, user)?;
    let done = |_| async move { orders::present(&call.shop, order_id).await };
    write.answer(Wish::User(wish), done).await
}
