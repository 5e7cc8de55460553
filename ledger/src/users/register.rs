//! RegisterUser: makes a user known, with an empty wallet.

use super::{Users, state::User};
use crate::{Broken, cells::Moment, idempotency::Ruling, limits};
use jupan_schemas::{Change, Code, Money, Outcome, RegisterUser, UserId, UserRegistered};

fn check(user: Option<&User>, wish: &RegisterUser) -> Result<(), Code> {
    if !(1..=limits::NAME_CHARS_MAX).contains(&wish.name.chars().count()) {
        Err(Code::InvalidName)
    } else if !is_address(&wish.email) {
        Err(Code::InvalidEmail)
    } else if user.is_some() {
        Err(Code::AlreadyExists)
    } else {
        Ok(())
    }
}

/// Whether it has one `@` with something on both sides. More only the mail's arrival can tell.
fn is_address(text: &str) -> bool {
    let chars = limits::EMAIL_CHARS_MIN..=limits::EMAIL_CHARS_MAX;
    let halves = text.split_once('@');
    chars.contains(&text.chars().count())
        && halves
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
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
        name: change.name.clone(),
        email: change.email.clone(),
        balance: Money::ZERO,
        created_at: now.at,
        updated_at: now.at,
        cart: Vec::new(),
    };
    users.users.create(change.user_id, now, user)
}
