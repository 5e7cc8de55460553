//! Users and their wallets.

use super::Operation;
use crate::{
    bodies, dto,
    openapi::parameters::{key, shared, user, user_in_path},
};
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::json;

const TAG: &str = "users";

pub(super) fn calls() -> Vec<Operation> {
    vec![register(), read(), charge(), balance(), entries()]
}

fn register() -> Operation {
    let ada = json!({ "id": 1001, "name": "Ada Kim", "email": "ada@example.org" });
    Operation::write("POST /users", "registerUser", TAG)
        .about(
            "Register a user",
            "You choose the id. The wallet is empty: charge it next. The answer is the user as it \
             was registered; every retry with the same key gets the same.",
        )
        .takes([key(false, &[])])
        .body::<dto::NewUser>(&[("ada", "A user with id 1001", ada)])
        .answers::<bodies::User>(StatusCode::CREATED, "Registered.", &["Location"])
        .refuses(&[Code::InvalidName, Code::InvalidEmail, Code::UserMismatch, Code::AlreadyExists])
}

fn read() -> Operation {
    Operation::read("GET /users/{id}", "readUser", TAG)
        .about("Read a user", "Name and address; the wallet is read at `/balance`.")
        .takes([user_in_path(), shared("Caller")])
        .answers::<bodies::User>(StatusCode::OK, "The user.", &[])
        .refuses(&[Code::InvalidId, Code::UserMismatch, Code::UserNotFound])
}

fn charge() -> Operation {
    let charge = json!({ "userId": 1, "amount": 50_000 });
    Operation::write("POST /balance/charge", "chargeBalance", TAG)
        .about(
            "Put money into a wallet",
            "The answer has the balance right after this charge. Give a key: a repetition without \
             one is another charge.",
        )
        .takes([key(false, &[])])
        .body::<dto::Charge>(&[("charge", "50,000 won for user 1", charge)])
        .answers::<bodies::Balance>(StatusCode::OK, "Charged.", &[])
        .refuses(&[Code::InvalidAmount, Code::UserMismatch, Code::UserNotFound, Code::BalanceLimit])
}

fn balance() -> Operation {
    Operation::read("GET /balance", "readBalance", TAG)
        .about(
            "Read a balance",
            "What the wallet holds now. Whoever has seen the outcome of a charge, payment or \
             refund reads it here.",
        )
        .asks([user()])
        .takes([shared("Caller")])
        .answers::<bodies::Balance>(StatusCode::OK, "The balance.", &[])
        .refuses(&[Code::InvalidId, Code::UserMismatch, Code::UserNotFound])
}

fn entries() -> Operation {
    Operation::read("GET /balance/entries", "listEntries", TAG)
        .about(
            "List what changed a wallet",
            "The statement, newest first: every charge, payment and refund with the balance after \
             it.",
        )
        .asks([user(), shared("Cursor"), shared("Limit")])
        .takes([shared("Caller")])
        .answers::<bodies::Entries>(StatusCode::OK, "A page of the statement.", &[])
        .refuses(&[Code::InvalidId, Code::InvalidCursor, Code::UserMismatch, Code::UserNotFound])
}
