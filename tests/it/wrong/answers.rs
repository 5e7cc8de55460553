//! What a refusal must look like.

use super::{
    watched::Watched,
    wire::{Reply, Request, Wire},
};
use crate::contract::{self, Contract, Exchange};
use serde_json::Value;
use std::sync::Arc;

/// Faults that a failing test shows.
const FAULTS_SHOWN_MAX: usize = 40;

/// How a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    /// What it is about, where that must be told.
    pub(super) field: Option<&'a str>,
}

pub(super) const fn refused(status: u16, code: &str) -> Refused<'_> {
    Refused { status, code, field: None }
}

pub(super) const fn about<'a>(code: &'a str, field: &'a str) -> Refused<'a> {
    Refused { status: 400, code, field: Some(field) }
}

/// Sends what must be refused, again and again on one connection, and notes what is not.
pub(super) struct Refusals<'a> {
    shop: &'a Watched,
    contract: Arc<Contract>,
    wire: Wire,
    rows: usize,
    faults: Vec<String>,
    appends: u64,
}

impl<'a> Refusals<'a> {
    pub(super) async fn of(shop: &'a Watched) -> Self {
        let (wire, appends) = (shop.wire().await, shop.appends().await);
        let contract = contract::of(&reqwest::Client::new(), &shop.url).await;
        let contract = contract.expect("the shop serves its document");
        Self { shop, contract, wire, rows: 0, faults: Vec::new(), appends }
    }

    /// A request that must be refused so.
    pub(super) async fn check(&mut self, row: &str, request: &Request, expected: Refused<'_>) {
        let reply = self.wire.ask(request).await;
        if let Some(fault) = reply.as_ref().and_then(|reply| self.undocumented(request, reply)) {
            self.note(row, &fault);
        }
        self.judge(row, reply, request.method == "HEAD", expected).await;
    }

    /// Why an answer is none that the shop's document promises.
    fn undocumented(&self, request: &Request, reply: &Reply) -> Option<String> {
        if request.method.chars().any(|c| c.is_ascii_lowercase()) {
            return None;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), text(value)));
        let exchange = Exchange {
            method: request.method.clone(),
            uri: request.target.clone(),
            sent_headers: headers.collect(),
            // The document has no word for most of what is wrong with these bodies.
            sent_body: None,
            status: reply.status,
            headers: reply.headers.clone(),
            body: text(&reply.body),
        };
        let fault = self.contract.check(&exchange).err()?;
        let first = fault.lines().next().unwrap_or_default();
        (first != "refused, and the document allows it").then(|| first.to_owned())
    }

    /// The same, byte by byte as the test wants it.
    pub(super) async fn check_bytes(&mut self, row: &str, bytes: &[u8], expected: Refused<'_>) {
        self.wire.send(bytes).await.expect("it is open");
        let reply = self.wire.reply().await;
        self.judge(row, reply, false, expected).await;
    }

    async fn judge(
        &mut self,
        row: &str,
        reply: Option<Reply>,
        is_head: bool,
        expected: Refused<'_>,
    ) {
        self.rows += 1;
        let is_over = reply.as_ref().is_none_or(|reply| reply.header("connection") == "close");
        let fault = match &reply {
            Some(reply) => refusal(reply, is_head).and_then(|found| differs(&found, expected)),
            None => Err("no answer".to_owned()),
        };
        if let Err(fault) = fault {
            self.note(row, &fault);
        }
        if is_over {
            if !self.wire.is_silent_to_the_end().await {
                self.note(row, "it said more than one answer");
            }
            self.wire = self.shop.wire().await;
        }
    }

    pub(super) fn note(&mut self, row: &str, fault: &str) {
        self.faults.push(format!("{}: {fault}", shown(row)));
    }

    /// Nothing has been appended since the beginning.
    pub(super) async fn check_nothing_appended(&mut self, what: &str) {
        let appends = self.shop.appends().await;
        if appends != self.appends {
            self.note(what, &format!("{} commands were appended", appends - self.appends));
            self.appends = appends;
        }
    }

    /// All of at least so many rows were refused as they must be.
    pub(super) fn end(self, what: &str, rows_min: usize) {
        println!("{}: {} refused", what, self.rows);
        let (count, mut faults) = (self.faults.len(), self.faults);
        faults.truncate(FAULTS_SHOWN_MAX);
        assert!(count == 0, "{what}: {count} of {} rows:\n{}", self.rows, faults.join("\n"));
        assert!(self.rows >= rows_min, "{what}: only {} rows", self.rows);
    }
}

/// What a refusal says: its status, code and field.
type Said = (u16, String, String);

fn differs((status, code, field): &Said, expected: Refused<'_>) -> Result<(), String> {
    let is_field = |name: &str| name == field;
    let is_same = *status == expected.status
        && (code.is_empty() || code == expected.code)
        && (code.is_empty() || expected.field.is_none_or(is_field));
    if is_same { Ok(()) } else { Err(format!("{status} {code} {field}, not {expected:?}")) }
}

/// Reads a problem, which must be whole and in order; of a HEAD's answer only what can be told.
pub(super) fn refusal(reply: &Reply, is_head: bool) -> Result<Said, String> {
    let has = |name: &str, value: &str| reply.header(name) == value;
    if !has("content-type", "application/problem+json") {
        return Err(format!("no problem, but {} {}", reply.status, shown(&reply.text())));
    }
    if !has("cache-control", "no-store") || !has("content-language", "en") {
        return Err(format!("wrong headers: {:?}", reply.headers));
    }
    if is_head {
        return Ok((reply.status, String::new(), String::new()));
    }
    let problem: Value = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("{error}: {}", reply.text()))?;
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let (code, trace) = (text("code"), text("traceId"));
    let is_whole = problem["status"] == reply.status
        && text("type") == format!("urn:jupan:code:{code}")
        && !text("title").is_empty()
        && trace.len() == 32
        && has("trace-id", &trace);
    if is_whole { Ok((reply.status, code, text("field"))) } else { Err(format!("{problem}")) }
}

/// The beginning of something that may be long.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
