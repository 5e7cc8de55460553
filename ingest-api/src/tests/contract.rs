//! Holds requests and answers to the API's document. It knows nothing but the document and what
//! was sent: a test over real sockets can use it as well.

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Headers that every HTTP server sends, or that are about pages.
const PLAIN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "keep-alive",
    "referrer-policy",
    "transfer-encoding",
    "x-content-type-options",
];

/// A request and its answer, as they were on the wire. Header names are lower-case.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) sent_headers: Vec<(String, String)>,
    /// `None` where it is not known.
    pub(crate) sent_body: Option<String>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What an exchange was, where it was as documented.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Met {
    /// Method and path, as the document has them; what it lacks is met as `""`.
    pub(crate) operation: String,
    pub(crate) status: u16,
    /// The code of a problem.
    pub(crate) code: Option<String>,
}

/// What schemas call the document that they are a part of.
const DOCUMENT: &str = "urn:jupan:document";

/// The document, made strict: no object has more fields than it says.
pub(crate) struct Contract {
    document: Value,
    registry: Registry<'static>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    pub(crate) fn new(mut document: Value) -> Self {
        let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
        for schema in schemas.expect("the document has schemas").values_mut() {
            if schema["type"] == "object" && schema.get("additionalProperties").is_none() {
                schema["additionalProperties"] = false.into();
            }
        }
        let registry = Registry::new().add(DOCUMENT, document.clone()).and_then(|r| r.prepare());
        let registry = registry.expect("the document's references lead somewhere");
        Self { document, registry, validators: Mutex::default() }
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Every documented answer: method and path, status, and each code of the status.
    pub(crate) fn promised(&self) -> Vec<Met> {
        let mut promised = Vec::new();
        for (operation, content) in self.operations() {
            for (status, answer) in content["responses"].as_object().expect("responses") {
                let status = status.parse().expect("a status");
                let problem = self.resolved(answer).pointer(PROBLEM);
                let codes = problem.map(|schema| &schema["properties"]["code"]["enum"]);
                let met = |code: Option<&str>| {
                    let code = code.map(str::to_owned);
                    Met { operation: operation.clone(), status, code }
                };
                match codes.and_then(Value::as_array) {
                    Some(codes) => promised.extend(codes.iter().map(|code| met(code.as_str()))),
                    None => promised.push(met(None)),
                }
            }
        }
        promised
    }

