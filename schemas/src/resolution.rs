//! Resolution: rewrites a datum of another version's schema into one of this version's, as the Avro
//! specification says: fields are matched by name, absent ones take their default, unknown symbols
//! the enum's default, and a union's branch is found **by its name**. General-purpose libraries
//! match a branch by whether its fields fit; with them a CancelOrder and a PayOrder, both just an
//! order id, are the same.
//!
//! A pair of schemas is compiled once to a plan; a datum then takes one pass over its bytes.

use crate::{
    datum::{Input, write_long},
    shape::{Field, Misfit, Shape, part},
};

/// How to rewrite what one schema wrote into what another one reads.
#[derive(Debug)]
pub(crate) enum Plan {
    Nothing,
    Boolean,
    Integer,
    LengthAndBytes,
    Bytes(usize),
    /// The reader's position of each of the writer's symbols.
    Symbol(Vec<Option<i64>>),
    Items(Box<Plan>),
    /// What to do with each of the writer's branches.
    Branch(Vec<Option<Plan>>),
    /// The value becomes this branch of the reader's union.
    Into(i64, Box<Plan>),
    Fields(Vec<FieldPlan>),
}

/// What happens at one field, in the order of both records.
#[derive(Debug)]
pub(crate) enum FieldPlan {
    /// Both know it.
    Keep(Plan),
    /// Only the writer knows it.
    Drop(Plan),
    /// Only the reader knows it: this is its default.
    Insert(Vec<u8>),
}

impl Plan {
    /// The plan for a pair of schemas.
    pub(crate) fn new(writer: &Shape, reader: &Shape) -> Result<Self, Misfit> {
        compile(writer, reader, "")
    }

    /// Rewrites the datum at the start of `datum`, appends it to `out`, and gives back what is left over.
    pub(crate) fn rewrite<'a>(
        &self,
        datum: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<&'a [u8], &'static str> {
        let mut input = Input(datum);
        self.run(&mut input, out)?;
        Ok(input.0)
    }

    fn run(&self, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::Nothing => {}
            Self::Boolean => match input.take(1)? {
                flag @ ([0] | [1]) => out.extend_from_slice(flag),
                _ => return Err("a boolean is neither 0 nor 1"),
            },
            Self::Integer => write_long(input.long()?, out),
            Self::LengthAndBytes => {
                let bytes = input.length_and_bytes()?;
                write_long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
                out.extend_from_slice(bytes);
            }
            Self::Bytes(size) => out.extend_from_slice(input.take(*size)?),
            Self::Symbol(positions) => {
                let known = choice(input, positions)?;
                write_long(known.ok_or("a symbol is unknown, and its enum has no default")?, out);
            }
            Self::Items(plan) => rewrite_items(plan, input, out)?,
            Self::Branch(plans) => {
                let known = choice(input, plans)?.as_ref();
                known.ok_or("a union's branch is unknown")?.run(input, out)?;
            }
            Self::Into(branch, plan) => {
                write_long(*branch, out);
                plan.run(input, out)?;
            }
            Self::Fields(fields) => {
                for field in fields {
                    field.run(input, out)?;
                }
            }
        }
        Ok(())
    }
}

impl FieldPlan {
    fn run(&self, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Self::Keep(plan) => plan.run(input, out)?,
            Self::Drop(plan) => {
                let end = out.len();
                plan.run(input, out)?;
                out.truncate(end);
            }
            Self::Insert(default) => out.extend_from_slice(default),
        }
        Ok(())
    }
}

/// Arrays come in blocks, ended by an empty one; a negative count is followed by the block's size
/// in bytes, which rewriting changes and which is therefore left out.
fn rewrite_items(
    plan: &Plan,
    input: &mut Input<'_>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    // Blocks of items without bytes could each claim as many as there are bytes left.
    let total_max = input.0.len();
    let mut total: usize = 0;
    loop {
        let count = input.block()?;
        total = total.saturating_add(count);
        if total > total_max {
            return Err("an array claims more items than the datum has bytes");
        }
        write_long(i64::try_from(count).unwrap_or(i64::MAX), out);
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            plan.run(input, out)?;
        }
    }
}

