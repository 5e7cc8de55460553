//! Statements with their values, as bytes: so their size is known before they are put into batches.

use super::statements::{Name, Prepared};
use crate::StoreError;
use scylla::{
    frame::response::result::ColumnSpec,
    serialize::{
        SerializationError,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
};

/// What the marks of statements stand for.
pub(super) trait Specs {
    /// One for each mark, in their order.
    fn of(&self, name: Name) -> &[ColumnSpec<'static>];
}

impl Specs for Prepared {
    fn of(&self, name: Name) -> &[ColumnSpec<'static>] {
        self.get(name).get_variable_col_specs().as_slice()
    }
}

/// Values as they go to the server: each a length and as many bytes, or a negative length for null.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values(Vec<u8>);

impl Values {
    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How long they are.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl SerializeRow for Values {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let mut rest = self.0.as_slice();
        while let Some((length, values)) = rest.split_first_chunk::<4>() {
            let cell = writer.make_cell_writer();
            rest = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (value, values) = values.split_at(length);
                    cell.set_value(value).map_err(SerializationError::new)?;
                    values
                }
                Err(_) => {
                    cell.set_null();
                    values
                }
            };
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A statement that writes, with its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) name: Name,
    pub(super) values: Values,
}

impl Bound {
    /// Fails only where values and statement do not belong together.
    pub(super) fn new(
        specs: &impl Specs,
        name: Name,
        values: &impl SerializeRow,
    ) -> Result<Self, StoreError> {
        let mut bytes = Vec::new();
        let context = RowSerializationContext::from_specs(specs.of(name));
        let written = values.serialize(&context, &mut RowWriter::new(&mut bytes));
        written.map_err(|error| StoreError::Broken {
            doing: "write rows",
            cause: format!("{name:?}: {error}"),
        })?;
        Ok(Self { name, values: Values(bytes) })
    }
}
