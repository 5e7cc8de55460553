//! Where a letter stands: what was done with it, or what can be.

use super::letters::{Done, Letter, Mark};
use jupan_ledger::{COMMAND_AGE_MAX_US, COMMAND_AHEAD_MAX_US};
use jupan_processors::ACTOR_BYTES_MAX;
use jupan_schemas::{
    Codec, CommandId, DecodeError, KeyText, Micros, ProductCommand, ProductMessage, Role, TopicId,
    UserCommand, UserMessage, partition_of,
};
use std::fmt;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is a command that lanes would take.
    Usable(Home),
    /// It can't be sent again, and why.
    Useless(String),
    /// Something was done with it.
    Marked(Mark),
}

/// Where a command belongs, by what it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) topic: TopicId,
    pub(super) partition: u16,
    pub(super) key: String,
    pub(super) command_id: CommandId,
}

/// What the bytes are.
pub(super) enum Reading {
    /// A wish about a user.
    User(UserCommand),
    /// A wish about a product.
    Product(ProductCommand),
    /// What only lanes send.
    Message,
}

/// Reads a letter, whatever topic it was found in.
pub(super) fn read(codec: &Codec, value: &[u8]) -> Result<Reading, DecodeError> {
    let first = match codec.decode(value) {
        Ok(command) => return Ok(Reading::User(command)),
        Err(error) => error,
    };
    if let Ok(command) = codec.decode(value) {
        return Ok(Reading::Product(command));
    }
    let is_message =
        codec.decode::<UserMessage>(value).is_ok() || codec.decode::<ProductMessage>(value).is_ok();
    if is_message { Ok(Reading::Message) } else { Err(first) }
}

/// What can be done with a letter that is open.
pub(super) fn judge(codec: &Codec, letter: &Letter, lanes: u16, now: Micros) -> Standing {
    match home(codec, letter, lanes, now) {
        Ok(home) => Standing::Usable(home),
        Err(why) => Standing::Useless(why),
    }
}

fn home(codec: &Codec, letter: &Letter, lanes: u16, now: Micros) -> Result<Home, String> {
    let (role, target, key, actor, created_at) = match read(codec, &letter.value) {
        Ok(Reading::User(c)) => (Role::Users, c.user_id.0, c.key, c.actor, c.created_at),
        Ok(Reading::Product(c)) => (Role::Products, c.product_id.0, c.key, c.actor, c.created_at),
        Ok(Reading::Message) => return Err("a message between lanes, which only lanes send".into()),
        Err(error) => return Err(format!("unreadable: {error}")),
    };
    if actor.len() > ACTOR_BYTES_MAX {
        return Err(format!("its actor is longer than {ACTOR_BYTES_MAX} bytes"));
    }
    let age_us = now.0.saturating_sub(created_at.0);
    if age_us > COMMAND_AGE_MAX_US {
        return Err("a command older than 14 days: it would be refused COMMAND_TOO_OLD".to_owned());
    }
    if age_us < -COMMAND_AHEAD_MAX_US {
        return Err("made in the future: it would be refused COMMAND_FROM_FUTURE".to_owned());
    }
    Ok(Home {
        topic: TopicId::commands(role),
        partition: partition_of(target, lanes),
        key: String::from_utf8_lossy(KeyText::of(target).as_bytes()).into_owned(),
        command_id: CommandId::of(role, target, &key),
    })
}

impl Standing {
    /// In one word.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Usable(_) => "usable",
            Self::Useless(_) => "useless",
            Self::Marked(mark) => match &mark.done {
                Done::Redriven(_) => "redriven",
                Done::Discarded(_) => "discarded",
                Done::Other(action) => action,
            },
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable(home) => {
                write!(f, "can go to {}/{}", home.topic.name(), home.partition)
            }
            Self::Useless(why) => f.write_str(why),
            Self::Marked(Mark { actor, done, .. }) => match done {
                Done::Redriven(to) => write!(f, "redriven to {to} by {actor}"),
                Done::Discarded(None) => write!(f, "discarded by {actor}"),
                Done::Discarded(Some(reason)) => write!(f, "discarded by {actor}: {reason}"),
                Done::Other(action) => write!(f, "{action} by {actor}"),
            },
        }
    }
}
