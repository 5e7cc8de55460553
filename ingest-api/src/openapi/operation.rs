//! One call of the document: built up by what it takes, what it answers and what it refuses.

use super::{parameters, problems};
use crate::bodies::Accepted;
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// What every call can come to.
const EVERY: &[Code] = &[Code::Internal];
/// What every call can come to that is not just a page.
const CALL: &[Code] = &[Code::UnknownField, Code::Unavailable];
/// What can be wrong with parameters that are known.
const QUERY: &[Code] = &[Code::Malformed];
/// What can be wrong with a body.
const BODY: &[Code] =
    &[Code::Malformed, Code::Timeout, Code::PayloadTooLarge, Code::UnsupportedMediaType];
/// What can become of any command.
const WRITE: &[Code] = &[
    Code::InvalidId,
    Code::InvalidKey,
    Code::CommandTooOld,
    Code::CommandFromFuture,
    Code::IdempotencyKeyReused,
    Code::TooManyRequests,
    Code::OutcomeUnknown,
    Code::Unknown,
];

const ACCEPTED: &str = "Durable, and not decided yet as far as is known here. The outcome will be \
    found behind the Location.";

/// A component of the document.
pub(super) fn reference(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}

/// A response's header, by the name of its component.
pub(super) fn header(name: &str) -> (String, Value) {
    (parameters::header_name(name).to_owned(), reference("headers", name))
}

/// A schema by name, and with it what it refers to.
pub(super) fn schemas<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(T::name().into_owned(), <T as PartialSchema>::schema())];
    T::schemas(&mut schemas);
    schemas
}

/// One call.
pub(super) struct Operation {
    /// Method and path, as the router names it.
    pub(super) route: &'static str,
    /// Every schema that it refers to.
    schemas: Vec<(String, RefOr<Schema>)>,
    is_write: bool,
    fields: Map<String, Value>,
    parameters: Vec<Value>,
    answers: Map<String, Value>,
    codes: Vec<Code>,
}

impl Operation {
    /// A page that takes no notice of its query.
    pub(super) fn page(route: &'static str, id: &str, tag: &str) -> Self {
        let fields = json!({ "operationId": id, "tags": [tag] });
        Self {
            route,
            schemas: Vec::new(),
            is_write: false,
            fields: fields.as_object().cloned().unwrap_or_default(),
            parameters: Vec::new(),
            answers: Map::new(),
            codes: EVERY.to_vec(),
        }
    }

    /// A call that reads.
    pub(super) fn read(route: &'static str, id: &str, tag: &str) -> Self {
        Self::page(route, id, tag).refuses(CALL)
    }

    /// A call that sends a command.
    pub(super) fn write(route: &'static str, id: &str, tag: &str) -> Self {
        let mut write = Self::read(route, id, tag).refuses(WRITE);
        write.is_write = true;
        write
    }

    /// What it is for: a title, and what its callers need to know.
    pub(super) fn about(mut self, summary: &str, description: &str) -> Self {
        self.fields.insert("summary".to_owned(), summary.into());
        self.fields.insert("description".to_owned(), description.into());
        self
    }

    /// What its path and headers have.
    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// What its query has.
    pub(super) fn asks(self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.takes(parameters).refuses(QUERY)
    }

    /// A JSON body, with examples: name, what it shows, and the body.
    pub(super) fn body<T: ToSchema>(mut self, examples: &[(&str, &str, Value)]) -> Self {
        let example = |(name, summary, value): &(&str, &str, Value)| {
            ((*name).to_owned(), json!({ "summary": summary, "value": value }))
        };
        let content = json!({
            "schema": reference("schemas", &T::name()),
            "examples": examples.iter().map(example).collect::<Map<_, _>>(),
        });
        let body = json!({ "required": true, "content": { "application/json": content } });
        self.fields.insert("requestBody".to_owned(), body);
        self.schemas.extend(schemas::<T>());
        self.refuses(BODY)
    }

    /// A JSON answer.
    pub(super) fn answers<T: ToSchema>(
        mut self,
        status: StatusCode,
        description: &str,
        headers: &[&str],
    ) -> Self {
        self.schemas.extend(schemas::<T>());
        let content = json!({ "application/json": { "schema": reference("schemas", &T::name()) } });
        self.answers_with(status, description, headers, Some(content))
    }

    /// An answer of one of two forms.
    pub(super) fn answers_either<T: ToSchema, U: ToSchema>(
        mut self,
        status: StatusCode,
        description: &str,
        headers: &[&str],
    ) -> Self {
        self.schemas.extend(schemas::<T>().into_iter().chain(schemas::<U>()));
        let either = [reference("schemas", &T::name()), reference("schemas", &U::name())];
        let content = json!({ "application/json": { "schema": { "anyOf": either } } });
        self.answers_with(status, description, headers, Some(content))
    }

    /// An answer in one of these media types, each with the type that its schema says.
    pub(super) fn answers_as(
        self,
        status: StatusCode,
        description: &str,
        headers: &[&str],
        forms: &[(&str, &str)],
    ) -> Self {
        let form = |(media_type, schema): &(&str, &str)| {
            ((*media_type).to_owned(), json!({ "schema": { "type": schema } }))
        };
        let content = forms.iter().map(form).collect::<Map<_, _>>();
        self.answers_with(status, description, headers, Some(content.into()))
    }

    /// An answer without a body.
    pub(super) fn answers_bare(
        self,
        status: StatusCode,
        description: &str,
        headers: &[&str],
    ) -> Self {
        self.answers_with(status, description, headers, None)
    }

    fn answers_with(
        mut self,
        status: StatusCode,
        description: &str,
        headers: &[&str],
        content: Option<Value>,
    ) -> Self {
        let of_writes: &[&str] = if self.is_write { parameters::OF_WRITES } else { &[] };
        let headers = headers.iter().chain(of_writes).chain(&["TraceId", "CacheControl"]);
        let mut answer = json!({
            "description": description,
            "headers": headers.map(|name| header(name)).collect::<Map<_, _>>(),
        });
        if let Some(content) = content {
            answer["content"] = content;
        }
        self.answers.insert(status.as_str().to_owned(), answer);
        self
    }

    /// Codes that it answers besides those of its kind.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// The operation as it stands in the document.
    pub(super) fn render(mut self) -> (Value, Vec<(String, RefOr<Schema>)>) {
        let mut of_problems: &[&str] = &[];
        if self.is_write {
            of_problems = parameters::OF_REFUSED_WRITES;
            self = self.takes(["Prefer", "Caller"].map(parameters::shared)).answers::<Accepted>(
                StatusCode::ACCEPTED,
                ACCEPTED,
                &["Location", "RetryAfter"],
            );
        }
        let mut answers = self.answers;
        answers.extend(problems::responses(&self.codes, of_problems));
        answers.insert("431".to_owned(), reference("responses", "HeadersTooLarge"));
        self.parameters.push(parameters::shared("Language"));
        self.fields.insert("parameters".to_owned(), self.parameters.into());
        self.fields.insert("responses".to_owned(), answers.into());
        (self.fields.into(), self.schemas)
    }
}
