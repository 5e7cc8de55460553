//! The files: CSV, gzipped where the name ends in `.gz`. Read line by line, so that a file may be larger
//! than memory and every complaint names its line. A field may be quoted, but not span lines.

use super::limits::{LINE_BYTES_MAX, LINE_UNITS_MAX, ORDER_LINES_MAX, ORDER_REF_CHARS_MAX};
use csv::StringRecord;
use jiff::Timestamp;
use jupan_schemas::{Line, Money, PRICE_AND_STOCK_MAX, ProductId, Units, UserId};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

const PRODUCT_COLUMNS: &[&str] = &["product_id", "name", "price"];
const ORDER_COLUMNS: &[&str] =
    &["ts", "user_id", "order_ref", "product_id", "quantity", "unit_price"];

/// A file that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be opened.
    #[error("{} cannot be opened", file.display())]
    Open {
        /// Which file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ends or breaks in the middle: a cut `.gz`, bytes that are no UTF-8.
    #[error("{}, line {line}: cannot be read", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Where.
        line: u64,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A line says something that cannot be.
    #[error("{}, line {line}: {problem}", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Where.
        line: u64,
        /// What.
        problem: String,
    },
}

/// The lines of a CSV file with known columns.
struct Table {
    file: PathBuf,
    reader: Box<dyn BufRead + Send>,
    columns: &'static [&'static str],
    /// Number of the line in `fields`, from 1.
    line: u64,
    bytes: Vec<u8>,
    fields: StringRecord,
}

impl Table {
    fn open(file: &Path, columns: &'static [&'static str]) -> Result<Self, FileError> {
        let opened =
            File::open(file).map_err(|source| FileError::Open { file: file.to_owned(), source })?;
        let zipped = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let reader: Box<dyn BufRead + Send> = if zipped {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(opened))))
        } else {
            Box::new(BufReader::new(opened))
        };
        Self::new(file, reader, columns)
    }

    fn new(
        file: &Path,
        reader: Box<dyn BufRead + Send>,
        columns: &'static [&'static str],
    ) -> Result<Self, FileError> {
        let (bytes, fields) = (Vec::new(), StringRecord::new());
        let mut table = Self { file: file.to_owned(), reader, columns, line: 0, bytes, fields };
        let read = match table.next_line() {
            Err(FileError::Malformed { .. }) => false,
            other => other?,
        };
        if !read || table.fields != *columns {
            let expected = columns.join(",");
            return Err(table.malformed(format!("the columns must be `{expected}`")));
        }
        Ok(table)
    }

    fn malformed(&self, problem: impl Into<String>) -> FileError {
        self.malformed_at(self.line, problem)
    }

    fn malformed_at(&self, line: u64, problem: impl Into<String>) -> FileError {
        FileError::Malformed { file: self.file.clone(), line, problem: problem.into() }
    }

    fn unreadable(&self, source: io::Error) -> FileError {
        FileError::Read { file: self.file.clone(), line: self.line, source }
    }

    /// Reads the next line that is not empty into `fields`; false at the end.
    fn next_line(&mut self) -> Result<bool, FileError> {
        loop {
            self.line += 1;
            self.bytes.clear();
            let mut bounded = (&mut self.reader).take(LINE_BYTES_MAX + 1);
            let read = bounded.read_until(b'\n', &mut self.bytes);
            let length = read.map_err(|source| self.unreadable(source))?;
            if u64::try_from(length).unwrap_or(u64::MAX) > LINE_BYTES_MAX {
                return Err(self.malformed(format!("longer than {LINE_BYTES_MAX} bytes")));
            }
            if length == 0 {
                return Ok(false);
            }
            let bytes = std::mem::take(&mut self.bytes);
            let result = self.split(&bytes);
            self.bytes = bytes;
            if result? {
                return Ok(true);
            }
        }
    }

    /// Splits a line into `fields`; false if it is empty.
    fn split(&mut self, bytes: &[u8]) -> Result<bool, FileError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Ok(false);
        }
        self.fields.clear();
        if text.contains('"') {
            csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes())
                .read_record(&mut self.fields)
                .map_err(|error| self.malformed(error.to_string()))?;
        } else {
            self.fields.extend(text.split(','));
        }
        if self.fields.len() != self.columns.len() {
            let (expected, found) = (self.columns.len(), self.fields.len());
            return Err(self.malformed(format!("{expected} fields expected, {found} found")));
        }
        Ok(true)
    }

    fn text(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }

    fn bad(&self, column: usize, expected: &str) -> FileError {
        let (name, found) = (self.columns[column], self.text(column));
        self.malformed(format!("{name} must be {expected}, not `{found}`"))
    }

    fn id<T>(&self, column: usize, make: fn(u64) -> Option<T>) -> Result<T, FileError> {
        let id = self.text(column).parse().ok().and_then(make);
        id.ok_or_else(|| self.bad(column, "a whole number below 2^53"))
    }

    fn number(&self, column: usize, least: i64, most: i64) -> Result<i64, FileError> {
        let number = self.text(column).parse().ok();
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.bad(column, &format!("a whole number from {least} to {most}")))
    }
}

