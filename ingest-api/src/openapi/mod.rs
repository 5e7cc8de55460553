//! The API's OpenAPI 3.1 document, made from the code that answers: schemas are derived from the
//! types that are read and written, bounds and codes are the constants that are checked, and the
//! calls are those of the router's table.
//!
//! - `calls/` says what each call is for, takes, answers and refuses;
//! - `shapes.rs` has the forms of single values, `parameters.rs` parameters and headers;
//! - `problems.rs` makes the refusals' responses out of their codes.

mod calls;
mod operation;
mod parameters;
mod problems;
pub(crate) mod samples;
pub(crate) mod shapes;

use crate::{asset::Asset, limits::Limits, problem};
use operation::schemas;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};

/// What holds for every call.
const INTRODUCTION: &str = include_str!("introduction.md");

/// The document, as it is served.
pub(crate) fn document(limits: &Limits) -> Asset {
    Asset::new("application/json", Document::new(limits).text())
}

/// The document, as a value.
#[cfg(test)]
pub(crate) fn value(limits: &Limits) -> Value {
    serde_json::from_str(&Document::new(limits).text()).expect("the document is JSON")
}

#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    tags: Value,
    paths: InOrder<InOrder<Value>>,
    components: Value,
}

/// Fields that are shown in the order in which they were added.
struct InOrder<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for InOrder<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Document {
    fn new(limits: &Limits) -> Self {
        let (paths, mut used) = paths();
        used.extend(schemas::<problem::Document<'_>>());
        used.extend(parameters::schemas());
        Self {
            openapi: "3.1.0",
            info: info(limits),
            tags: calls::tags(),
            paths,
            components: json!({
                "schemas": with_rules(by_name(used), limits),
                "parameters": parameters::components(),
                "headers": parameters::headers(),
                "responses": { "HeadersTooLarge": headers_too_large(limits) },
                "examples": problems::examples(),
            }),
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers can be written as JSON")
    }
}

type Schemas = Vec<(String, RefOr<Schema>)>;

/// Every call below its path, and the schemas that they refer to.
fn paths() -> (InOrder<InOrder<Value>>, Schemas) {
    let (mut paths, mut used) = (InOrder::<InOrder<_>>(Vec::new()), Vec::new());
    for operation in calls::all() {
        let (method, path) = operation.route.split_once(' ').expect("a method and a path");
        let (rendered, schemas) = operation.render();
        used.extend(schemas);
        let call = (method.to_lowercase(), rendered);
        match paths.0.iter_mut().find(|(known, _)| known == path) {
            Some((_, calls)) => calls.0.push(call),
            None => paths.0.push((path.to_owned(), InOrder(vec![call]))),
        }
    }
    (paths, used)
}

fn by_name(schemas: Schemas) -> Map<String, Value> {
    let mut by_name = Map::new();
    for (name, schema) in schemas {
        let schema = json!(schema);
        let known = by_name.entry(name).or_insert_with(|| schema.clone());
        debug_assert_eq!(*known, schema, "two schemas have one name");
    }
    by_name
}

/// What types do not say: what the lanes allow is configuration, an order is of listed items or of
/// the cart, and a change changes something.
fn with_rules(mut schemas: Map<String, Value>, limits: &Limits) -> Map<String, Value> {
    schemas["ChargeAmount"]["minimum"] = limits.charge_min.into();
    schemas["ChargeAmount"]["maximum"] = limits.charge_max.into();
    schemas["Quantity"]["maximum"] = limits.line_units_max.into();
    schemas["ProductChange"]["minProperties"] = 1.into();
    schemas["NewOrder"]["oneOf"] = json!([
        { "required": ["items"], "properties": { "fromCart": { "const": false } } },
        {
            "required": ["fromCart"],
            "properties": { "fromCart": { "const": true } },
            "not": { "required": ["items"] },
        },
    ]);
    schemas
}

fn headers_too_large(limits: &Limits) -> Value {
    let (count, bytes) = (limits.headers_max, limits.header_bytes_max);
    let description = format!(
        "The request's line and headers have more than {bytes} bytes, or there are more than \
         {count} headers. Such a request is not read on, and the answer is bare."
    );
    json!({ "description": description })
}

fn info(limits: &Limits) -> Value {
    let description = INTRODUCTION
        .replace("{body_bytes_max}", &limits.body_bytes_max.to_string())
        .replace("{body_timeout_s}", &(limits.body_timeout_ms / 1000).to_string())
        .replace("{outcome_wait_s}", &(limits.outcome_wait_ms / 1000).to_string())
        .replace("{order_lines_max}", &limits.order_lines_max.to_string())
        .replace("{codes}", &problems::table());
    json!({
        "title": "Jupan",
        "summary": "Wallets, live stock and orders",
        "description": description,
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": env!("CARGO_PKG_LICENSE") },
    })
}
