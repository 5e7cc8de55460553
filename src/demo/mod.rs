//! `--demo`: a made-up catalogue, and users 1 to 10 with money, so that there is something to buy.
//!
//! It comes in through the front door: writes of the HTTP API, with fixed keys. Keys are remembered for
//! 15 days only, so each write is preceded by a look: what is there is never written again, however
//! late, and what a killed start left out is made up for by the next one. A look is of no use while a
//! command of an earlier start waits in the log, so everything in there is decided first.
//!
//! A data directory is the demo's if `demo.json` says so, which is written before anything else, and
//! only where the log holds no command. Any other directory is somebody's shop and is refused.

mod catalogue;

pub(crate) use catalogue::WALLET;

use crate::client::{Answer, Client, Patience, Request, Stalled, UrlError};
use catalogue::{PRODUCTS, Product, USERS, User};
use jupan_log::{Log, ReadError};
use jupan_schemas::{Lane, Role, TopicId};
use jupan_store::{ReadStore, StoreError};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{task::JoinSet, time};

/// Says that a directory is the demo's.
const MARKER: &str = "demo.json";
/// How long the lanes may take to decide what an earlier start left in the log.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);
/// How often the lanes are looked at meanwhile.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);
/// How long the shop may take for any one write.
const PATIENCE: Duration = Duration::from_secs(60);
/// The user or the product that a look asks for is not there.
const NOT_FOUND: u16 = 404;