    /// Every operation, by method and path.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        let paths = self.document["paths"].as_object().expect("paths").iter();
        paths.flat_map(|(path, item)| {
            let calls = item.as_object().expect("operations").iter();
            calls.map(move |(method, call)| (format!("{} {path}", method.to_uppercase()), call))
        })
    }

    /// An operation's parameters.
    pub(crate) fn parameters<'a>(&'a self, call: &'a Value) -> impl Iterator<Item = &'a Value> {
        let parameters = call["parameters"].as_array().expect("a list");
        parameters.iter().map(|parameter| self.resolved(parameter))
    }

    /// What a reference refers to.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(text) => {
                let pointer = text.strip_prefix('#').expect("a reference into the document");
                self.document.pointer(pointer).unwrap_or_else(|| panic!("{text} leads nowhere"))
            }
            None => value,
        }
    }

    /// What is wrong with a value.
    pub(crate) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let key = schema.to_string();
        let mut validators = self.validators.lock().expect("no test panics in here");
        let validator = validators.entry(key).or_insert_with(|| Arc::new(self.compile(schema)));
        let validator = Arc::clone(validator);
        drop(validators);
        validator
            .iter_errors(value)
            .map(|error| format!("at {:?}: {error}", error.instance_path().to_string()))
            .collect()
    }

    fn compile(&self, schema: &Value) -> Validator {
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        let options = options.should_validate_formats(true).with_registry(&self.registry);
        let validator = options.build(&absolute(schema.clone()));
        validator.unwrap_or_else(|error| panic!("{schema} is no schema: {error}"))
    }

    /// Holds an exchange to the document.
    pub(crate) fn check(&self, exchange: &Exchange) -> Result<Met, String> {
        let told = |what: String| format!("{what}\n{exchange:#?}");
        let Some((operation, call)) = self.operation(exchange) else {
            return self.check_stray(exchange).map_err(told);
        };
        let status = exchange.status.to_string();
        let answer = call["responses"].get(&status);
        let answer = answer.ok_or_else(|| told(format!("{operation} documents no {status}")))?;
        let code = self.check_answer(exchange, self.resolved(answer)).map_err(told)?;
        let template = operation.split_once(' ').map_or("", |(_, path)| path);
        self.check_request(exchange, (template, call), code.as_deref()).map_err(told)?;
        Ok(Met { operation, status: exchange.status, code })
    }

    /// The operation that a request is for. `HEAD` is a `GET` whose answer has no body.
    fn operation(&self, exchange: &Exchange) -> Option<(String, &Value)> {
        let method = if exchange.method == "HEAD" { "GET" } else { &exchange.method };
        let path = exchange.path();
        let (template, item) = self.document["paths"]
            .as_object()?
            .iter()
            .filter(|(template, _)| fits(template, path))
            .min_by_key(|(template, _)| template.contains('{'))?;
        let call = item.get(method.to_lowercase())?;
        Some((format!("{method} {template}"), call))
    }

    /// A request that the document does not have is a problem, too.
    fn check_stray(&self, exchange: &Exchange) -> Result<Met, String> {
        let path = exchange.path();
        let is_page = ["/docs/", "/web/"].iter().any(|start| path.starts_with(start));
        let (status, code) = match exchange.status {
            404 => (404, Some("ROUTE_NOT_FOUND".to_owned())),
            405 if exchange.header("allow").is_some() => {
                (405, Some("METHOD_NOT_ALLOWED".to_owned()))
            }
            status @ (200 | 304) if is_page => (status, None),
            _ => return Err("the document does not have this call".to_owned()),
        };
        if let Some(code) = code.as_ref().filter(|_| exchange.method != "HEAD") {
            let problem = exchange.json()?;
            let faults = self.faults(&json!({"$ref": "#/components/schemas/Problem"}), &problem);
            if !faults.is_empty() || problem["code"] != *code.as_str() {
                return Err(format!("not the problem {code}: {faults:?}"));
            }
        }
        Ok(Met { operation: String::new(), status, code })
    }

    /// The code of a problem that is as documented.
    fn check_answer(&self, exchange: &Exchange, answer: &Value) -> Result<Option<String>, String> {
        self.check_headers(exchange, answer)?;
        let Some(forms) = answer.get("content").and_then(Value::as_object) else {
            let is_empty = exchange.body.is_empty() && exchange.header("content-type").is_none();
            return is_empty.then_some(None).ok_or_else(|| "an undocumented body".to_owned());
        };
        let media_type = exchange.header("content-type").ok_or("no media type")?;
        let essence = media_type.split(';').next().unwrap_or_default();
        let form = forms.get(essence).ok_or_else(|| format!("{essence} is not documented"))?;
        if exchange.method == "HEAD" {
            let is_empty = exchange.body.is_empty();
            return is_empty.then_some(None).ok_or_else(|| "HEAD with a body".to_owned());
        }
        if !essence.ends_with("json") {
            return Ok(None);
        }
        let body = exchange.json()?;
        match &self.faults(&form["schema"], &body)[..] {
            [] if essence == "application/problem+json" => {
                Ok(Some(body["code"].as_str().unwrap_or_default().to_owned()))
            }
            [] => Ok(None),
            faults => Err(faults.join("\n")),
        }
    }

    fn check_headers(&self, exchange: &Exchange, answer: &Value) -> Result<(), String> {
        let nothing = Map::new();
        let documented = answer.get("headers").and_then(Value::as_object).unwrap_or(&nothing);
        for (name, header) in documented {
            let header = self.resolved(header);
            match exchange.header(&name.to_lowercase()) {
                None if header["required"] == true => return Err(format!("no {name}")),
                None => {}
                Some(text) => {
                    let faults =
                        self.faults(&header["schema"], &self.read(&header["schema"], text));
                    if !faults.is_empty() {
                        return Err(format!("{name}: {faults:?}"));
                    }
                }
            }
        }
        let is_known = |name: &str| {
            PLAIN_HEADERS.contains(&name) || documented.keys().any(|k| k.eq_ignore_ascii_case(name))
        };
        match exchange.headers.iter().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => Err(format!("the header {name} is not documented")),
            None => Ok(()),
        }
    }

    /// A request that is taken is one that the document allows, and one that is refused for its
    /// form is one that it does not.
    fn check_request(
        &self,
        exchange: &Exchange,
        (template, call): (&str, &Value),
        code: Option<&str>,
    ) -> Result<(), String> {
        let faults = self.faults_of_request(exchange, template, call);
        match (exchange.status, &faults[..]) {
            (200..=399, []) => Ok(()),
            (200..=399, faults) => Err(format!("taken in spite of {faults:?}")),
            (400, []) if !is_beyond_schemas(code, &exchange.json()?) => {
                Err("refused, and the document allows it".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn faults_of_request(&self, exchange: &Exchange, template: &str, call: &Value) -> Vec<String> {
        let path = template.split('/').zip(exchange.path().split('/'));
        let path = path.filter(|(hole, _)| hole.starts_with('{'));
        let path =
            path.map(|(hole, part)| (hole.trim_matches(['{', '}']).to_owned(), decoded(part)));
        let query = exchange.uri.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        let (path, query) = (path.collect::<Vec<_>>(), query.collect::<Vec<_>>());
        let mut faults = Vec::new();
        for parameter in self.parameters(call) {
            let (place, name) = (text_of(parameter, "in"), text_of(parameter, "name"));
            let given = match place {
                "path" => &path,
                "query" => &query,
                _ => &exchange.sent_headers,
            };
            faults.extend(self.faults_of_parameter(parameter, given, name));
        }
        let is_page = call["tags"][0] == "service";
        let is_known = |name: &str| {
            self.parameters(call).any(|p| text_of(p, "in") == "query" && text_of(p, "name") == name)
        };
        let strangers = query.iter().filter(|(name, _)| !is_page && !is_known(name));
        faults.extend(strangers.map(|(name, _)| format!("{name} is not documented")));
        faults.extend(self.faults_of_body(exchange, call));
        faults
    }

    fn faults_of_parameter(
        &self,
        parameter: &Value,
        given: &[(String, String)],
        name: &str,
    ) -> Vec<String> {
        let is_this = |known: &str| match text_of(parameter, "in") {
            "header" => known.eq_ignore_ascii_case(name),
            _ => known == name,
        };
        let values: Vec<_> = given.iter().filter(|(known, _)| is_this(known)).collect();
        let is_list = ["Prefer", "Accept-Language", "If-None-Match"].contains(&name);
        match &values[..] {
            [] if parameter["required"] == true => vec![format!("no {name}")],
            [] => Vec::new(),
            [_, _, ..] if !is_list => vec![format!("{name} is given twice")],
            [(_, text), ..] => {
                let schema = &parameter["schema"];
                let faults = self.faults(schema, &self.read(schema, text));
                faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()
            }
        }
    }

    fn faults_of_body(&self, exchange: &Exchange, call: &Value) -> Vec<String> {
        let Some(sent) = &exchange.sent_body else { return Vec::new() };
        let Some(schema) = call.pointer("/requestBody/content/application~1json/schema") else {
            return Vec::new();
        };
        match serde_json::from_str(sent) {
            Ok(body) => self.faults(schema, &without_fractions(body)),
            Err(error) => vec![error.to_string()],
        }
    }

    /// A text as the JSON value that its schema is about.
    fn read(&self, schema: &Value, text: &str) -> Value {
        let is_integer = self.resolved(schema)["type"] == "integer";
        // Only the plain form is a number: what else would parse is refused by the server.
        let is_plain = text == "0" || !text.starts_with('0');
        let digits = is_plain && text.bytes().all(|b| b.is_ascii_digit());
        let number = (is_integer && digits).then(|| text.parse::<u64>().ok()).flatten();
        number.map_or_else(|| text.into(), Value::from)
    }
}

/// Where a response has a problem's schema.
const PROBLEM: &str = "/content/application~1problem+json/schema";

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(hole), Some(part)) if hole.starts_with('{') && !part.is_empty() => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

/// What is refused for its form, and no schema can say: text that only the server can judge, and
/// what JSON has twice. What a lane says (it names no field and no detail) is no matter of form.
fn is_beyond_schemas(code: Option<&str>, problem: &Value) -> bool {
    let (field, detail) = (text_of(problem, "field"), text_of(problem, "detail"));
    let place = (code.unwrap_or_default(), field);
    (field.is_empty() && detail.is_empty())
        || detail == "given twice"
        || place == ("MALFORMED", "at")
        || place.0 == "INVALID_CURSOR" && field == "cursor"
        || place.0 == "INVALID_TIME"
}

/// JSON schema takes 1.0 for an integer; the server does not.
fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => number.to_string().into(),
        Value::Array(items) => items.into_iter().map(without_fractions).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, without_fractions(value))).collect()
        }
        other => other,
    }
}

/// A part of the document, for itself: its references name the document.
fn absolute(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| match value.as_str() {
                Some(text) if name == "$ref" => (name, format!("{DOCUMENT}{text}").into()),
                _ => (name, absolute(value)),
            };
            fields.into_iter().map(field).collect()
        }
        Value::Array(items) => items.into_iter().map(absolute).collect(),
        other => other,
    }
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A part of a path or query without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (plain, behind) = match (byte, escaped) {
            (b'%', Some(byte)) => (byte, &tail[2..]),
            (b'+', _) => (b' ', tail),
            _ => (*byte, tail),
        };
        bytes.push(plain);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Exchange {
    fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.body).map_err(|error| format!("the body is not JSON: {error}"))
    }
}
