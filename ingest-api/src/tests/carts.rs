//! Carts: adding, removing, reading, and buying what is in them. A keeper plays the user's lane.

use super::{
    keeper::{Keeper, SILENT, SOLD_OUT},
    lane::{Hand, product_row, user_row_with},
    rig::{Reply, Rig},
};
use crate::Limits;
use axum::http::Method;
use jupan_log::memory::Fault;
use jupan_schemas::{
    AddToCart, CommandId, Line, OrderId, ProductId, RemoveFromCart, Role, Units, UserId,
    UserPayload,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::join;

const ASYNC: (&str, &str) = ("prefer", "respond-async");
const ADD: &str = r#"{"userId":1,"productId":10,"quantity":2}"#;
const FROM_CART: &str = r#"{"userId":1,"fromCart":true}"#;

fn quick() -> Limits {
    Limits { absent_wait_ms: 60, look_interval_ms: 5, ..Limits::default() }
}

/// What a step asks for.
#[derive(Clone, Copy, Debug)]
enum Ask<'a> {
    Add(u64, i64),
    /// The query behind `userId=1&`.
    Remove(&'a str),
    Order(&'a str),
}

/// Key and what is asked under it; status, and the cart (`product x quantity`) or what is said.
type Step<'a> = (&'a str, Ask<'a>, (u16, &'a str));

async fn ask(rig: &Rig, keeper: &mut Keeper, key: &str, ask: Ask<'_>) -> Reply {
    let (method, uri, body) = match ask {
        Ask::Add(product, quantity) => {
            let body = json!({"userId": 1, "productId": product, "quantity": quantity});
            (Method::POST, "/cart/add".to_owned(), body.to_string())
        }
        Ask::Remove(query) => {
            (Method::DELETE, format!("/cart/remove?userId=1&{query}"), String::new())
        }
        Ask::Order(body) => (Method::POST, "/order".to_owned(), body.to_owned()),
    };
    let headers = [("idempotency-key", key), ("prefer", "wait=20")];
    join!(rig.send(method, &uri, &headers, &body), keeper.serve()).0
}

/// The lines of a cart, or code or status of what is none.
fn said(reply: &Reply) -> String {
    let (_, code) = reply.problem();
    match reply.json["items"].as_array() {
        Some(items) if code.is_empty() && reply.text_of("status").is_empty() => {
            let line = |item: &Value| format!("{}x{}", item["productId"], item["quantity"]);
            items.iter().map(line).collect::<Vec<_>>().join(" ")
        }
        _ if code.is_empty() => reply.text_of("status").to_owned(),
        _ => code.to_owned(),
    }
}

async fn check(steps: &[Step<'_>]) -> (Rig, Keeper) {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    for (number, (key, asked, expect)) in steps.iter().enumerate() {
        let reply = ask(&rig, &mut keeper, key, *asked).await;
        let told = (reply.status.as_u16(), said(&reply));
        assert_eq!((told.0, &*told.1), *expect, "step {number} {asked:?}: {reply:?}");
    }
    (rig, keeper)
}

#[tokio::test]
async fn carts_are_filled_and_emptied() {
    let (rig, _) = check(&[
        ("a", Ask::Add(10, 2), (200, "10x2")),
        ("b", Ask::Add(11, 1), (200, "10x2 11x1")),
        ("c", Ask::Add(10, 3), (200, "10x5 11x1")),
        // The first outcome again, and the cart as it is now.
        ("a", Ask::Add(10, 2), (200, "10x5 11x1")),
        ("a", Ask::Add(10, 3), (422, "IDEMPOTENCY_KEY_REUSED")),
        ("a", Ask::Remove("productId=10"), (422, "IDEMPOTENCY_KEY_REUSED")),
        ("d", Ask::Add(10, 9_996), (400, "INVALID_QUANTITY")),
        ("e", Ask::Add(12, 1), (200, "10x5 11x1 12x1")),
        ("f", Ask::Add(13, 1), (409, "CART_FULL")),
        ("g", Ask::Remove("productId=10&quantity=2"), (200, "10x3 11x1 12x1")),
        ("g", Ask::Remove("productId=10&quantity=2"), (200, "10x3 11x1 12x1")),
        ("g", Ask::Remove("productId=10&quantity=1"), (422, "IDEMPOTENCY_KEY_REUSED")),
        ("g", Ask::Remove("productId=10"), (422, "IDEMPOTENCY_KEY_REUSED")),
        ("h", Ask::Remove("productId=10&quantity=3"), (200, "11x1 12x1")),
        ("i", Ask::Remove("productId=11"), (200, "12x1")),
        ("j", Ask::Remove("productId=99"), (200, "12x1")),
        ("k", Ask::Remove("quantity=9223372036854775807&productId=12"), (200, "")),
    ])
    .await;
    let empty = r#"{"userId":1,"items":[],"totalPrice":0}"#;
    assert_eq!(rig.get("/cart?userId=1").await.text, empty);
}

