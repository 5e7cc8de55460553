//! The API's paper against the running binary: its examples, and the document that the binary
//! serves.

use crate::{
    API, api_rows,
    library::{Finding, Library, REPOSITORY, blocks, spans_of, tables_of},
    shell::{Example, read},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the demo may take to be there.
const START_MAX: Duration = Duration::from_secs(60);
/// How long what is read may take to follow what was written.
const FOLLOW_MAX: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The demo, fresh; killed when dropped.
struct Demo {
    child: Child,
    url: String,
    client: reqwest::Client,
    _data: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Self {
        let data = tempfile::Builder::new().prefix("jupan-papers-").tempdir().expect("a directory");
        let binary =
            std::env::var_os("JUPAN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_jupan").into());
        let mut child = Command::new(binary)
            .args(["--demo", "--listen", "127.0.0.1:0", "--trace", "warn", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("it says where it is").expect("in words");
        std::thread::spawn(move || lines.for_each(drop));
        let url = first.split([' ', ',']).find(|word| word.starts_with("http://"));
        let url = url.expect("a URL").to_owned();
        let demo = Self { child, url, client: reqwest::Client::new(), _data: data };
        let begun = Instant::now();
        while demo.get("/readyz").await.0 != 200 {
            assert!(begun.elapsed() < START_MAX, "the demo is not ready");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        demo
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url));
        answer(request).await
    }

    async fn call(&self, example: &Example) -> (u16, Value) {
        let method = example.method.parse().expect("a method");
        let mut request = self.client.request(method, &example.url);
        for (name, value) in &example.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &example.body {
            request = request.body(body.clone());
        }
        answer(request).await
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Without what is another one each time: times and traces.
fn lasting(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| match name.as_str() {
                "traceId" => (name, Value::Null),
                _ => (name, lasting(value)),
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lasting).collect()),
        Value::String(text) if is_time(&text) => Value::Null,
        other => other,
    }
}

fn is_time(text: &str) -> bool {
    text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.starts_with("20")
}

/// The paper's examples, for a server at this URL.
fn examples(library: &Library, url: &str) -> Vec<Example> {
    let mut variables = BTreeMap::new();
    let mut all = Vec::new();
    for block in blocks(library.text(API), "sh") {
        let read = read(block.line + 1, &block.lines, &mut variables);
        all.extend(read.unwrap_or_else(|wrong| panic!("{API}: {wrong}")));
        if let Some(shown) = variables.get_mut("url") {
            url.clone_into(shown);
        }
    }
    all
}

/// Runs the examples in their order, as a reader who pastes them does. What is read may follow what
/// was written a moment later.
async fn run(library: &Library, demo: &Demo, patience: Duration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for example in examples(library, &demo.url) {
        let told = serde_json::from_str(&example.answer);
        let told: Value = told.unwrap_or_else(|_| panic!("{API}:{}: no JSON", example.line));
        let told = (example.status, lasting(told));
        let begun = Instant::now();
        let found = loop {
            let (status, body) = demo.call(&example).await;
            let is_over = example.method != "GET" || begun.elapsed() >= patience;
            if is_over || (status, lasting(body.clone())) == told {
                break (status, body);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        };
        if (found.0, lasting(found.1.clone())) != told {
            let what = format!("the answer is: # {} {}", found.0, found.1);
            findings.push(Finding::new(API, example.line, what));
        }
    }
    findings
}

/// What the document says of a call.
struct Documented {
    parameters: BTreeSet<String>,
    fields: BTreeSet<String>,
    done: BTreeSet<String>,
    codes: BTreeSet<String>,
    classes: Vec<&'static str>,
}

/// The part of the document that a reference leads to.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).expect("it is there"),
        None => part,
    }
}

fn names(fields: Option<&Map<String, Value>>) -> impl Iterator<Item = String> {
    fields.into_iter().flat_map(Map::keys).cloned()
}

