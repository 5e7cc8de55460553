//! The API's document, and Swagger UI over it. Everything comes from this binary: the page asks no
//! other host for anything, and its policy would not let it.

use crate::{asset::Asset, call::Call, problem::Problem};
use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use jupan_schemas::Code;
use std::sync::LazyLock;

/// Scripts, styles and requests of this origin only. Swagger UI's styles have pictures inside.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jupan: the HTTP API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// Without a validator: that would be another host's.
const START: &str = r##"SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"##;

static INDEX: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/html; charset=utf-8", PAGE));

const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! packed {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name)).as_slice()
    };
}

/// Everything below `/docs/`.
static FILES: LazyLock<[(&str, Asset); 6]> = LazyLock::new(|| {
    let file = |name, media_type, bytes: &'static [u8]| (name, Asset::new(media_type, bytes));
    [
        file("start.js", SCRIPT, START.as_bytes()),
        file("swagger-ui-bundle.js", SCRIPT, packed!("swagger-ui-bundle.js")),
        file("swagger-ui.css", "text/css; charset=utf-8", packed!("swagger-ui.css")),
        file("favicon-32x32.png", "image/png", packed!("favicon-32x32.png")),
        file("LICENSE.txt", TEXT, packed!("LICENSE.txt")),
        file("NOTICE.txt", TEXT, packed!("NOTICE.txt")),
    ]
});

/// `GET /openapi.json`
pub(crate) async fn document(call: Call) -> Result<Response, Problem> {
    Ok(call.shop.document().answer(call.headers()))
}

/// `GET /docs`
pub(crate) async fn index(call: Call) -> Result<Response, Problem> {
    let mut response = INDEX.answer(call.headers());
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// `GET /docs/{file}`
pub(crate) async fn file(mut call: Call) -> Result<Response, Problem> {
    let name = |text: &str| FILES.iter().find(|(name, _)| *name == text);
    let found = call.path_id(name).await.map_err(|_| Problem::new(Code::RouteNotFound))?;
    Ok(found.1.answer(call.headers()))
}
