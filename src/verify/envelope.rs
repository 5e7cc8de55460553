//! What is written on a command, whatever it wishes: an id and a key of the right form, and times
//! that its arrival allows. Anything else is refused before the key is looked up, and stored
//! nowhere.

use super::{
    findings::{Desk, Invariant},
    inputs::{Body, Input},
};
use jupan_schemas::{Code, Entry, KEY_CHARS_MAX, Micros, Payment, UserPayload, Verdict};

const RULE: Invariant = Invariant::Outcomes;
/// A command that was made longer ago is refused.
const AGE_MAX_US: i64 = 14 * Micros::DAY;
/// One that was made so much after its own arrival, too.
const AHEAD_MAX_US: i64 = 5 * Micros::MINUTE;

/// What is wrong with a command's envelope.
fn faults(input: &Input) -> Vec<Code> {
    let (is_id_valid, key, created_at, occurred_at) = match &input.body {
        Body::User(c) => (c.user_id.is_valid(), &c.key, c.created_at, c.occurred_at),
        Body::Product(c) => (c.product_id.is_valid(), &c.key, c.created_at, c.occurred_at),
        _ => return Vec::new(),
    };
    let age_us = input.at.since(created_at);
    let faults = [
        (!is_id_valid, Code::InvalidId),
        (!(1..=KEY_CHARS_MAX).contains(&key.chars().count()), Code::InvalidKey),
        (age_us > AGE_MAX_US, Code::CommandTooOld),
        (age_us < -AHEAD_MAX_US, Code::CommandFromFuture),
        (occurred_at.is_some_and(|occurred_at| occurred_at > input.at), Code::InvalidTime),
    ];
    faults.into_iter().filter(|(is_so, _)| *is_so).map(|(_, code)| code).collect()
}

/// Whether this refusal is due to the envelope.
pub(super) fn refuses(code: Code, input: &Input) -> bool {
    faults(input).contains(&code)
}

/// A command with a wrong envelope is refused for that, and no other is.
pub(super) fn check(entry: &Entry, input: &Input, desk: &mut Desk<'_>) {
    let faults = faults(input);
    let is_named = matches!(
        entry.code,
        Code::InvalidKey | Code::CommandTooOld | Code::CommandFromFuture | Code::InvalidTime
    );
    let is_due = entry.verdict == Verdict::Refused && faults.contains(&entry.code);
    if (is_named || !faults.is_empty()) && !is_due {
        let found = format_args!("{:?} {}", entry.verdict, entry.code);
        desk.fault(RULE, "envelope of the command", format_args!("refused for {faults:?}"), found);
    }
}

/// Whether the first version of the contract refused a wish as none of its own.
pub(super) fn is_beyond_version_1(body: &Body) -> bool {
    let Body::User(command) = body else { return false };
    match &command.payload {
        UserPayload::RegisterUser(_) | UserPayload::ChargeBalance(_) => false,
        UserPayload::PlaceOrder(wish) => wish.from_cart || wish.payment == Payment::Later,
        _ => true,
    }
}
