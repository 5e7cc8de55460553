//! Users: registered by command, read from the store.

use crate::{
    bodies,
    call::Call,
    dto, json,
    problem::Problem,
    submit::{Wish, Write},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jupan_schemas::{Code, UserPayload};

/// `POST /users`
pub(crate) async fn register(mut call: Call) -> Result<Response, Problem> {
    let (id, user) = call.json::<dto::NewUser>().await?.check()?;
    let write = Write::of_user(&call, id)?;
    let wish = Wish::User(UserPayload::RegisterUser(user.clone()));
    let done = |_| async move {
        let row = call.shop.ports.store.user(id).await?;
        let row = row.ok_or_else(|| Problem::new(Code::UserNotFound))?;
        let body = bodies::User::registered(id, user, row.created_at);
        let mut response = json::answer(StatusCode::CREATED, &body)?;
        if let Ok(location) = HeaderValue::try_from(format!("/users/{id}")) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    };
    write.answer(wish, done).await
}

/// `GET /users/{id}`
pub(crate) async fn read(mut call: Call) -> Result<Response, Problem> {
    let id = call.user_id().await?;
    call.caller()?.must_be(id)?;
    match call.shop.ports.store.user(id).await? {
        Some(row) => json::answer(StatusCode::OK, &bodies::User::from(&*row)),
        None => Err(Problem::new(Code::UserNotFound)),
    }
}
