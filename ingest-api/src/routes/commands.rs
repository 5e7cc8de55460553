//! What became of a command.

use super::standing::{Standing, standing};
use crate::{
    bodies,
    call::{Call, uuid_form},
    json,
    prefer::Prefer,
    problem::Problem,
    shop::{Ports, Shop},
};
use axum::{http::StatusCode, response::Response};
use jupan_schemas::{Code, CommandId, OUTCOME_KEPT_US, Outcome, Role, UserId};
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
    let wait = Prefer::of(call.headers()).news_wait().unwrap_or_default();
    let absent_wait = Duration::from_millis(call.shop.limits.absent_wait_ms).max(wait);
    let begun = Instant::now();
    loop {
        match look(&call.shop, (id, target), at).await? {
            Look::Done(outcome) => {
                let body = bodies::Command::done(id, outcome.code, outcome.order_id);
                return json::answer(StatusCode::OK, &body);
            }
            Look::Pending if begun.elapsed() >= wait => {
                return json::answer(StatusCode::OK, &bodies::Command::pending(id));
            }
            Look::Unknown if begun.elapsed() >= absent_wait => return Err(not_found()),
            Look::NeverKept => {
                let detail = "it was answered, and left nothing behind: its key is as it was";
                return Err(not_found().detail(detail));
            }
            Look::Pending | Look::Unknown => {}
        }
        sleep(Duration::from_millis(call.shop.limits.look_interval_ms)).await;
    }
}

enum Look {
    Done(Outcome),
    /// It is in the log, or has begun an order.
    Pending,
    /// Its lane has passed it, and kept nothing: the answer was for its asker only.
    NeverKept,
    /// Nobody said where it lies.
    Unknown,
}

async fn look(
    shop: &Shop,
    (id, target): (CommandId, (Role, u64)),
    at: Option<u64>,
) -> Result<Look, Problem> {
    let found = match known(shop, id).await? {
        Some((look, Use::Present)) => return Ok(look),
        Some((look, Use::Earlier)) => look,
        None => Look::Unknown,
    };
    Ok(match standing(shop, target, at).await? {
        Standing::Unsaid => found,
        Standing::NotYet => Look::Pending,
        // Its outcome may have come between the two looks; after the watermark it would be there.
        Standing::Projected => known(shop, id).await?.map_or(Look::NeverKept, |(look, _)| look),
    })
}

/// Which use of a command's key something is about.
enum Use {
    Present,
    /// Possibly one before: the key was free again.
    Earlier,
}

fn with_target(text: &str) -> Option<(CommandId, (Role, u64))> {
    let id = uuid_form(text)?.parse::<CommandId>().ok()?;
    Some((id, id.target()?))
}

/// What the store knows: the stored outcome, or the order that the command made.
async fn known(shop: &Shop, id: CommandId) -> Result<Option<(Look, Use)>, Problem> {
    let Ports { store, log, .. } = &shop.ports;
    if let Some(row) = store.outcome(id).await? {
        let counts = log.now().since(row.at) <= OUTCOME_KEPT_US;
        let of = if counts { Use::Present } else { Use::Earlier };
        return Ok(Some((Look::Done(row.outcome), of)));
    }
    for order_id in id.orders().into_iter().flatten() {
        if let Some(row) = store.order(order_id).await? {
            let look = row.outcome.map_or(Look::Pending, Look::Done);
            return Ok(Some((look, Use::Present)));
        }
    }
    Ok(None)
}
