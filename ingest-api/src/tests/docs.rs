//! Swagger UI and the document, as a browser gets them.

use super::rig::Rig;
use axum::http::Method;

const FILES: [(&str, &str); 6] = [
    ("start.js", "text/javascript; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
    ("LICENSE.txt", "text/plain; charset=utf-8"),
    ("NOTICE.txt", "text/plain; charset=utf-8"),
];

#[tokio::test]
async fn the_page_asks_nobody_else() {
    let rig = Rig::new();
    let page = rig.get("/docs").await;
    assert_eq!(page.text, rig.get("/docs/").await.text);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!page.text.contains("://") && !page.text.contains("<script>"), "{}", page.text);
    let linked = page.text.split('"').filter(|text| text.starts_with("/docs/"));
    let linked: Vec<_> = linked.collect();
    assert_eq!(linked.len(), 4, "{linked:?}");
    for path in linked {
        assert_eq!(rig.send(Method::HEAD, path, &[], "").await.status, 200, "{path}");
    }
    let start = rig.get("/docs/start.js").await;
    assert!(start.text.contains(r#"url: "/openapi.json""#), "{}", start.text);
    assert!(start.text.contains("validatorUrl: null"), "a validator would be another host's");
}

#[tokio::test]
async fn files_are_kept_until_they_change() {
    let rig = Rig::new();
    let own = [("/docs".to_owned(), "text/html; charset=utf-8")];
    let document = [("/openapi.json".to_owned(), "application/json")];
    let files = FILES.map(|(name, media_type)| (format!("/docs/{name}"), media_type));
    for (path, media_type) in own.into_iter().chain(document).chain(files) {
        let head = rig.send(Method::HEAD, &path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.header("content-type")), (200, media_type));
        assert_eq!(head.header("cache-control"), "no-cache", "{path}");
        assert_eq!(head.header("x-content-type-options"), "nosniff", "{path}");
        let length: usize = head.header("content-length").parse().expect("a length");
        assert!(length > 50, "{path} has {length} bytes");
        let tag = head.header("etag").to_owned();
        for (given, status) in [(&*tag, 304), ("\"x\"", 200)] {
            let reply = rig.send(Method::HEAD, &path, &[("if-none-match", given)], "").await;
            assert_eq!((reply.status.as_u16(), reply.header("etag")), (status, &*tag), "{path}");
        }
    }
    for path in ["/docs/nothing.js", "/docs/..%2fCargo.toml", "/docs/a/b"] {
        assert_eq!(rig.get(path).await.problem(), (404, "ROUTE_NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn the_packed_files_are_swagger_ui() {
    let rig = Rig::new();
    let script = rig.get("/docs/swagger-ui-bundle.js").await.text;
    assert!(script.len() > 1_000_000 && script.contains("SwaggerUIBundle"));
    assert!(rig.get("/docs/swagger-ui.css").await.text.contains(".swagger-ui"));
    assert!(rig.get("/docs/LICENSE.txt").await.text.contains("Apache License"));
    assert!(rig.get("/docs/NOTICE.txt").await.text.contains("swagger-ui"));
}
