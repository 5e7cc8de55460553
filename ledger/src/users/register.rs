//! RegisterUser: makes a user known, with an empty wallet.

use super::{Users, state::User};
use crate::{Broken, cells::Moment, idempotency::Ruling};
use jupan_schemas::{
    Change, Code, Money, Outcome, RegisterUser, UserId, UserRegistered, is_email, is_name,
    rows::AsOf,
};

fn check(user: Option<&User>, wish: &RegisterUser) -> Result<(), Code> {
    if !is_name(&wish.name) {
        Err(Code::InvalidName)
    } else if !is_email(&wish.email) {
        Err(Code::InvalidEmail)
    } else if user.is_some() {
        Err(Code::AlreadyExists)
    } else {
        Ok(())
    }
}

pub(super) fn decide(user_id: UserId, user: Option<&User>, wish: &RegisterUser) -> Ruling {
    if let Err(code) = check(user, wish) {
        return Ruling::refused(code);
    }
    let RegisterUser { name, email } = wish.clone();
    Ruling::Done {
        outcome: Outcome::of(Code::Ok),
        changes: vec![Change::UserRegistered(UserRegistered { user_id, name, email })],
        postings: Vec::new(),
    }
}

pub(super) fn evolve(
    users: &mut Users,
    now: &Moment,
    change: &UserRegistered,
) -> Result<(), Broken> {
    let user = User {
        user_id: change.user_id,
        lane: users.lane,
        as_of: AsOf::default(),
        name: change.name.as_str().into(),
        email: change.email.as_str().into(),
        balance: Money::ZERO,
        created_at: now.at,
        updated_at: now.at,
        cart: Vec::new(),
    };
    users.users.create(change.user_id, now, user)
}
