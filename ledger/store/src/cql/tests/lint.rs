//! CQL that ScyllaDB lacks, or that would break a rule of ours, is found in every statement: the
//! tests run on Apache Cassandra, which would accept it.

use super::ddl::Ddl;
use crate::cql::{scan, schema, statements::Name};
use jupan_schemas::cql;
use std::collections::BTreeSet;

/// Words that no statement may have, and why not.
const BANNED: &[(&str, &str)] = &[
    ("IF", "conditions are lightweight transactions: stamps decide here"),
    ("COUNTER", "counters are not idempotent, and unknown to tablets"),
    ("MATERIALIZED", "views have rows of their own making"),
    ("VIEW", "views have rows of their own making"),
    ("INDEX", "indexes, SAI too, are unknown to tablets or to ScyllaDB"),
    ("CUSTOM", "indexes, SAI too, are unknown to tablets or to ScyllaDB"),
    ("FILTERING", "a query that filters reads whole tables"),
    ("LIKE", "needs an index"),
    ("ANN", "needs a vector index"),
    ("VECTOR", "unknown to most servers"),
    ("MASKED", "dynamic masking is unknown to ScyllaDB"),
    ("JSON", "differs between servers"),
    ("FUNCTION", "functions run on the server"),
    ("AGGREGATE", "functions run on the server"),
    ("TRIGGER", "functions run on the server"),
    ("TTL", "rows stay; only tables of outcomes have a default"),
    ("UPDATE", "makes rows that vanish when they are empty: rows are inserted whole"),
    ("BATCH", "batches are made of prepared statements"),
    ("LOGGED", "batches lie in one partition"),
    ("DROP", "nothing is dropped"),
    ("ALTER", "this is the first version"),
    ("TRUNCATE", "needs every replica"),
    ("STATIC", "one row, one lane"),
    ("TOKEN", "nothing is scanned"),
    ("DISTINCT", "nothing is scanned"),
    ("COUNT", "counts by reading"),
    ("CAST", "differs between servers"),
    ("NOW", "the server has no clock for us"),
    ("COMPACT", "deprecated"),
    ("SIMPLESTRATEGY", "knows no datacenters"),
    ("CDC", "unknown to tablets"),
    ("COMPACTION", "UnifiedCompactionStrategy is unknown to ScyllaDB: the server chooses"),
    ("TIMEOUT", "ScyllaDB's own"),
    ("BYPASS", "ScyllaDB's own"),
    ("SCYLLA_ENCRYPTION_OPTIONS", "ScyllaDB's own"),
];

/// Options that a table may have.
const TABLE_OPTIONS: [&str; 3] =
    ["CLUSTERING ORDER BY", "default_time_to_live = 5184000", "gc_grace_seconds = "];

/// What is wrong with a statement.
fn faults(statement: &str, ddl: &Ddl) -> Vec<String> {
    let mut faults = Vec::new();
    let is_creation = statement.starts_with("CREATE ");
    let checked = if is_creation {
        statement.replacen("IF NOT EXISTS ", "", 1)
    } else {
        statement.to_owned()
    };
    let words: BTreeSet<String> = checked
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(str::to_ascii_uppercase)
        .collect();
    for (banned, why) in BANNED {
        if words.contains(*banned) {
            faults.push(format!("{banned}: {why}"));
        }
    }
    match statement.split(' ').next() {
        Some("CREATE") => creation_faults(statement, &mut faults),
        Some("INSERT") => insert_faults(statement, ddl, &mut faults),
        Some("DELETE") => {
            condition_faults(statement, ddl, &mut faults);
            stamp_faults(statement, &mut faults);
        }
        Some("SELECT") => condition_faults(statement, ddl, &mut faults),
        other => faults.push(format!("{other:?} is no statement of ours")),
    }
    faults
}

fn creation_faults(statement: &str, faults: &mut Vec<String>) {
    if !statement.contains(" IF NOT EXISTS ") {
        faults.push("it cannot be repeated".to_owned());
    }
    if statement.starts_with("CREATE KEYSPACE") {
        if !statement.contains("'NetworkTopologyStrategy'") {
            faults.push("another strategy than NetworkTopologyStrategy".to_owned());
        }
        return;
    }
    for collection in ["list<", "set<", "map<", "tuple<"] {
        for (at, _) in statement.match_indices(collection) {
            if !statement[..at].ends_with("frozen<") {
                faults.push(format!("{collection} is not frozen: its cells have stamps each"));
            }
        }
    }
    for kind in ["float", "double", "decimal", "varint", "timestamp", "duration", "counter"] {
        if statement.contains(&format!(" {kind}")) {
            faults.push(format!("{kind}: numbers are bigint here"));
        }
    }
    let options = statement.split_once(") WITH ").map_or("", |(_, options)| options);
    for option in options.split(" AND ").filter(|option| !option.is_empty()) {
        if !TABLE_OPTIONS.iter().any(|known| option.starts_with(known)) {
            faults.push(format!("option {option}"));
        }
    }
    if options.contains("time_to_live") && !statement.contains("_outcomes (") {
        faults.push("rows of this table must stay".to_owned());
    }
}

