//! The tables as the files declare them: what a server would say about them.

use crate::cql::{bound::Specs, statements::Name};
use jupan_schemas::cql;
use scylla::{
    cluster::metadata::UserDefinedType,
    frame::response::result::{CollectionType, ColumnSpec, ColumnType, NativeType, TableSpec},
};
use std::{collections::BTreeMap, sync::Arc};

/// One table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<(String, ColumnType<'static>)>,
    pub(super) partition_key: Vec<String>,
}

/// All types and tables, and what the marks of statements that write stand for.
pub(super) struct Ddl {
    pub(super) tables: BTreeMap<String, Table>,
    specs: Vec<Vec<ColumnSpec<'static>>>,
}

impl Specs for Ddl {
    fn of(&self, name: Name) -> &[ColumnSpec<'static>] {
        &self.specs[name as usize]
    }
}

impl Ddl {
    pub(super) fn read() -> Self {
        let (mut types, mut tables) = (BTreeMap::new(), BTreeMap::new());
        for statement in cql::create_tables(cql::KEYSPACE) {
            let (head, rest) = statement.split_once('(').expect("a list of columns");
            let words: Vec<&str> = head.split_whitespace().collect();
            let name = words.last().expect("a name").trim_start_matches("jupan.").to_owned();
            let end = rest.rfind(')').expect("its end");
            let table = read_table(&rest[..end], &types);
            match words[1] {
                "TYPE" => {
                    types.insert(name.clone(), user_type(name, table.columns));
                }
                "TABLE" => {
                    tables.insert(name, table);
                }
                other => panic!("{other} is declared"),
            }
        }
        let specs = Name::ALL.iter().map(|name| marks(*name, &tables)).collect();
        Self { tables, specs }
    }

    /// The columns of a table in this order, and its rows' write time.
    pub(super) fn row(&self, table: &str, names: &[&str]) -> Vec<ColumnSpec<'static>> {
        let mut specs: Vec<_> = names.iter().map(|name| self.tables[table].spec(name)).collect();
        specs.push(spec("writetime", ColumnType::Native(NativeType::BigInt)));
        specs
    }
}

impl Table {
    fn spec(&self, name: &str) -> ColumnSpec<'static> {
        let found = self.columns.iter().find(|(column, _)| column == name);
        let (_, kind) = found.unwrap_or_else(|| panic!("no column {name}"));
        spec(name, kind.clone())
    }
}

fn spec(name: &str, kind: ColumnType<'static>) -> ColumnSpec<'static> {
    let table = TableSpec::owned("jupan".to_owned(), "any".to_owned());
    ColumnSpec::owned(name.to_owned(), kind, table)
}

fn user_type(name: String, fields: Vec<(String, ColumnType<'static>)>) -> ColumnType<'static> {
    let field_types = fields.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
    let definition = UserDefinedType { name: name.into(), keyspace: "jupan".into(), field_types };
    ColumnType::UserDefinedType { frozen: true, definition: Arc::new(definition) }
}

fn read_table(text: &str, types: &BTreeMap<String, ColumnType<'static>>) -> Table {
    let mut table = Table::default();
    for part in parts(text) {
        if let Some(key) = part.strip_prefix("PRIMARY KEY ") {
            let key = parts(&key[1..key.len() - 1]).remove(0);
            let names = key.trim_matches(['(', ')']).split(", ");
            table.partition_key = names.map(str::to_owned).collect();
        } else {
            let (name, kind) = part.split_once(' ').expect("a name and a type");
            table.columns.push((name.to_owned(), column_type(kind, types)));
        }
    }
    table
}

/// Splits at commas that are in no brackets.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("at least one").push(c);
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn column_type(text: &str, types: &BTreeMap<String, ColumnType<'static>>) -> ColumnType<'static> {
    let native = |kind| ColumnType::Native(kind);
    match text {
        "bigint" => native(NativeType::BigInt),
        "int" => native(NativeType::Int),
        "text" => native(NativeType::Text),
        "uuid" => native(NativeType::Uuid),
        "boolean" => native(NativeType::Boolean),
        "blob" => native(NativeType::Blob),
        _ => {
            let inner = text.strip_prefix("frozen<").and_then(|text| text.strip_suffix('>'));
            let inner = inner.unwrap_or_else(|| panic!("type {text}"));
            match inner.strip_prefix("list<").and_then(|text| text.strip_suffix('>')) {
                Some(item) => {
                    let typ = CollectionType::List(Box::new(column_type(item, types)));
                    ColumnType::Collection { frozen: true, typ }
                }
                None => types[inner].clone(),
            }
        }
    }
}

/// The marks of a statement that writes; none where it reads.
fn marks(name: Name, tables: &BTreeMap<String, Table>) -> Vec<ColumnSpec<'static>> {
    let text = name.text("jupan");
    let words: Vec<&str> = text.split_whitespace().collect();
    let table = || &tables[words[2].trim_start_matches("jupan.")];
    let stamp = || spec("[timestamp]", ColumnType::Native(NativeType::BigInt));
    match words[0] {
        "INSERT" => {
            let columns = text.split(['(', ')']).nth(1).expect("a list of columns");
            let columns = columns.split(", ").map(|column| table().spec(column));
            columns.chain([stamp()]).collect()
        }
        "DELETE" => {
            let (_, keys) = text.split_once(" WHERE ").expect("a condition");
            let keys = keys.split(" AND ").map(|key| key.split(' ').next().expect("a column"));
            [stamp()].into_iter().chain(keys.map(|key| table().spec(key))).collect()
        }
        _ => Vec::new(),
    }
}
