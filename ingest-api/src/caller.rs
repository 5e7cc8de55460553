//! Who asks. Without authentication the gateway, or whoever is on this machine, says it in
//! `X-User-Id`; who says nothing is taken for the user that the request names.

use crate::{number::id_text, problem::Problem};
use axum::http::{HeaderMap, HeaderName};
use jupan_schemas::{Code, UserId};

const HEADER: HeaderName = HeaderName::from_static("x-user-id");

/// The user who asks, where the request says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller(Option<UserId>);

impl Caller {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(HEADER).iter();
        let Some(value) = given.next() else { return Ok(Self(None)) };
        let id = value.to_str().ok().and_then(id_text).and_then(UserId::new);
        match (id, given.next()) {
            (Some(id), None) => Ok(Self(Some(id))),
            _ => Err(Problem::new(Code::InvalidId).field("X-User-Id")),
        }
    }

    /// Whether this caller may see what belongs to `user`.
    pub(crate) fn is(self, user: UserId) -> bool {
        self.0.is_none_or(|caller| caller == user)
    }

    /// Refuses requests that name another user.
    pub(crate) fn must_be(self, user: UserId) -> Result<(), Problem> {
        if self.is(user) { Ok(()) } else { Err(Problem::new(Code::UserMismatch)) }
    }

    /// For the journal, where a command is not about a user.
    pub(crate) fn actor(self) -> String {
        self.0.map_or_else(|| "operator".to_owned(), user_actor)
    }
}

/// For the journal, where a command is about this user.
pub(crate) fn user_actor(user: UserId) -> String {
    format!("user:{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_read() {
        let table: &[(&[&str], Result<Caller, Code>)] = &[
            (&[], Ok(Caller(None))),
            (&["7"], Ok(Caller(Some(UserId(7))))),
            (&["0"], Ok(Caller(Some(UserId(0))))),
            (&["9007199254740991"], Ok(Caller(Some(UserId((1 << 53) - 1))))),
            (&["9007199254740992"], Err(Code::InvalidId)),
            (&["-1"], Err(Code::InvalidId)),
            (&["+1"], Err(Code::InvalidId)),
            (&["01"], Err(Code::InvalidId)),
            (&["7 "], Err(Code::InvalidId)),
            (&["kim"], Err(Code::InvalidId)),
            (&[""], Err(Code::InvalidId)),
            (&["7", "7"], Err(Code::InvalidId)),
        ];
        for (values, caller) in table {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(HEADER, value.parse().expect("a value"));
            }
            assert_eq!(Caller::of(&headers).map_err(|p| p.code()), *caller, "{values:?}");
        }
        assert!(Caller(None).is(UserId(1)) && Caller(Some(UserId(1))).is(UserId(1)));
        let mismatch = Caller(Some(UserId(2))).must_be(UserId(1)).map_err(|p| p.code());
        assert_eq!(mismatch, Err(Code::UserMismatch));
        assert_eq!(
            (Caller(None).actor(), Caller(Some(UserId(2))).actor()),
            ("operator".into(), "user:2".into())
        );
    }
}
