//! Every route with a request that is good, so that what is wrong with a variation of it is the
//! variation.

use super::{
    values::Kind::{self, *},
    watched::{TO_CANCEL, TO_PAY, command, order},
    wire::Request,
};

/// A field of a body, or a parameter of a query.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// A good value: JSON in a body, plain text in a query.
    pub(super) good: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
}

const fn must(name: &'static str, good: &'static str, kind: Kind) -> Part {
    Part { name, good, kind, is_required: true }
}

const fn may(name: &'static str, good: &'static str, kind: Kind) -> Part {
    Part { name, good, kind, is_required: false }
}

/// Whether, and how, a route asks who calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Ignored,
    /// Noted, whoever it is.
    Noted,
    /// Another user than the one named is refused.
    Named,
    /// Another user than the owner finds nothing.
    Owner,
}

/// A route and a good request to it.
pub(super) struct Call {
    /// As the router names it.
    pub(super) route: &'static str,
    /// With `{a}` and `{b}` for the orders to pay and to cancel, and `{command}` for one that is known.
    path: &'static str,
    pub(super) query: &'static [Part],
    pub(super) body: &'static [Part],
    pub(super) caller: Caller,
    /// Whether it must have an idempotency key.
    pub(super) needs_key: bool,
    /// The status of the good request.
    pub(super) good: u16,
}

const fn call(route: &'static str, path: &'static str, caller: Caller, good: u16) -> Call {
    Call { route, path, query: &[], body: &[], caller, needs_key: false, good }
}

const USER: Part = must("userId", "1", Id);
const ITEMS: &str = r#"[{"productId":1,"quantity":1}]"#;