#[tokio::test]
async fn what_is_in_a_cart_is_bought_once() {
    let (rig, mut keeper) = check(&[
        ("x", Ask::Order(FROM_CART), (409, "CART_EMPTY")),
        ("x", Ask::Order(FROM_CART), (409, "CART_EMPTY")),
        ("a", Ask::Add(10, 1), (200, "10x1")),
        // The key stands for its first outcome, whatever is in the cart by now.
        ("x", Ask::Order(FROM_CART), (409, "CART_EMPTY")),
        ("o", Ask::Order(FROM_CART), (201, "SUCCESS")),
        ("o", Ask::Order(FROM_CART), (201, "SUCCESS")),
        (
            "o",
            Ask::Order(r#"{"userId":1,"items":[{"productId":10,"quantity":1}]}"#),
            (422, "IDEMPOTENCY_KEY_REUSED"),
        ),
        ("p", Ask::Order(FROM_CART), (409, "CART_EMPTY")),
        ("b", Ask::Add(SOLD_OUT, 1), (200, "12x1")),
        ("q", Ask::Order(FROM_CART), (409, "OUT_OF_STOCK")),
        ("c", Ask::Remove("productId=99"), (200, "12x1")),
        ("d", Ask::Remove("productId=12"), (200, "")),
        ("e", Ask::Add(10, 2), (200, "10x2")),
        ("r", Ask::Order(r#"{"userId":1,"fromCart":true,"payment":"later"}"#), (201, "PENDING")),
        ("f", Ask::Remove("productId=99"), (200, "")),
    ])
    .await;
    let order = rig.get(&format!("/order/{}", OrderId::of(UserId(1), "r"))).await;
    assert_eq!(order.json["items"][0]["productId"], 10);
    assert_eq!(order.text_of("paymentDue"), "2025-01-01T00:15:00Z");
    keeper.expire();
    assert_eq!(said(&rig.get("/cart?userId=1").await), "10x2", "an order that failed gives back");
    assert_eq!(rig.get("/balance?userId=1").await.json["balance"], 1_500);
}

#[tokio::test]
async fn what_is_asked_is_what_is_sent() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let product_id = ProductId(10);
    let quantity = Units(2);
    for (method, uri, body, payload) in [
        (
            Method::POST,
            "/cart/add",
            ADD,
            UserPayload::AddToCart(AddToCart { product_id, quantity }),
        ),
        (
            Method::DELETE,
            "/cart/remove?productId=10&userId=1",
            "",
            UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity: None }),
        ),
        (
            Method::DELETE,
            "/cart/remove?userId=1&productId=10&quantity=2",
            "",
            UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity: Some(quantity) }),
        ),
    ] {
        let before = rig.appended();
        let headers = [("idempotency-key", "\"k\""), ASYNC, ("x-user-id", "1")];
        let reply = rig.send(method, uri, &headers, body).await;
        let command = keeper.ignore().await.command;
        assert_eq!(command.payload, payload, "{uri}");
        assert_eq!((command.user_id, &*command.key, &*command.actor), (UserId(1), "k", "user:1"));
        let command_id = CommandId::of(Role::Users, 1, "k");
        assert_eq!(
            (reply.status.as_u16(), reply.json),
            (202, json!({"commandId": command_id.to_string(), "status": "PENDING"})),
            "{uri}"
        );
        let location = format!("/commands/{command_id}?at={before}");
        assert_eq!(reply.headers["location"], *location, "{uri}");
    }
}

#[tokio::test]
async fn a_202s_location_leads_to_the_outcome() {
    let rig = Rig::with(quick(), true);
    let mut keeper = Keeper::open(&rig);
    for (method, uri, body) in [
        (Method::POST, "/cart/add", ADD),
        (Method::DELETE, "/cart/remove?userId=1&productId=10", ""),
    ] {
        let reply = rig.send(method, uri, &[ASYNC], body).await;
        let location = reply.header("location").to_owned();
        assert_eq!(rig.get(&location).await.text_of("status"), "PENDING", "{uri}");
        keeper.serve().await;
        let done = rig.get(&location).await;
        assert_eq!(
            (done.text_of("status"), &done.json["outcome"]),
            ("DONE", &json!({"code": "OK"}))
        );
    }
}