/// A line of the products file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) id: ProductId,
    pub(super) name: String,
    pub(super) price: Money,
}

/// The products of a products file.
pub(super) struct Products {
    table: Table,
}

impl Products {
    pub(super) fn open(file: &Path) -> Result<Self, FileError> {
        Ok(Self { table: Table::open(file, PRODUCT_COLUMNS)? })
    }

    /// The next product, or `None` at the end.
    pub(super) fn next_product(&mut self) -> Result<Option<Product>, FileError> {
        let table = &mut self.table;
        if !table.next_line()? {
            return Ok(None);
        }
        let id = table.id(0, ProductId::new)?;
        let name = table.text(1).to_owned();
        if name.trim().is_empty() {
            return Err(table.bad(1, "a name"));
        }
        let price = Money(table.number(2, 0, PRICE_AND_STOCK_MAX)?);
        Ok(Some(Product { id, name, price }))
    }

    /// A complaint about the product that was read last.
    pub(super) fn malformed(&self, problem: impl Into<String>) -> FileError {
        self.table.malformed(problem)
    }
}

/// One order: adjacent lines of the orders file that share their `order_ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// When it happened.
    pub(super) at: Timestamp,
    pub(super) user: UserId,
    /// What the file calls it; its idempotency key rests on it.
    pub(super) reference: String,
    /// The number of its first line in the file.
    pub(super) line: u64,
    /// Its products, each once: the same product twice is one line, as the shop sees it.
    pub(super) items: Vec<Line>,
    /// What the file says that one unit of each item cost.
    pub(super) prices: Vec<Money>,
}

/// A line of the orders file.
struct Row {
    line: u64,
    at: Timestamp,
    user: UserId,
    reference: String,
    item: Line,
    price: Money,
}

/// The orders of an orders file, in its order.
pub(super) struct Orders {
    table: Table,
    /// The first line of the next order.
    ahead: Option<Row>,
    last: Timestamp,
}

impl Orders {
    pub(super) fn open(file: &Path) -> Result<Self, FileError> {
        let table = Table::open(file, ORDER_COLUMNS)?;
        let mut orders = Self { table, ahead: None, last: Timestamp::MIN };
        orders.ahead = orders.next_row()?;
        Ok(orders)
    }

    /// The next order, or `None` at the end.
    pub(super) fn next_order(&mut self) -> Result<Option<Order>, FileError> {
        let Some(first) = self.ahead.take() else { return Ok(None) };
        let Row { line, at, user, reference, item, price } = first;
        let (items, prices) = (vec![item], vec![price]);
        let mut order = Order { at, user, reference, line, items, prices };
        while let Some(row) = self.next_row()? {
            if row.reference != order.reference {
                self.ahead = Some(row);
                break;
            }
            self.add(&mut order, &row)?;
        }
        Ok(Some(order))
    }

    /// A complaint about an order.
    pub(super) fn malformed(&self, line: u64, problem: impl Into<String>) -> FileError {
        self.table.malformed_at(line, problem)
    }

    fn add(&self, order: &mut Order, row: &Row) -> Result<(), FileError> {
        let reference = &row.reference;
        if row.user != order.user || row.at != order.at {
            let problem = format!("order {reference} has lines of another user or time");
            return Err(self.table.malformed(problem));
        }
        let same = order.items.iter().position(|item| item.product_id == row.item.product_id);
        if let Some(index) = same {
            if order.prices[index] != row.price {
                let problem = format!("order {reference} names two prices of one product");
                return Err(self.table.malformed(problem));
            }
            let units = order.items[index].quantity.0 + row.item.quantity.0;
            if units > LINE_UNITS_MAX {
                let problem = format!(
                    "order {reference} has more than {LINE_UNITS_MAX} units of product {}",
                    row.item.product_id
                );
                return Err(self.table.malformed(problem));
            }
            order.items[index].quantity = Units(units);
        } else if order.items.len() == ORDER_LINES_MAX {
            let problem = format!("order {reference} has more than {ORDER_LINES_MAX} products");
            return Err(self.table.malformed(problem));
        } else {
            order.items.push(row.item);
            order.prices.push(row.price);
        }
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        let table = &mut self.table;
        if !table.next_line()? {
            return Ok(None);
        }
        let at: Timestamp =
            table.text(0).parse().map_err(|_| table.bad(0, "a time like 2017-01-31T23:59:59Z"))?;
        if at < self.last {
            return Err(
                table.malformed(format!("{at} is earlier than the line before: sort by ts"))
            );
        }
        self.last = at;
        let reference = table.text(2);
        let key_safe = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        let length_fits = (1..=ORDER_REF_CHARS_MAX).contains(&reference.len());
        if !length_fits || !reference.chars().all(key_safe) {
            return Err(table.bad(2, "1 to 200 visible ASCII characters without quotes"));
        }
        Ok(Some(Row {
            line: table.line,
            at,
            user: table.id(1, UserId::new)?,
            reference: reference.to_owned(),
            item: Line {
                product_id: table.id(3, ProductId::new)?,
                quantity: Units(table.number(4, 1, LINE_UNITS_MAX)?),
            },
            price: Money(table.number(5, 0, PRICE_AND_STOCK_MAX)?),
        }))
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
