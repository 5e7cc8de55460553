//! Carts: changed by command, read from the store, with today's names and prices.

use crate::{
    bodies,
    call::Call,
    dto, json,
    problem::Problem,
    shop::Shop,
    submit::{Wish, Write},
};
use axum::{http::StatusCode, response::Response};
use jupan_schemas::{Code, ProductId, RemoveFromCart, UserId, UserPayload};

/// `POST /cart/add`
pub(crate) async fn add(mut call: Call) -> Result<Response, Problem> {
    let (user, addition) = call.json::<dto::CartAddition>().await?.check()?;
    let write = Write::of_user(&call, user)?;
    must_be_sold(&call.shop, addition.product_id).await?;
    let wish = Wish::User(UserPayload::AddToCart(addition));
    write.answer(wish, |_| async move { present(&call.shop, user).await }).await
}

/// `DELETE /cart/remove?userId=&productId=&quantity=`; without a quantity the whole line goes.
pub(crate) async fn remove(call: Call) -> Result<Response, Problem> {
    let user = call.query.user_id()?;
    let removal =
        RemoveFromCart { product_id: call.query.product_id()?, quantity: call.query.quantity()? };
    let write = Write::of_user(&call, user)?;
    let wish = Wish::User(UserPayload::RemoveFromCart(removal));
    write.answer(wish, |_| async move { present(&call.shop, user).await }).await
}

/// `GET /cart?userId=`
pub(crate) async fn read(call: Call) -> Result<Response, Problem> {
    let user = call.asked_user()?;
    present(&call.shop, user).await
}

/// Refuses a product that the catalogue does not know: the user's lane, which knows no catalogue,
/// would put it into the cart. One that was registered just now may take a moment to be readable.
async fn must_be_sold(shop: &Shop, id: ProductId) -> Result<(), Problem> {
    match shop.until_there(|| shop.ports.store.product(id)).await? {
        Some(_) => Ok(()),
        None => {
            let problem = Problem::new(Code::ProductNotFound).product(Some(id));
            Err(problem.field("productId"))
        }
    }
}

/// The cart as it is now.
async fn present(shop: &Shop, user: UserId) -> Result<Response, Problem> {
    let store = &shop.ports.store;
    let row = store.user(user).await?.ok_or_else(|| Problem::new(Code::UserNotFound))?;
    let mut items = Vec::with_capacity(row.cart.len());
    for &line in &row.cart {
        items.push((line, store.product(line.product_id).await?));
    }
    json::answer(StatusCode::OK, &bodies::Cart::new(user, items))
}