fn documented(document: &Value, call: &Value) -> Documented {
    let given = call["parameters"].as_array().into_iter().flatten();
    let given: Vec<&Value> = given.map(|parameter| resolved(document, parameter)).collect();
    let of = |place: &str| -> BTreeSet<String> {
        let all = given.iter().filter(|parameter| parameter["in"] == place);
        all.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
    };
    let body = &call["requestBody"]["content"]["application/json"]["schema"];
    let (mut done, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for (status, response) in call["responses"].as_object().expect("responses") {
        let problem = &resolved(document, response)["content"]["application/problem+json"];
        let listed = problem["schema"]["properties"]["code"]["enum"].as_array();
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        codes.extend(listed.map(str::to_owned));
        if status.starts_with('2') {
            done.insert(status.clone());
        }
    }
    let parameters = of("query");
    let mut classes = vec!["all"];
    if codes.contains("UNKNOWN_FIELD") {
        classes.push("all but pages");
    }
    if !parameters.is_empty() || body.is_object() {
        classes.push("with query parameters or a body");
    }
    if body.is_object() {
        classes.push("with a body");
    }
    if of("header").contains("Idempotency-Key") {
        classes.push("writes");
    }
    let fields = names(resolved(document, body)["properties"].as_object()).collect();
    Documented { parameters, fields, done, codes, classes }
}

/// The codes that the paper says all calls of a class have.
fn common(library: &Library) -> BTreeMap<String, BTreeSet<String>> {
    let tables = tables_of(library.text(API), &["calls", "refuse, besides what their row says"]);
    let rows = tables.into_iter().flat_map(|table| table.rows);
    let codes = |cell: &str| spans_of(cell).into_iter().map(str::to_owned).collect();
    rows.map(|(_, cells)| (cells[0].to_owned(), codes(cells[1]))).collect()
}

/// The paper's rows against the document that is made from the code.
fn compare(library: &Library, document: &Value) -> Vec<Finding> {
    let (mut findings, common) = (Vec::new(), common(library));
    let rows = api_rows(library.text(API));
    for (path, calls) in document["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            let route = format!("{} {path}", method.to_uppercase());
            let Some((line, cells)) = rows.get(&route) else {
                findings.push(Finding::new(API, 0, format!("{route} has no row")));
                continue;
            };
            let mut find = |what: String| findings.push(Finding::new(API, *line, what));
            let known = documented(document, call);
            let told = |cell: usize| -> BTreeSet<String> {
                spans_of(cells[cell]).into_iter().map(str::to_owned).collect()
            };
            let takes = told(1);
            let missing = known.parameters.iter().find(|name| !takes.contains(&format!("?{name}")));
            if let Some(name) = missing {
                find(format!("{route} takes ?{name}"));
            }
            if let Some(name) = known.fields.iter().find(|name| !says(&takes, name)) {
                find(format!("{route} takes {name}"));
            }
            let first = known.done.first().expect("something goes well");
            if !cells[2].split([' ', ';']).any(|word| word == first) {
                find(format!("{route} answers {first}"));
            }
            let of_classes = known.classes.iter().filter_map(|class| common.get(*class)).flatten();
            let codes: BTreeSet<String> = of_classes.cloned().chain(told(3)).collect();
            for code in codes.symmetric_difference(&known.codes) {
                let is = if codes.contains(code) { "does not refuse" } else { "refuses" };
                find(format!("{route} {is} {code}"));
            }
        }
    }
    findings
}

/// Whether a field is named, alone or as `field: value`.
fn says(spans: &BTreeSet<String>, field: &str) -> bool {
    spans.iter().any(|span| span == field || span.starts_with(&format!("{field}: ")))
}

fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

#[tokio::test]
async fn examples_work_when_pasted_and_answer_what_is_shown() {
    let demo = Demo::start().await;
    assert!(examples(&REPOSITORY, &demo.url).len() > 20, "the paper has examples");
    assert_none(&run(&REPOSITORY, &demo, FOLLOW_MAX).await);
    // The second time there is more in the shop, and one answer more that is not as it is told.
    let before = run(&REPOSITORY, &demo, Duration::ZERO).await;
    let (from, to) = (r#"# 200 {"status":"OK"}"#, r#"# 200 {"status":"FINE"}"#);
    let mut found = run(&REPOSITORY.with(API, from, to), &demo, Duration::ZERO).await;
    found.retain(|finding| !before.iter().any(|known| known.line == finding.line));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, format!("the answer is: {from}"));
}

#[tokio::test]
async fn calls_parameters_and_codes_are_those_of_the_served_document() {
    let (status, document) = Demo::start().await.get("/openapi.json").await;
    assert_eq!(status, 200);
    assert_none(&compare(&REPOSITORY, &document));
    for (from, to, finding) in [
        ("`INVALID_AMOUNT`, ", "", "POST /balance/charge refuses INVALID_AMOUNT"),
        ("`ORDER_EXPIRED`", "`ORDER_NOT_PAID`", "does not refuse ORDER_NOT_PAID"),
        ("| writes | `INVALID_ID`, ", "| writes | ", "refuses INVALID_ID"),
        ("`userId`, `amount`", "`userId`, `sum`", "POST /balance/charge takes amount"),
        ("`?days`", "`?weeks`", "GET /products/top takes ?days"),
        ("| 201 user, as", "| 200 user, as", "POST /users answers 201"),
        ("| `GET /cart` |", "| `GET /carts` |", "GET /cart has no row"),
    ] {
        let findings = compare(&REPOSITORY.with(API, from, to), &document);
        let is_found = findings.iter().any(|found| found.what.contains(finding));
        assert!(is_found, "{finding:?} is not in {findings:?}");
    }
}