#[tokio::test]
async fn a_product_that_the_catalogue_does_not_know_is_not_added() {
    let rig = Rig::with(quick(), true);
    let mut keeper = Keeper::open(&rig);
    let unknown = r#"{"userId":1,"productId":77,"quantity":1}"#;
    let begun = Instant::now();
    let reply = rig.post("/cart/add", &[], unknown).await;
    assert_eq!(
        (reply.problem(), reply.text_of("field")),
        ((404, "PRODUCT_NOT_FOUND"), "productId")
    );
    assert_eq!(reply.json["productId"], 77);
    assert!(begun.elapsed() >= Duration::from_millis(60), "it may have been registered just now");
    assert_eq!(rig.appended(), 0);

    let register = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        keeper.products.apply(product_row(77, 500, 1));
        keeper.serve().await;
    };
    let (reply, ()) = join!(rig.post("/cart/add", &[], unknown), register);
    assert_eq!((reply.status.as_u16(), &*said(&reply)), (200, "77x1"));
}

#[tokio::test]
async fn carts_have_todays_names_and_prices() {
    let rig = Rig::new();
    let mut users = Hand::open(&rig, Role::Users);
    let mut products = Hand::open(&rig, Role::Products);
    assert_eq!(rig.get("/cart?userId=1").await.problem(), (404, "USER_NOT_FOUND"));
    let line =
        |product, quantity| Line { product_id: ProductId(product), quantity: Units(quantity) };
    users.apply(user_row_with(0, vec![line(10, 2), line(99, 7), line(11, 1)]));
    products.apply(product_row(10, 300, 0));
    products.apply(product_row(11, 5, 1));
    let cart = rig.get("/cart?userId=1").await;
    assert_eq!(
        cart.json,
        json!({
            "userId": 1,
            "items": [
                {"productId": 10, "name": "product 10", "price": 300, "quantity": 2},
                {"productId": 99, "quantity": 7},
                {"productId": 11, "name": "product 11", "price": 5, "quantity": 1},
            ],
            "totalPrice": 605,
        })
    );
    products.apply(product_row(10, 301, 0));
    assert_eq!(rig.get("/cart?userId=1").await.json["totalPrice"], 607);
    // More than can be counted: by line, and in all.
    products.apply(product_row(10, 1_000_000_000_000, 0));
    products.apply(product_row(11, 1_000_000_000_000, 0));
    for lines in [
        vec![line(10, 10_000_000)],
        vec![line(10, 5_000_000), line(11, 5_000_000)],
        vec![line(10, 5_000_000), line(11, 5_000_000), line(10, 1)],
    ] {
        users.apply(user_row_with(0, lines));
        assert_eq!(rig.get("/cart?userId=1").await.json["totalPrice"], i64::MAX);
    }
}

#[tokio::test]
async fn another_users_cart_is_not_shown_and_not_changed() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    for (method, uri, body) in [
        (Method::GET, "/cart?userId=1", ""),
        (Method::DELETE, "/cart/remove?userId=1&productId=10", ""),
        (Method::POST, "/cart/add", ADD),
        (Method::POST, "/order", FROM_CART),
    ] {
        let reply = rig.send(method, uri, &[("x-user-id", "2")], body).await;
        assert_eq!(reply.problem(), (403, "USER_MISMATCH"), "{uri}");
    }
    assert_eq!(rig.appended(), 0);
    let other = r#"{"userId":2,"productId":10,"quantity":1}"#;
    let (reply, _) = join!(rig.post("/cart/add", &[], other), keeper.serve());
    assert_eq!(reply.problem(), (404, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn an_order_from_a_cart_can_be_waited_for_or_read_later() {
    let rig = Rig::with(Limits { outcome_wait_ms: 30, ..quick() }, true);
    let mut keeper = Keeper::open(&rig);
    ask(&rig, &mut keeper, "a", Ask::Add(SILENT, 1)).await;
    let reply = rig.post("/order", &[("idempotency-key", "o")], FROM_CART).await;
    assert_eq!(reply.status, 202);
    let location = reply.header("location").to_owned();
    assert_eq!(rig.get(&location).await.text_of("status"), "PENDING");
    keeper.serve().await;
    let order = rig.get(&location).await;
    assert_eq!(
        order.json["items"],
        json!([{"productId": 13, "quantity": 1, "refundedQuantity": 0}])
    );

    let reply = rig.post("/order", &[("idempotency-key", "p")], FROM_CART).await;
    let location = reply.header("location").to_owned();
    keeper.serve().await;
    assert_eq!(rig.get(&location).await.problem(), (409, "CART_EMPTY"));

    // The answer of a cart's change is looked up where it is lost.
    rig.log.fail_next(Fault::AnswerLost);
    let (reply, _) = join!(rig.post("/cart/add", &[], ADD), keeper.serve());
    assert_eq!((reply.status.as_u16(), &*said(&reply)), (200, "10x2"));
}