/// All calls, in the router's order.
#[rustfmt::skip]
pub(super) const CALLS: &[Call] = &[
    Call {
        body: &[
            must("id", "7", Id), must("name", r#""Ada""#, Name), must("email", r#""a@x""#, Email),
        ],
        ..call("POST /users", "/users", Caller::Named, 201)
    },
    call("GET /users/{id}", "/users/1", Caller::Named, 200),
    Call { query: &[USER], ..call("GET /balance", "/balance", Caller::Named, 200) },
    Call {
        body: &[USER, must("amount", "1000", Amount)],
        ..call("POST /balance/charge", "/balance/charge", Caller::Named, 200)
    },
    Call {
        query: &[USER, may("limit", "5", Limit)],
        ..call("GET /balance/entries", "/balance/entries", Caller::Named, 200)
    },
    Call {
        body: &[
            must("id", "7", Id), must("name", r#""Abacus""#, Name), must("price", "12000", Price),
            must("stock", "5", Stock),
        ],
        ..call("POST /products", "/products", Caller::Noted, 201)
    },
    Call {
        query: &[may("limit", "5", Limit)],
        ..call("GET /products", "/products", Caller::Ignored, 200)
    },
    Call {
        query: &[may("days", "3", Days), may("limit", "5", Ranks)],
        ..call("GET /products/top", "/products/top", Caller::Ignored, 200)
    },
    Call {
        body: &[may("name", r#""Name""#, Name), may("price", "100", Price)],
        ..call("PATCH /products/{id}", "/products/1", Caller::Noted, 200)
    },
    call("GET /products/{id}", "/products/1", Caller::Ignored, 200),
    Call {
        body: &[must("quantity", "5", Quantity)],
        ..call("POST /products/{id}/restock", "/products/1/restock", Caller::Noted, 200)
    },
    Call {
        body: &[
            USER, must("items", ITEMS, Items), may("fromCart", "false", Flag),
            may("payment", r#""later""#, Choice), may("occurredAt", r#""2025-03-14T15:09:26Z""#, Time),
        ],
        ..call("POST /order", "/order", Caller::Named, 201)
    },
    Call {
        query: &[USER, may("limit", "5", Limit)],
        ..call("GET /order", "/order", Caller::Named, 200)
    },
    Call {
        query: &[may("at", "0", Position)],
        ..call("GET /order/{id}", "/order/{a}", Caller::Owner, 200)
    },
    call("GET /order/{id}/history", "/order/{a}/history", Caller::Owner, 200),
    Call {
        body: &[USER], needs_key: true,
        ..call("POST /order/{id}/payment", "/order/{a}/payment", Caller::Named, 200)
    },
    Call {
        body: &[USER],
        ..call("POST /order/{id}/cancel", "/order/{b}/cancel", Caller::Named, 200)
    },
    Call {
        body: &[USER, may("items", ITEMS, Items)], needs_key: true,
        ..call("POST /order/{id}/refund", "/order/{a}/refund", Caller::Named, 200)
    },
    Call { query: &[USER], ..call("GET /cart", "/cart", Caller::Named, 200) },
    Call {
        body: &[USER, must("productId", "1", Id), must("quantity", "2", Quantity)],
        ..call("POST /cart/add", "/cart/add", Caller::Named, 200)
    },
    Call {
        query: &[USER, must("productId", "1", Id), may("quantity", "1", Quantity)],
        ..call("DELETE /cart/remove", "/cart/remove", Caller::Named, 200)
    },
    Call {
        query: &[may("at", "0", Position)],
        ..call("GET /commands/{id}", "/commands/{command}", Caller::Owner, 200)
    },
    call("GET /", "/", Caller::Ignored, 200),
    call("GET /web/{file}", "/web/main.js", Caller::Ignored, 200),
    call("GET /healthz", "/healthz", Caller::Ignored, 200),
    call("GET /readyz", "/readyz", Caller::Ignored, 200),
    call("GET /metrics", "/metrics", Caller::Ignored, 200),
    call("GET /openapi.json", "/openapi.json", Caller::Ignored, 200),
    call("GET /docs", "/docs", Caller::Ignored, 200),
    call("GET /docs/", "/docs/", Caller::Ignored, 200),
    call("GET /docs/{file}", "/docs/start.js", Caller::Ignored, 200),
];

/// Parameters that are known besides those of the good requests.
pub(super) const MORE_PARAMETERS: &[(&str, Part)] = &[
    ("GET /balance/entries", may("cursor", "", Cursor)),
    ("GET /products", may("cursor", "", Cursor)),
    ("GET /order", may("cursor", "", Cursor)),
    ("GET /products/top", may("asOf", "", Time)),
];

impl Call {
    pub(super) fn method(&self) -> &'static str {
        self.route.split(' ').next().expect("a method")
    }

    /// Whether it sends a command.
    pub(super) fn is_write(&self) -> bool {
        self.method() != "GET"
    }

    /// Whether it takes no notice of its query.
    pub(super) fn is_page(&self) -> bool {
        let first = CALLS.iter().position(|call| call.route == "GET /").expect("the first page");
        CALLS.iter().skip(first).any(|page| page.route == self.route)
    }

    pub(super) fn path(&self) -> String {
        self.path
            .replace("{a}", &order(TO_PAY))
            .replace("{b}", &order(TO_CANCEL))
            .replace("{command}", &command("funds"))
    }

    /// The path, with something else in place of the id.
    pub(super) fn path_with_id(&self, id: &str) -> Option<String> {
        let (before, after) = self.route.split_once(' ')?.1.split_once("{id}")?;
        Some(format!("{before}{id}{after}"))
    }

    /// Path and query, with this text of one parameter more.
    pub(super) fn target(&self, more: &str) -> String {
        let query: Vec<_> =
            self.query.iter().map(|part| format!("{}={}", part.name, part.good)).collect();
        self.target_of(&query, more)
    }

    /// Path and query, of these parameters and one text more.
    pub(super) fn target_of(&self, query: &[String], more: &str) -> String {
        let all: Vec<_> = query
            .iter()
            .map(String::as_str)
            .chain(Some(more).filter(|text| !text.is_empty()))
            .collect();
        match all.is_empty() {
            true => self.path(),
            false => format!("{}?{}", self.path(), all.join("&")),
        }
    }

    /// The good body, with other JSON for some fields.
    pub(super) fn body_with(&self, other: impl Fn(&Part) -> Option<Vec<u8>>) -> Vec<u8> {
        let mut fields = Vec::new();
        for part in self.body {
            let Some(value) = other(part) else { continue };
            let separator: &[u8] = if fields.is_empty() { b"" } else { b"," };
            fields.extend_from_slice(separator);
            fields.extend_from_slice(format!("\"{}\":", part.name).as_bytes());
            fields.extend_from_slice(&value);
        }
        [b"{", &fields[..], b"}"].concat()
    }

    pub(super) fn good_body(&self) -> Vec<u8> {
        self.body_with(|part| Some(part.good.into()))
    }

    /// The good request, except for its key; a write waits for its outcome.
    pub(super) fn request(&self) -> Request {
        let request = Request::new(self.method(), &self.target(""));
        let request = if self.is_write() { request.header("prefer", "wait=20") } else { request };
        if self.body.is_empty() { request } else { request.body(self.good_body()) }
    }

    /// The good request with a key of its own.
    pub(super) fn keyed(&self) -> Request {
        self.request().header("idempotency-key", format!("good-{}", self.route.replace(' ', "-")))
    }
}

#[test]
fn every_route_has_a_call() {
    let router = include_str!("../../../ingest-api/src/router.rs");
    let routes = |text: &'static str| {
        let calls = text.split(".call(\"").flat_map(|part| part.split(".page(\""));
        calls.skip(1).map(|part| part.split('"').next().expect("a name")).collect::<Vec<_>>()
    };
    let listed: Vec<_> = CALLS.iter().map(|call| call.route).collect();
    assert_eq!(listed, routes(router), "CALLS has every route of the router, in its order");
    let pages = CALLS.iter().filter(|call| call.is_page()).count();
    assert_eq!(pages, router.matches(".page(\"").count());
}
