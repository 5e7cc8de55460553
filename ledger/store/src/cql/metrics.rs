//! Every metric of this provider, by name.

use metrics::counter;

/// Mutations written: each a request about one partition.
pub const MUTATIONS: &str = "jupan_store_cql_mutations_total";
/// Statements in them.
pub const STATEMENTS: &str = "jupan_store_cql_statements_total";
/// Requests that read.
pub const READS: &str = "jupan_store_cql_reads_total";
/// Requests of lanes that were made again.
pub const RETRIES: &str = "jupan_store_cql_retries_total";
/// Requests that readers were told to have failed.
pub const FAILED_READS: &str = "jupan_store_cql_failed_reads_total";

pub(super) fn wrote(statements: usize) {
    counter!(MUTATIONS).increment(1);
    counter!(STATEMENTS).increment(statements as u64);
}

pub(super) fn read() {
    counter!(READS).increment(1);
}

pub(super) fn retried() {
    counter!(RETRIES).increment(1);
}

pub(super) fn failed_read() {
    counter!(FAILED_READS).increment(1);
}
