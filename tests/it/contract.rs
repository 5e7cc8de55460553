//! Every answer of the real binary is held to the document that it serves, and the document's
//! examples work when they are pasted.

#[path = "../../ingest-api/src/tests/contract.rs"]
#[allow(dead_code, reason = "the API's own tests use the rest")]
mod rules;

use crate::shop::{Shop, fresh_dir};
use reqwest::{Request, Response, header::HeaderMap};
pub(crate) use rules::{Contract, Exchange};
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

/// By the document's text: most shops serve the same.
static CONTRACTS: LazyLock<Mutex<HashMap<String, Arc<Contract>>>> = LazyLock::new(Mutex::default);

/// What a server says about itself.
pub(crate) async fn of(http: &reqwest::Client, url: &str) -> Result<Arc<Contract>, reqwest::Error> {
    let text = http.get(format!("{url}/openapi.json")).send().await?.text().await?;
    let mut contracts = CONTRACTS.lock().expect("no test panics in here");
    let contract = contracts.entry(text).or_insert_with_key(|text| {
        let document = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        Arc::new(Contract::new(document))
    });
    Ok(Arc::clone(contract))
}

/// A request that is about to be sent.
pub(crate) struct Sent {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Sent {
    pub(crate) fn of(request: &Request) -> Self {
        let (url, body) = (request.url(), request.body().and_then(reqwest::Body::as_bytes));
        let query = url.query().map(|query| format!("?{query}"));
        Self {
            method: request.method().to_string(),
            uri: format!("{}{}", url.path(), query.unwrap_or_default()),
            headers: pairs(request.headers()),
            body: String::from_utf8_lossy(body.unwrap_or_default()).into_owned(),
        }
    }

    /// The answer's text, if the document promised such an answer; panics otherwise.
    pub(crate) async fn checked(
        self,
        contract: &Contract,
        answer: Response,
    ) -> Result<String, reqwest::Error> {
        let (status, headers) = (answer.status().as_u16(), pairs(answer.headers()));
        let body = answer.text().await?;
        let Self { method, uri, headers: sent_headers, body: sent } = self;
        let sent_body = Some(sent);
        let exchange = Exchange { method, uri, sent_headers, sent_body, status, headers, body };
        contract.check(&exchange).unwrap_or_else(|fault| panic!("{fault}"));
        Ok(exchange.body)
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// Call, example (its key, too, where it names one), and status: as a front end would try them.
const STORY: &[(&str, &str, u16)] = &[
    ("registerUser", "ada", 201),
    ("readUser", "", 200),
    ("chargeBalance", "charge", 200),
    ("readBalance", "", 200),
    ("listEntries", "", 200),
    ("registerProduct", "abacus", 201),
    ("listProducts", "", 200),
    ("readProduct", "", 200),
    ("changeProduct", "price", 200),
    ("restockProduct", "ten", 200),
    ("readBestSellers", "", 200),
    ("addToCart", "two", 200),
    ("readCart", "", 200),
    ("removeFromCart", "", 200),
    ("placeOrder", "my-first-order", 202),
    ("placeOrder", "my-second-order", 202),
    ("placeOrder", "my-third-order", 202),
    ("listOrders", "", 200),
    ("readOrder", "", 200),
    ("readOrderHistory", "", 200),
    ("payOrder", "pay", 200),
    ("cancelOrder", "cancel", 200),
    ("refundOrder", "one", 200),
    ("readCommand", "", 200),
    ("readHealth", "", 200),
    ("readReadiness", "", 200),
    ("readMetrics", "", 200),
    ("readDocument", "", 200),
    ("readDocs", "", 200),
    ("readPage", "", 200),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_examples_work_when_pasted() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--demo"]).await;
    let (http, url) = (reqwest::Client::new(), &shop.url);
    let contract = of(&http, url).await.expect("the shop runs");
    for (id, example, status) in STORY {
        let (got, text) = loop {
            let request = pasted(&contract, (&http, url), id, example);
            let sent = Sent::of(&request);
            let answer = http.execute(request).await.expect("an answer");
            let got = answer.status().as_u16();
            let text = sent.checked(&contract, answer).await.expect("a body");
            // Faster than a person who pastes.
            if got != 409 || !text.contains("ORDER_NOT_READY") {
                break (got, text);
            }
        };
        assert_eq!(got, *status, "{id} {example}: {text}");
    }
    let told: BTreeSet<_> = STORY.iter().map(|(id, ..)| *id).collect();
    let calls: Vec<_> = contract.operations().collect();
    let all = calls.iter().filter_map(|(_, call)| call["operationId"].as_str()).collect();
    assert_eq!(told, all, "every call is in the story");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_what_is_configured() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--charge-min", "10", "--charge-max", "500"]).await;
    let client = shop.client();
    client.user(1).await;
    let document = client.get("/openapi.json").await.body;
    let amount = &document["components"]["schemas"]["ChargeAmount"];
    assert_eq!((amount["minimum"].as_i64(), amount["maximum"].as_i64()), (Some(10), Some(500)));
    for (amount, status) in [(9, 400), (10, 200), (500, 200), (501, 400)] {
        assert_eq!(
            client.charge(1, &format!("c{amount}"), amount).await.status,
            status,
            "{amount}"
        );
    }
}

/// A call as its example says it: with what is required, and nothing else.
fn pasted(
    contract: &Contract,
    (http, url): (&reqwest::Client, &str),
    id: &str,
    example: &str,
) -> Request {
    let mut calls = contract.operations();
    let (name, call) = calls.find(|(_, call)| call["operationId"] == *id).expect("a known call");
    let (method, path) = name.split_once(' ').expect("a method and a path");
    let (mut path, mut headers) = (path.to_owned(), HeaderMap::new());
    for parameter in contract.parameters(call) {
        let name = parameter["name"].as_str().expect("a name");
        let Some(value) = value_of(parameter, example) else { continue };
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") => {
                let separator = if path.contains('?') { '&' } else { '?' };
                path = format!("{path}{separator}{name}={value}");
            }
            _ => {
                let name = reqwest::header::HeaderName::try_from(name).expect("a header's name");
                headers.insert(name, value.parse().expect("a header's value"));
            }
        }
    }
    let method = method.parse().expect("a method");
    let request = http.request(method, format!("{url}{path}")).headers(headers);
    let body = call.pointer("/requestBody/content/application~1json/examples");
    let request = match body {
        Some(examples) => {
            assert!(examples.get(example).is_some(), "{id} has no example {example}");
            request.json(&examples[example]["value"])
        }
        None => request,
    };
    request.build().expect("a request")
}

/// The parameter of this example; of any, where it has none of that name but is required.
fn value_of(parameter: &Value, example: &str) -> Option<String> {
    let examples = parameter["examples"].as_object();
    let named = examples.and_then(|all| all.get(example).or_else(|| all.values().next()));
    let value = named.map_or_else(|| &parameter["example"], |example| &example["value"]);
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
