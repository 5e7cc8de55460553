//! The tables of the store on ScyllaDB and Apache Cassandra, as `cql/*.cql` declares them.
//!
//! Times are microseconds since 1970, money is in minor units, and sequences, ids and offsets are
//! numbers below 2^63: all `bigint`. A row's stamp is its write time: every row is written whole,
//! `USING TIMESTAMP` of the entry that changed it last, so that the newest one wins wherever the
//! writes meet.
//!
//! **Evolution.** A later version may add tables, columns that may be null, and fields at the end
//! of types; it raises [`VERSION`], and its `init` alters what it finds. Whatever else changes needs
//! tables of another name, which the lanes fill from the journal. A column that was dropped never
//! comes back under its name: the server would drop its older cells, too. `cql/versions/`
//! has the files of each version as one, and a test holds the present ones against the latest.

/// Of the tables in `cql/`. Raise it with every change of them.
pub const VERSION: i32 = 1;

/// The keyspace that the files name, and the default.
pub const KEYSPACE: &str = "jupan";

/// Replicas in each datacenter that the files name, and the default.
pub const REPLICAS: u16 = 3;

/// The longest name of a keyspace.
const KEYSPACE_CHARS_MAX: usize = 48;

const KEYSPACE_FILE: &str = include_str!("../cql/keyspace.cql");
const TABLE_FILES: [&str; 4] = [
    include_str!("../cql/types.cql"),
    include_str!("../cql/users.cql"),
    include_str!("../cql/products.cql"),
    include_str!("../cql/lanes.cql"),
];

/// Whether it can be a keyspace's name: small letters, digits and `_`, a letter first.
pub fn is_keyspace(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_plain)
        && name.len() <= KEYSPACE_CHARS_MAX
}

/// The statement that creates the keyspace where it is missing.
pub fn create_keyspace(name: &str, replicas: u16) -> String {
    let statement = statements(KEYSPACE_FILE).remove(0);
    let factor = |replicas: u16| format!("'replication_factor': {replicas}");
    statement.replace(KEYSPACE, name).replace(&factor(REPLICAS), &factor(replicas))
}

/// The statements that create types and tables where they are missing, in their order.
pub fn create_tables(keyspace: &str) -> Vec<String> {
    let named = format!("{KEYSPACE}.");
    let all = TABLE_FILES.into_iter().flat_map(statements);
    all.map(|statement| statement.replace(&named, &format!("{keyspace}."))).collect()
}

/// A file's statements without comments, each on one line.
fn statements(file: &str) -> Vec<String> {
    let code: Vec<&str> =
        file.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code)).collect();
    let statements = code.join("\n");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    statements.split(';').map(words).filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::PathBuf};

    /// `JUPAN_GOLDEN=write` writes the file of a version that is in no release yet.
    #[test]
    fn the_tables_are_those_of_their_version() {
        let mut text = create_keyspace(KEYSPACE, REPLICAS) + ";\n";
        for statement in create_tables(KEYSPACE) {
            text += &(statement + ";\n");
        }
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cql/versions");
        let path = folder.join(format!("v{VERSION}.cql"));
        if env::var("JUPAN_GOLDEN").is_ok_and(|mode| mode == "write") {
            fs::write(&path, &text).expect("a golden file");
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, golden, "the tables changed: raise cql::VERSION, and keep {path:?}");
    }

    #[test]
    fn keyspace_and_replicas_are_put_in() {
        let created = create_keyspace("shop_7", 1);
        assert!(created.contains("EXISTS shop_7 WITH"), "{created}");
        assert!(created.contains("'replication_factor': 1}"), "{created}");
        for statement in create_tables("shop_7") {
            assert!(statement.contains(" shop_7."), "{statement}");
            assert!(!statement.contains(KEYSPACE), "{statement}");
        }
    }

    #[test]
    fn only_plain_names_are_keyspaces() {
        for name in ["jupan", "a", "shop_7", &"k".repeat(48)] {
            assert!(is_keyspace(name), "{name}");
        }
        for name in ["", "7shop", "_a", "Shop", "a b", "a;b", "a\"", "é", &"k".repeat(49)] {
            assert!(!is_keyspace(name), "{name}");
        }
    }
}
