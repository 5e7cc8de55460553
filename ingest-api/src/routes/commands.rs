//! What became of a command.

use super::standing::{Standing, standing};
use crate::{
    bodies,
    call::{Call, uuid_form},
    json,
    problem::Problem,
    shop::Shop,
};
use axum::{http::StatusCode, response::Response};
use jupan_schemas::{Code, CommandId, Role, UserId};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// `GET /commands/{id}?at=`
pub(crate) async fn read(mut call: Call) -> Result<Response, Problem> {
    let (id, target) = call.path_id(with_target).await?;
    let not_found = || Problem::new(Code::CommandNotFound);
    if target.0 == Role::Users && !call.caller()?.is(UserId(target.1)) {
        return Err(not_found());
    }
    let at = call.query.number("at", Code::Malformed)?;
    let absent_wait = Duration::from_millis(call.shop.limits.absent_wait_ms);
    let begun = Instant::now();
    loop {
        if let Some(body) = known(&call.shop, id).await? {
            return json::answer(StatusCode::OK, &body);
        }
        match standing(&call.shop, target, at).await? {
            Standing::NotYet => return json::answer(StatusCode::OK, &bodies::Command::pending(id)),
            // Its outcome may have come between the two looks; after the watermark it would be
            // there.
            Standing::Projected => {
                let body = known(&call.shop, id).await?.ok_or_else(not_found)?;
                return json::answer(StatusCode::OK, &body);
            }
            Standing::Unsaid if begun.elapsed() >= absent_wait => return Err(not_found()),
            Standing::Unsaid => {}
        }
        sleep(Duration::from_millis(call.shop.limits.look_interval_ms)).await;
    }
}

fn with_target(text: &str) -> Option<(CommandId, (Role, u64))> {
    let id = uuid_form(text)?.parse::<CommandId>().ok()?;
    Some((id, id.target()?))
}

/// What the store knows: the stored outcome, or the order that the command made.
async fn known(shop: &Shop, id: CommandId) -> Result<Option<bodies::Command>, Problem> {
    let store = &shop.ports.store;
    if let Some(row) = store.outcome(id).await? {
        return Ok(Some(bodies::Command::done(id, row.outcome.code, row.outcome.order_id)));
    }
    for order_id in id.orders().into_iter().flatten() {
        if let Some(row) = store.order(order_id).await? {
            return Ok(Some(match row.outcome {
                Some(outcome) => bodies::Command::done(id, outcome.code, Some(order_id)),
                None => bodies::Command::pending(id),
            }));
        }
    }
    Ok(None)
}