/// The table that a statement is about.
fn table(statement: &str) -> &str {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let at = words.iter().position(|word| ["FROM", "INTO"].contains(word)).unwrap_or(0);
    words.get(at + 1).and_then(|name| name.split_once('.')).map_or("", |(_, name)| name)
}

fn insert_faults(statement: &str, ddl: &Ddl, faults: &mut Vec<String>) {
    stamp_faults(statement, faults);
    let named = statement.split(['(', ')']).nth(1).unwrap_or_default();
    let named: BTreeSet<&str> = named.split(", ").collect();
    let columns = ddl.tables.get(table(statement)).map(|table| &table.columns);
    let columns: BTreeSet<&str> =
        columns.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if named != columns {
        faults.push(format!("no whole row: {columns:?}"));
    }
}

fn stamp_faults(statement: &str, faults: &mut Vec<String>) {
    if !statement.contains(" USING TIMESTAMP ") {
        faults.push("without a stamp".to_owned());
    }
}

fn condition_faults(statement: &str, ddl: &Ddl, faults: &mut Vec<String>) {
    if statement.contains('*') {
        faults.push("columns are named".to_owned());
    }
    let condition = statement.split_once(" WHERE ").map_or("", |(_, condition)| condition);
    let key = ddl.tables.get(table(statement)).map(|table| table.partition_key.clone());
    for column in key.unwrap_or_else(|| vec!["its table".to_owned()]) {
        if !format!(" {condition}").contains(&format!(" {column} = ")) {
            faults.push(format!("no single partition: {column} is not given"));
        }
    }
}

fn all_statements() -> Vec<String> {
    let mut all = vec![cql::create_keyspace("shop", 3)];
    all.extend(cql::create_tables("shop"));
    all.extend(Name::ALL.iter().map(|name| name.text("shop")));
    all.extend([schema::note_version("shop"), schema::select_version("shop")]);
    all
}

#[test]
fn every_statement_is_one_that_scylladb_has_too() {
    let ddl = Ddl::read();
    let mut found = Vec::new();
    // Whole tables are looked through a page at a time, by nobody but who verifies them.
    let scans = scan::TABLES.map(|name| name.text("shop"));
    for statement in all_statements() {
        let is_scan = scans.contains(&statement);
        for fault in faults(&statement, &ddl) {
            if is_scan && fault.starts_with("no single partition") {
                continue;
            }
            found.push(format!("{statement}\n    {fault}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_row_carries_lane_and_sequence() {
    for (name, table) in Ddl::read().tables {
        if name == "versions" {
            continue;
        }
        let has = |column: &str| table.columns.iter().any(|(name, _)| name == column);
        let has_sequence = ["sequence", "placed"].into_iter().any(has);
        assert!(has("lane") && has_sequence, "{name}: {:?}", table.columns);
    }
}

#[test]
fn what_is_forbidden_is_found() {
    let ddl = Ddl::read();
    let whole = Name::PutProductId.text("shop");
    for statement in [
        whole.replace(" USING TIMESTAMP ?", ""),
        whole.replace(" USING", " IF NOT EXISTS USING"),
        whole.replace("TIMESTAMP ?", "TIMESTAMP ? AND TTL 60"),
        whole.replace("lane, product_id", "product_id"),
        whole.replace("INTO shop.product_ids", "INTO shop.products"),
        "UPDATE shop.users USING TIMESTAMP ? SET name = ? WHERE user_id = ?".to_owned(),
        "SELECT * FROM shop.users WHERE user_id = ?".to_owned(),
        "SELECT name FROM shop.users".to_owned(),
        "SELECT name FROM shop.users WHERE email = ? ALLOW FILTERING".to_owned(),
        "SELECT JSON name FROM shop.users WHERE user_id = ?".to_owned(),
        "SELECT sequence FROM shop.holds WHERE lane = ?".to_owned(),
        "DELETE FROM shop.holds WHERE lane = ? AND slot = ? AND order_id = ?".to_owned(),
        "CREATE INDEX IF NOT EXISTS ON shop.users (email)".to_owned(),
        "CREATE CUSTOM INDEX IF NOT EXISTS i ON shop.users (email) USING 'sai'".to_owned(),
        "CREATE MATERIALIZED VIEW IF NOT EXISTS shop.v AS SELECT name FROM shop.users".to_owned(),
        "CREATE TABLE shop.t (a int, PRIMARY KEY (a))".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, b counter, PRIMARY KEY (a))".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, b list<int>, PRIMARY KEY (a))".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, b double, PRIMARY KEY (a))".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, b vector<float, 3>, PRIMARY KEY (a))".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, b text MASKED WITH DEFAULT)".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int, PRIMARY KEY (a)) WITH cdc = true".to_owned(),
        "CREATE TABLE IF NOT EXISTS shop.t (a int) WITH default_time_to_live = 5184000".to_owned(),
        cql::create_keyspace("shop", 1).replace("NetworkTopology", "Simple"),
        "TRUNCATE shop.users".to_owned(),
        "BEGIN BATCH APPLY BATCH".to_owned(),
    ] {
        assert!(!faults(&statement, &ddl).is_empty(), "nothing is found in {statement}");
    }
}
