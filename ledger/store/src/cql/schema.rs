//! Keyspace and tables: made by [`init`], looked for by every start.

use super::{
    options::{OpenError, Options},
    session,
};
use jupan_schemas::cql;
use scylla::{
    client::session::Session,
    errors::{DbError, ExecutionError, RequestAttemptError},
};

/// What the version in the table of versions is about.
const PART: &str = "tables";

/// Makes keyspace and tables where they are missing; safe to repeat, and to run beside a shop.
///
/// # Errors
/// [`OpenError`]
pub async fn init(options: &Options) -> Result<(), OpenError> {
    check_name(options)?;
    let (session, _) = session::connect(options).await?;
    if let Some(found) = version(&session, &options.keyspace).await?
        && found > cql::VERSION
    {
        return Err(other_version(options, found));
    }
    run(&session, &cql::create_keyspace(&options.keyspace, options.replicas)).await?;
    for statement in cql::create_tables(&options.keyspace) {
        run(&session, &statement).await?;
    }
    run(&session, &note_version(&options.keyspace)).await
}

/// Whether the tables are there, and of this version.
pub(super) async fn check(session: &Session, options: &Options) -> Result<(), OpenError> {
    match version(session, &options.keyspace).await? {
        Some(cql::VERSION) => Ok(()),
        Some(found) => Err(other_version(options, found)),
        None => Err(OpenError::NotInitialised { keyspace: options.keyspace.clone() }),
    }
}

pub(super) fn check_name(options: &Options) -> Result<(), OpenError> {
    if cql::is_keyspace(&options.keyspace) {
        return Ok(());
    }
    Err(OpenError::Keyspace { name: options.keyspace.clone() })
}

/// Notes the version under a write time that is the version: an older program never takes it back.
pub(super) fn note_version(keyspace: &str) -> String {
    let version = cql::VERSION;
    format!(
        "INSERT INTO {keyspace}.versions (part, version) VALUES ('{PART}', {version}) \
         USING TIMESTAMP {version}"
    )
}

pub(super) fn select_version(keyspace: &str) -> String {
    format!("SELECT version FROM {keyspace}.versions WHERE part = '{PART}'")
}

fn other_version(options: &Options, found: i32) -> OpenError {
    OpenError::Version { keyspace: options.keyspace.clone(), found, known: cql::VERSION }
}

async fn run(session: &Session, statement: &str) -> Result<(), OpenError> {
    tracing::debug!(statement, "making tables");
    let done = session.query_unpaged(statement, ()).await;
    done.map(drop).map_err(|error| OpenError::statement(statement, error))
}

/// The version of the tables; `None` where there are none.
async fn version(session: &Session, keyspace: &str) -> Result<Option<i32>, OpenError> {
    let statement = select_version(keyspace);
    let refused = |source: super::options::Cause| OpenError::statement(&statement, source);
    let answer = match session.query_unpaged(statement.as_str(), ()).await {
        Ok(answer) => answer,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused(error.into())),
    };
    let rows = answer.into_rows_result().map_err(|error| refused(error.into()))?;
    let row = rows.maybe_first_row::<(i32,)>().map_err(|error| refused(error.into()))?;
    Ok(row.map(|(version,)| version))
}

/// Servers call a query of a keyspace or table that is not there invalid.
fn is_missing(error: &ExecutionError) -> bool {
    let invalid = |error: &RequestAttemptError| {
        matches!(error, RequestAttemptError::DbError(DbError::Invalid, _))
    };
    matches!(error, ExecutionError::LastAttemptError(error) if invalid(error))
}
