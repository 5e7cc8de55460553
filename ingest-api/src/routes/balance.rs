//! Wallets: charged by command, read from the store.

use crate::{
    bodies,
    call::Call,
    cursor::{self, List},
    dto, json,
    problem::Problem,
    submit::{Wish, Write},
};
use axum::{http::StatusCode, response::Response};
use jupan_schemas::{Code, Outcome, UserPayload};

/// `POST /balance/charge`
pub(crate) async fn charge(mut call: Call) -> Result<Response, Problem> {
    let (user_id, charge) = call.json::<dto::Charge>().await?.check()?;
    let write = Write::of_user(&call, user_id)?;
    let done = |outcome: Outcome| async move {
        // The balance right after this charge: a later read may show another one, a retry never
        // does.
        let balance = outcome.balance.ok_or_else(|| Problem::new(Code::Internal))?;
        json::answer(StatusCode::OK, &bodies::Balance { user_id, balance })
    };
    write.answer(Wish::User(UserPayload::ChargeBalance(charge)), done).await
}

/// `GET /balance?userId=`
pub(crate) async fn read(call: Call) -> Result<Response, Problem> {
    let user_id = call.asked_user()?;
    match call.shop.ports.store.user(user_id).await? {
        Some(row) => {
            let balance = bodies::Balance { user_id, balance: row.balance };
            json::answer(StatusCode::OK, &balance)
        }
        None => Err(Problem::new(Code::UserNotFound)),
    }
}

/// `GET /balance/entries?userId=&cursor=&limit=`, newest first.
pub(crate) async fn entries(call: Call) -> Result<Response, Problem> {
    let user_id = call.asked_user()?;
    let limit = call.query.limit()?;
    let before = call.query.cursor(List::Entries, user_id.0)?;
    let store = &call.shop.ports.store;
    let page = store.statement(user_id, before, limit).await?;
    if page.items.is_empty() && store.user(user_id).await?.is_none() {
        return Err(Problem::new(Code::UserNotFound));
    }
    let last = page.items.last().filter(|_| page.more);
    let body = bodies::Entries {
        user_id,
        next: last.map(|row| cursor::write(List::Entries, user_id.0, row.as_of.sequence)),
        entries: page.items.iter().map(|row| bodies::Entry::from(&**row)).collect(),
    };
    json::answer(StatusCode::OK, &body)
}
