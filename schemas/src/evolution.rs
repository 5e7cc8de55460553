//! What may change in a schema, and what may not: the rules that every new version keeps against
//! every stored earlier one (`versions/`), so that a journal of years stays readable and tools of
//! the outside keep working.
//!
//! - **Flat records** (order events, sales, top products, command results): every version reads
//!   every other one.
//! - **Envelopes** (commands, inboxes, steps): a later version reads every earlier one. The single
//!   freedom more than flat records have is a new branch at the end of a payload union; lanes are
//!   upgraded before a producer uses it. Inside a branch the rules of flat records hold.
//!
//! In both, a new field has a default, a new symbol stands at the end of an enum that has a
//! default, and nothing is renamed, removed, moved or given another type.

use crate::{
    codec::SchemaName,
    shape::{Field, Shape, part},
};
use std::fmt;

/// A change that would make records of one version unreadable for another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{schema:?}, at {path}: {change}")]
pub struct Violation {
    /// Whose schema.
    pub schema: SchemaName,
    /// The field, from the schema's root on, or the branch of a union.
    pub path: String,
    /// What is wrong with it.
    pub change: Forbidden,
}

/// The forbidden changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The text is no schema, or has a type that the contract has no use for.
    NoSchema {
        /// What is wrong with it.
        why: String,
    },
    /// The type is another one.
    Type {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A named type has another name.
    Name {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A fixed has another size.
    Size,
    /// A field is gone, or has another name.
    FieldGone,
    /// A field stands before one that it stood behind.
    FieldMoved,
    /// A new field has no default.
    FieldWithoutDefault,
    /// A symbol of an enum is gone, or stands elsewhere.
    SymbolGone,
    /// An enum has no default for symbols that a reader does not know.
    EnumWithoutDefault,
    /// A branch of a union is gone, or stands elsewhere.
    BranchGone,
    /// A branch is new where every version has to read every other one.
    BranchAdded,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoSchema { why } => return write!(f, "no schema of this contract: {why}"),
            Self::Type { from, to } => return write!(f, "the type was {from} and is {to}"),
            Self::Name { from, to } => return write!(f, "the type's name was {from} and is {to}"),
            Self::Size => "a fixed keeps its size",
            Self::FieldGone => "a field stays, under its name",
            Self::FieldMoved => "fields keep their order",
            Self::FieldWithoutDefault => "a new field needs a default",
            Self::SymbolGone => "symbols keep their places; new ones go to the end",
            Self::EnumWithoutDefault => "an enum needs a default symbol",
            Self::BranchGone => "branches keep their places; new ones go to the end",
            Self::BranchAdded => "only an envelope's payload union may get a new branch",
        };
        f.write_str(text)
    }
}

/// Whether a later schema keeps the rules against an earlier one.
///
/// # Errors
/// Every [`Violation`], in the order of the schema.
pub fn check(schema: SchemaName, earlier: &str, later: &str) -> Result<(), Vec<Violation>> {
    let mut comparison = Comparison { schema, violations: Vec::new() };
    match (comparison.parse(earlier), comparison.parse(later)) {
        (Some(from), Some(to)) => comparison.shapes(&from, &to, "", is_envelope(schema)),
        _ => debug_assert!(!comparison.violations.is_empty(), "what is not parsed is reported"),
    }
    if comparison.violations.is_empty() { Ok(()) } else { Err(comparison.violations) }
}

fn is_envelope(schema: SchemaName) -> bool {
    match schema {
        SchemaName::UserCommand
        | SchemaName::ProductCommand
        | SchemaName::UserMessage
        | SchemaName::ProductMessage
        | SchemaName::Step => true,
        SchemaName::OrderEvent
        | SchemaName::Sale
        | SchemaName::TopProducts
        | SchemaName::CommandResult => false,
    }
}

struct Comparison {
    schema: SchemaName,
    violations: Vec<Violation>,
}

impl Comparison {
    fn parse(&mut self, text: &str) -> Option<Shape> {
        let parsed = Shape::parse(text);
        parsed.map_err(|bad| self.report(&bad.path, Forbidden::NoSchema { why: bad.why })).ok()
    }

    fn report(&mut self, path: &str, change: Forbidden) {
        self.violations.push(Violation { schema: self.schema, path: path.to_owned(), change });
    }

    /// `may_grow`: a payload union found here may have new branches at its end.
    fn shapes(&mut self, earlier: &Shape, later: &Shape, path: &str, may_grow: bool) {
        if let (Some(from), Some(to)) = (earlier.name(), later.name())
            && from != to
        {
            self.report(path, Forbidden::Name { from: from.to_owned(), to: to.to_owned() });
        }
        match (earlier, later) {
            (Shape::Record { fields: from, .. }, Shape::Record { fields: to, .. }) => {
                self.fields(from, to, path, may_grow);
            }
            (Shape::Union(from), Shape::Union(to)) => self.branches(from, to, path, may_grow),
            (Shape::Array(from), Shape::Array(to)) => self.shapes(from, to, path, may_grow),
            (Shape::Enum { symbols: from, .. }, Shape::Enum { symbols: to, default, .. }) => {
                if !to.starts_with(from) {
                    self.report(path, Forbidden::SymbolGone);
                }
                if default.is_none() {
                    self.report(path, Forbidden::EnumWithoutDefault);
                }
            }
            (Shape::Fixed { size: from, .. }, Shape::Fixed { size: to, .. }) => {
                if from != to {
                    self.report(path, Forbidden::Size);
                }
            }
            _ if earlier == later => {}
            _ => {
                let change = Forbidden::Type { from: earlier.describe(), to: later.describe() };
                self.report(path, change);
            }
        }
    }

    fn fields(&mut self, earlier: &[Field], later: &[Field], path: &str, may_grow: bool) {
        let mut place = 0;
        for from in earlier {
            let path = part(path, &from.name);
            let Some(at) = later.iter().position(|to| to.name == from.name) else {
                self.report(&path, Forbidden::FieldGone);
                continue;
            };
            if at < place {
                self.report(&path, Forbidden::FieldMoved);
            }
            place = place.max(at);
            self.shapes(&from.shape, &later[at].shape, &path, may_grow);
        }
        for to in later {
            let is_new = !earlier.iter().any(|from| from.name == to.name);
            if is_new && to.default.is_none() {
                self.report(&part(path, &to.name), Forbidden::FieldWithoutDefault);
            }
        }
    }

    fn branches(&mut self, earlier: &[Shape], later: &[Shape], path: &str, may_grow: bool) {
        let is_payload = earlier.iter().all(|branch| matches!(branch, Shape::Record { .. }));
        for (at, from) in earlier.iter().enumerate() {
            let path = from.name().map_or_else(|| path.to_owned(), |name| part(path, name));
            match later.get(at) {
                Some(to) if to.name() == from.name() => {
                    self.shapes(from, to, &path, may_grow && !is_payload);
                }
                _ => self.report(&path, Forbidden::BranchGone),
            }
        }
        if later.len() > earlier.len() && !(may_grow && is_payload) {
            self.report(path, Forbidden::BranchAdded);
        }
    }
}
