//! A request's query parameters: known ones only, each at most once.

use crate::{cursor, limits, number, problem::Problem, times};
use axum::{extract::Query, http::Uri};
use jupan_schemas::{Code, Micros, ProductId, Units, UserId};

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of a call that knows these parameters.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(Self::default());
        }
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Err(Problem::new(Code::Malformed).detail("the query cannot be read"));
        };
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::new(Code::UnknownField).field(name));
            }
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::new(Code::Malformed).field(name).detail("given twice"));
            }
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The user that the query must name.
    pub(crate) fn user_id(&self) -> Result<UserId, Problem> {
        self.id("userId", UserId::new)
    }

    /// The product that the query must name.
    pub(crate) fn product_id(&self) -> Result<ProductId, Problem> {
        self.id("productId", ProductId::new)
    }

    fn id<T>(&self, name: &str, new: impl FnOnce(u64) -> Option<T>) -> Result<T, Problem> {
        let Some(text) = self.text(name) else {
            return Err(Problem::new(Code::Malformed).field(name).detail("missing"));
        };
        let id = number::id_text(text).and_then(new);
        id.ok_or_else(|| Problem::new(Code::InvalidId).field(name))
    }

    /// How many units, at least 1, where the query says so.
    pub(crate) fn quantity(&self) -> Result<Option<Units>, Problem> {
        let Some(text) = self.text("quantity") else { return Ok(None) };
        let number = number::id_text(text).and_then(|number| i64::try_from(number).ok());
        match number.filter(|number| *number >= 1) {
            Some(number) => Ok(Some(Units(number))),
            None => {
                let problem = Problem::new(Code::InvalidQuantity).field("quantity");
                Err(problem.detail("must be an integer of at least 1"))
            }
        }
    }

    /// A whole number, not negative, of at most 63 bits: what every caller's integers can hold.
    pub(crate) fn number(&self, name: &str, code: Code) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match number::id_text(text).filter(|number| i64::try_from(*number).is_ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::new(code).field(name).detail("not a whole number")),
        }
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Micros>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match times::parse(text) {
            Some(time) => Ok(Some(time)),
            None => Err(Problem::new(Code::InvalidTime).field(name).detail("not an RFC 3339 time")),
        }
    }

    /// How many items a page has.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(number) = self.number("limit", Code::InvalidCursor)? else {
            return Ok(limits::LIST_LIMIT_DEFAULT);
        };
        let limit = usize::try_from(number).unwrap_or(usize::MAX);
        if (1..=limits::LIST_LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        let detail = format!("a page has 1 to {} items", limits::LIST_LIMIT_MAX);
        Err(Problem::new(Code::InvalidCursor).field("limit").detail(detail))
    }

    /// Where the list goes on.
    pub(crate) fn cursor(&self, list: cursor::List, owner: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        match cursor::read(list, owner, text) {
            Some(position) => Ok(Some(position)),
            None => Err(Problem::new(Code::InvalidCursor).field("cursor")),
        }
    }
}