/// The demo could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The directory is a shop already, and not the demo's.
    #[error(
        "{dir} holds a shop that --demo did not make, and is left as it is: \
         give --demo an empty directory, for example --data ./jupan-demo"
    )]
    NotOurs {
        /// Which directory.
        dir: PathBuf,
    },
    /// The directory cannot be marked as the demo's.
    #[error("{path} cannot be written")]
    Marker {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The log cannot say what it holds.
    #[error("the demo cannot see what is in the log")]
    Log(#[from] ReadError),
    /// The store cannot say how far the lanes are.
    #[error("the demo cannot see how far the lanes are")]
    Store(#[from] StoreError),
    /// The lanes are busy with an earlier start's commands.
    #[error("the lanes have not decided in {seconds} s what was in the log at the start")]
    Behind {
        /// How long was waited.
        seconds: u64,
    },
    /// The shop has an address that its own client cannot read.
    #[error("the demo cannot reach its own shop")]
    Url(#[from] UrlError),
    /// The shop does not answer.
    #[error("the demo's shop does not answer")]
    Stalled(#[from] Stalled),
    /// The shop said no.
    #[error("{subject} of the demo was refused: {answer}")]
    Refused {
        /// What was to be made.
        subject: String,
        /// Status and code.
        answer: String,
    },
    /// A task of ours broke.
    #[error("the demo's set-up broke")]
    Broken(#[from] tokio::task::JoinError),
}

/// Makes sure that the directory is the demo's to fill, and marks it. The log is open, so nobody else
/// is in the directory; no lane runs yet.
///
/// # Errors
/// [`Error::NotOurs`] where the directory has data that the demo did not make; [`Error::Marker`],
/// [`Error::Log`].
pub(crate) fn claim(dir: &Path, log: &dyn Log) -> Result<(), Error> {
    let path = dir.join(MARKER);
    if path.exists() {
        return Ok(());
    }
    if ends(log)?.iter().any(|(_, end)| *end > 0) {
        return Err(Error::NotOurs { dir: dir.to_owned() });
    }
    write_marker(dir, &path).map_err(|source| Error::Marker { path, source })
}

fn write_marker(dir: &Path, path: &Path) -> io::Result<()> {
    let temporary = dir.join("demo.json.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(b"{\"format\":1,\"madeBy\":\"jupan --demo\"}\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

/// How many commands each lane has been sent.
fn ends(log: &dyn Log) -> Result<Vec<(Lane, u64)>, ReadError> {
    let lanes = [Role::Users, Role::Products]
        .into_iter()
        .flat_map(|role| (0..log.partitions()).map(move |index| Lane { role, index }));
    lanes
        .map(|lane| Ok((lane, log.bounds(TopicId::commands(lane.role), lane.index)?.end)))
        .collect()
}

/// Adds whatever of the demo is not there to the shop that is served at `url`.
///
/// # Errors
/// [`Error`]; what is there already stays, and the next start goes on from it.
pub(crate) async fn set_up(url: &str, log: &dyn Log, store: &dyn ReadStore) -> Result<(), Error> {
    let caught_up = catch_up(ends(log)?, store);
    time::timeout(CATCH_UP_MAX, caught_up)
        .await
        .map_err(|_| Error::Behind { seconds: CATCH_UP_MAX.as_secs() })??;
    let client = Client::new(url, PRODUCTS.len() + USERS.len())?;
    let mut tasks = JoinSet::new();
    for product in &PRODUCTS {
        tasks.spawn(add_product(client.clone(), product));
    }
    for user in &USERS {
        tasks.spawn(add_user(client.clone(), user));
    }
    let mut written = 0;
    while let Some(ended) = tasks.join_next().await {
        written += ended??;
    }
    tracing::info!(written, "the demo is set up");
    Ok(())
}

/// Waits until every lane has decided what it was sent.
async fn catch_up(sent: Vec<(Lane, u64)>, store: &dyn ReadStore) -> Result<(), StoreError> {
    for (lane, end) in sent.into_iter().filter(|(_, end)| *end > 0) {
        while store.projected(lane).await?.is_none_or(|mark| mark.positions.commands < end) {
            time::sleep(CATCH_UP_PAUSE).await;
        }
    }
    Ok(())
}

/// Registers a product unless there is one with its id; returns how many commands that took.
async fn add_product(client: Client, product: &Product) -> Result<u32, Error> {
    let Product { id, name, price, stock } = *product;
    if is_found(&client, &format!("/products/{id}")).await? {
        return Ok(0);
    }
    let body = json!({"id": id, "name": name, "price": price, "stock": stock});
    let request = Request::post("/products", format!("demo-product-{id}"), &body);
    write(&client, format!("product {id}"), &request).await?;
    Ok(1)
}

/// Registers a user unless there is one with the id, and charges the wallet unless it was ever used;
/// returns how many commands that took.
async fn add_user(client: Client, user: &User) -> Result<u32, Error> {
    let User { id, name } = *user;
    let mut written = 0;
    if !is_found(&client, &format!("/users/{id}")).await? {
        let body = json!({"id": id, "name": name, "email": format!("user{id}@example.org")});
        let request = Request::post("/users", format!("demo-user-{id}"), &body);
        write(&client, format!("user {id}"), &request).await?;
        written += 1;
    }
    if !has_statement(&client, id).await? {
        let body = json!({"userId": id, "amount": WALLET});
        let request = Request::post("/balance/charge", format!("demo-charge-{id}"), &body);
        write(&client, format!("the charge of user {id}"), &request).await?;
        written += 1;
    }
    Ok(written)
}

async fn is_found(client: &Client, path: &str) -> Result<bool, Error> {
    let answer = client.insist(&Request::get(path), &Patience::new(PATIENCE)).await?;
    if answer.status == NOT_FOUND {
        return Ok(false);
    }
    accepted(path.to_owned(), &answer).map(|()| true)
}

/// Whether anything was ever credited to the wallet: a wallet that was charged and spent has a balance
/// of zero, but not an empty statement.
async fn has_statement(client: &Client, user: u64) -> Result<bool, Error> {
    let path = format!("/balance/entries?userId={user}&limit=1");
    let answer = client.insist(&Request::get(&path), &Patience::new(PATIENCE)).await?;
    accepted(path, &answer)?;
    Ok(answer.body["entries"].as_array().is_some_and(|entries| !entries.is_empty()))
}

async fn write(client: &Client, subject: String, request: &Request) -> Result<(), Error> {
    accepted(subject, &client.outcome(request, &Patience::new(PATIENCE)).await?)
}

fn accepted(subject: String, answer: &Answer) -> Result<(), Error> {
    if (200..=299).contains(&answer.status) {
        return Ok(());
    }
    Err(Error::Refused { subject, answer: answer.brief() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupan_schemas::{Positions, Stamp, rows::Watermark};
    use jupan_store::{LaneStore, memory::MemoryStore};

    /// A look comes only after whatever an earlier start left in the log: a charge that waits there
    /// is not in any statement yet, and its key may be forgotten by the time it is.
    #[tokio::test]
    async fn what_waits_in_the_log_is_waited_for() {
        let store = MemoryStore::new();
        let [users, products] = [Role::Users, Role::Products].map(|role| Lane { role, index: 0 });
        let decided = |lane, commands| {
            let positions = Positions { commands, ..Default::default() };
            let (step, journal, sequence, stamp) = (commands, commands, commands, Stamp(1));
            let watermark = Watermark { step, journal, sequence, stamp, positions };
            store.set_watermark(lane, watermark).expect("stored");
        };
        let sent = || vec![(users, 3), (products, 0)];
        for commands in [None, Some(2)] {
            commands.into_iter().for_each(|commands| decided(users, commands));
            let waited = time::timeout(CATCH_UP_PAUSE * 3, catch_up(sent(), &store)).await;
            assert!(waited.is_err(), "{commands:?}");
        }
        decided(users, 3);
        let waited = time::timeout(CATCH_UP_MAX, catch_up(sent(), &store)).await;
        assert!(matches!(waited, Ok(Ok(()))));
    }
}