/// The writer's symbol or branch.
fn choice<'p, T>(input: &mut Input<'_>, choices: &'p [T]) -> Result<&'p T, &'static str> {
    let position = usize::try_from(input.long()?).ok();
    position.and_then(|at| choices.get(at)).ok_or("no such symbol or branch")
}

fn compile(writer: &Shape, reader: &Shape, path: &str) -> Result<Plan, Misfit> {
    let plan = match (writer, reader) {
        (Shape::Union(branches), _) => {
            let plans: Vec<_> =
                branches.iter().map(|branch| compile(branch, reader, path).ok()).collect();
            if plans.iter().all(Option::is_none) {
                return Err(Misfit::at(path, "no branch of the union can be read"));
            }
            Plan::Branch(plans)
        }
        (_, Shape::Union(branches)) => {
            let found = branches.iter().position(|branch| is_same_type(writer, branch));
            let found = found.ok_or_else(|| mismatch(writer, reader, path))?;
            let plan = compile(writer, &branches[found], path)?;
            Plan::Into(i64::try_from(found).unwrap_or(i64::MAX), Box::new(plan))
        }
        (Shape::Array(from), Shape::Array(to)) => Plan::Items(Box::new(compile(from, to, path)?)),
        _ if !is_same_type(writer, reader) => return Err(mismatch(writer, reader, path)),
        (Shape::Record { fields: from, .. }, Shape::Record { fields: to, .. }) => {
            Plan::Fields(compile_fields(from, to, path)?)
        }
        (Shape::Enum { symbols: from, .. }, Shape::Enum { symbols: to, default, .. }) => {
            let position_of = |symbol: &String| to.iter().position(|known| known == symbol);
            let fallback = default.as_ref().and_then(position_of);
            let find =
                |symbol| position_of(symbol).or(fallback).and_then(|at| i64::try_from(at).ok());
            Plan::Symbol(from.iter().map(find).collect())
        }
        (Shape::Fixed { size, .. }, Shape::Fixed { size: to, .. }) if size == to => {
            Plan::Bytes(*size)
        }
        (Shape::Fixed { .. }, _) => return Err(Misfit::at(path, "the size of a fixed changed")),
        (Shape::Null, _) => Plan::Nothing,
        (Shape::Boolean, _) => Plan::Boolean,
        (Shape::Int | Shape::Long | Shape::TimestampMicros, _) => Plan::Integer,
        _ => Plan::LengthAndBytes,
    };
    Ok(plan)
}

/// Both records' fields in one order. Fields that both know never change their order, so one pass is enough.
fn compile_fields(
    writer: &[Field],
    reader: &[Field],
    path: &str,
) -> Result<Vec<FieldPlan>, Misfit> {
    let mut plans = Vec::with_capacity(reader.len());
    let mut unread = writer.iter();
    for field in reader {
        let path = part(path, &field.name);
        if !writer.iter().any(|known| known.name == field.name) {
            let default = field.default.clone();
            let why = || Misfit::at(&path, "the writer has no such field, and it has no default");
            plans.push(FieldPlan::Insert(default.ok_or_else(why)?));
            continue;
        }
        loop {
            let from =
                unread.next().ok_or_else(|| Misfit::at(&path, "the field changed its place"))?;
            if from.name == field.name {
                plans.push(FieldPlan::Keep(compile(&from.shape, &field.shape, &path)?));
                break;
            }
            plans.push(FieldPlan::Drop(compile(&from.shape, &from.shape, &path)?));
        }
    }
    for from in unread {
        plans.push(FieldPlan::Drop(compile(&from.shape, &from.shape, path)?));
    }
    Ok(plans)
}

fn is_same_type(writer: &Shape, reader: &Shape) -> bool {
    use Shape::{Array, Int, Long, TimestampMicros};
    match (writer, reader) {
        (Array(from), Array(to)) => is_same_type(from, to),
        (Int | Long | TimestampMicros, Long | TimestampMicros) => true,
        _ => {
            std::mem::discriminant(writer) == std::mem::discriminant(reader)
                && writer.name() == reader.name()
        }
    }
}

fn mismatch(writer: &Shape, reader: &Shape, path: &str) -> Misfit {
    Misfit::at(path, format!("{} cannot be read as {}", writer.describe(), reader.describe()))
}

#[cfg(test)]
mod tests;
