//! `jupan probe`: asks a process whether it can serve, for whatever starts containers: their image
//! needs no other client.

use crate::{
    COULD_NOT_RUN, FINE, FOUND_A_FAULT, WRONG_USE,
    client::{Client, Request},
};
use std::time::Duration;

/// Longest time for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Whom to ask.
#[derive(Debug, clap::Args)]
#[group(id = "probe")]
pub(crate) struct Options {
    /// Where the process serves its probes
    #[arg(long, env = "JUPAN_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// Asks `/readyz` once. The result is the exit code: 0 ready, 1 not ready, 3 no answer.
pub(crate) fn main(options: &Options) -> u8 {
    let client = match Client::new(&options.url, 1) {
        Ok(client) => client,
        Err(error) => return said(WRONG_USE, &format!("{:#}", anyhow::Error::from(error))),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return said(COULD_NOT_RUN, &error.to_string()),
    };
    let ready = Request::get("/readyz");
    let answer = runtime.block_on(async {
        tokio::time::timeout(ANSWER_MAX, client.send(&ready))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER_MAX.as_secs()))?
    });
    match answer {
        Ok(answer) if answer.status == 200 => {
            println!("ready");
            FINE
        }
        Ok(answer) => {
            let detail = answer.text("detail").unwrap_or_default();
            said(FOUND_A_FAULT, &format!("not ready: {} {detail}", answer.brief()))
        }
        Err(lost) => said(COULD_NOT_RUN, &lost),
    }
}

fn said(code: u8, why: &str) -> u8 {
    eprintln!("jupan probe: {why}");
    code
}
