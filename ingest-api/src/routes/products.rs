//! The catalogue with live stock, and the best sellers. Every read goes to the store: nothing is
//! cached.

use crate::{
    bodies,
    call::Call,
    cursor::{self, List},
    dto, json,
    limits::{TOP_DAYS_DEFAULT, TOP_LIMIT_DEFAULT},
    problem::Problem,
    shop::Shop,
    submit::{Wish, Write},
    times::Time,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jupan_analytics::{TopAnswer, TopError, TopQuery};
use jupan_schemas::{Code, ProductId, ProductPayload};
use std::sync::Arc;

/// `POST /products`
pub(crate) async fn register(mut call: Call) -> Result<Response, Problem> {
    let (id, product) = call.json::<dto::NewProduct>().await?.check()?;
    let write = Write::of_product(&call, id)?;
    let wish = Wish::Product(ProductPayload::RegisterProduct(product.clone()));
    let done = |_| async move {
        let body = bodies::Product::registered(id, product);
        let mut response = json::answer(StatusCode::CREATED, &body)?;
        if let Ok(location) = HeaderValue::try_from(format!("/products/{id}")) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    };
    write.answer(wish, done).await
}

/// `PATCH /products/{id}`
pub(crate) async fn change(mut call: Call) -> Result<Response, Problem> {
    let id = call.product_id().await?;
    let change = call.json::<dto::ProductChange>().await?.check()?;
    let write = Write::of_product(&call, id)?;
    let wish = Wish::Product(ProductPayload::ChangeProduct(change));
    write.answer(wish, |_| async move { present(&call.shop, id).await }).await
}

/// `POST /products/{id}/restock`
pub(crate) async fn restock(mut call: Call) -> Result<Response, Problem> {
    let id = call.product_id().await?;
    let restock = call.json::<dto::Delivery>().await?.check()?;
    let write = Write::of_product(&call, id)?;
    let wish = Wish::Product(ProductPayload::Restock(restock));
    write.answer(wish, |_| async move { present(&call.shop, id).await }).await
}

/// `GET /products/{id}`
pub(crate) async fn read(mut call: Call) -> Result<Response, Problem> {
    let id = call.product_id().await?;
    present(&call.shop, id).await
}

/// The product as it is now.
async fn present(shop: &Shop, id: ProductId) -> Result<Response, Problem> {
    match shop.ports.store.product(id).await? {
        Some(row) => json::answer(StatusCode::OK, &bodies::Product::from(&*row)),
        None => Err(Problem::new(Code::ProductNotFound)),
    }
}

/// `GET /products?limit&cursor`, by rising id.
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let limit = call.query.limit()?;
    let after = call.query.cursor(List::Products, 0)?.map(ProductId);
    let page = call.shop.ports.store.products(after, limit).await?;
    let last = page.items.last().filter(|_| page.more);
    let body = bodies::Products {
        next: last.map(|row| cursor::write(List::Products, 0, row.product_id.0)),
        products: page.items.iter().map(|row| bodies::Product::from(&**row)).collect(),
    };
    json::answer(StatusCode::OK, &body)
}

/// `GET /products/top?days&limit&asOf`
pub(crate) async fn top(call: Call) -> Result<Response, Problem> {
    let number = |name, default| -> Result<u32, Problem> {
        let given = call.query.number(name, Code::Malformed)?;
        Ok(given.map_or(default, |number| u32::try_from(number).unwrap_or(u32::MAX)))
    };
    let query = TopQuery {
        days: number("days", TOP_DAYS_DEFAULT)?,
        limit: number("limit", TOP_LIMIT_DEFAULT)?,
        as_of: call.query.time("asOf")?,
    };
    let view = Arc::clone(&call.shop.ports.top);
    let answer = tokio::task::spawn_blocking(move || view.top(&query)).await.map_err(|error| {
        tracing::error!(%error, "the best sellers cannot be asked");
        Problem::new(Code::Internal)
    })?;
    let TopAnswer { products, window_from, window_to, as_of } = answer.map_err(unanswerable)?;
    let mut ranks = Vec::with_capacity(products.len());
    for rank in products {
        let row = call.shop.ports.store.product(rank.product_id).await?;
        ranks.push(bodies::BestSeller {
            rank: rank.rank,
            id: rank.product_id,
            name: row.map(|row| row.name.to_string()),
            units: rank.units,
            amount: rank.amount,
        });
    }
    let body = bodies::BestSellers {
        products: ranks,
        window_from: Time(window_from),
        window_to: Time(window_to),
        as_of: Time(as_of),
    };
    json::answer(StatusCode::OK, &body)
}

fn unanswerable(error: TopError) -> Problem {
    let (code, field) = match error {
        TopError::Days => (Code::Malformed, "days"),
        TopError::Limit => (Code::Malformed, "limit"),
        TopError::Future { .. } | TopError::NotKept { .. } => (Code::InvalidTime, "asOf"),
    };
    Problem::new(code).field(field).detail(error.to_string())
}
