//! The shop's page, for people: what front ends can build on this API, in one small one. Everything
//! comes from this binary; the page asks no other host for anything, and its policy would not let it.

use super::probes;
use crate::{asset::Asset, call::Call, problem::Problem};
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use jupan_schemas::Code;
use std::sync::LazyLock;

/// Files and requests of this origin only, nothing inline.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; object-src 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/html; charset=utf-8", include_bytes!("../../web/index.html").as_slice())
});

macro_rules! script {
    ($name:literal) => {
        ($name, Asset::new(SCRIPT, include_bytes!(concat!("../../web/", $name)).as_slice()))
    };
}

/// Everything below `/web/`.
static FILES: LazyLock<[(&str, Asset); 15]> = LazyLock::new(|| {
    let style = include_bytes!("../../web/style.css").as_slice();
    let icon = include_bytes!("../../web/icon.svg").as_slice();
    [
        ("style.css", Asset::new("text/css; charset=utf-8", style)),
        ("icon.svg", Asset::new("image/svg+xml", icon)),
        script!("abacus.js"),
        script!("api.js"),
        script!("buying.js"),
        script!("cart.js"),
        script!("catalogue.js"),
        script!("dom.js"),
        script!("main.js"),
        script!("messages.js"),
        script!("orders.js"),
        script!("pulse.js"),
        script!("shop.js"),
        script!("text.js"),
        script!("wallet.js"),
    ]
});

/// `GET /`: the page for those who take HTML, the hint for those who do not, such as curl.
pub(crate) async fn page(call: Call) -> Result<Response, Problem> {
    let mut response = if takes_html(call.headers()) {
        let mut page = PAGE.answer(call.headers());
        let headers = page.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        page
    } else {
        probes::hint(call).await?
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// `GET /web/{file}`
pub(crate) async fn file(mut call: Call) -> Result<Response, Problem> {
    let name = |text: &str| FILES.iter().find(|(name, _)| *name == text);
    let found = call.path_id(name).await.map_err(|_| Problem::new(Code::RouteNotFound))?;
    Ok(found.1.answer(call.headers()))
}

/// Whether `Accept` names HTML. `*/*` does not: it is what programs send that do not look.
fn takes_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut ranges = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
        let is_unwanted = |part: &str| {
            let weight = part.strip_prefix("q=").unwrap_or("1");
            weight.starts_with('0') && weight.bytes().all(|b| matches!(b, b'0' | b'.'))
        };
        is_html && !parts.any(is_unwanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::meaning;

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes()).expect("the page is text")
    }

    fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
        let page = std::iter::once(("index.html", text(&PAGE)));
        page.chain(FILES.iter().map(|(name, asset)| (*name, text(asset))))
    }

    #[test]
    fn html_is_for_those_who_name_it() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML; q=0.1", true),
            ("application/json, text/html", true),
            ("text/html;q=0", false),
            ("text/html; q=0.000, */*", false),
            ("*/*", false),
            ("text/*", false),
            ("text/htmlx", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(takes_html(&headers), expected, "{accept}");
        }
        assert!(!takes_html(&HeaderMap::new()));
    }

    /// The page and its files fit its policy, and data never becomes markup.
    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        const NAMESPACE: &str = "http://www.w3.org/2000/svg";
        let banned = [
            "http:",
            "https:",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=\"",
            " onclick",
            "javascript:",
            "@import",
            "url(",
        ];
        for (name, text) in files() {
            let text = text.replace(NAMESPACE, "");
            for word in banned {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
        let page = text(&PAGE);
        assert_eq!(page.matches("<script").count(), page.matches("src=\"/web/main.js\"").count());
        assert!(!page.contains("<style"));
    }

    #[test]
    fn every_file_is_used_and_every_file_used_is_there() {
        for (name, _) in files().filter(|(name, _)| *name != "index.html") {
            let is_used = |(_, text): (&str, &str)| {
                text.contains(&format!("\"/web/{name}\""))
                    || text.contains(&format!("from \"./{name}\""))
            };
            assert!(files().any(is_used), "{name} is not used");
        }
        for (user, text) in files() {
            let links = text.split("\"/web/").skip(1).chain(text.split("from \"./").skip(1));
            for name in links.filter_map(|rest| rest.split('"').next()) {
                assert!(FILES.iter().any(|(known, _)| *known == name), "{user} uses {name}");
            }
        }
    }

    /// An order that failed has a code, and no title: the page has those in both languages.
    #[test]
    fn the_page_gives_reasons_the_titles_that_the_api_gives() {
        let (_, texts) = files().find(|(name, _)| *name == "text.js").expect("the page's texts");
        for code in [
            Code::OutOfStock,
            Code::ProductNotFound,
            Code::InsufficientBalance,
            Code::Cancelled,
            Code::Expired,
        ] {
            let meaning = meaning(code);
            for title in [meaning.english, meaning.korean] {
                let line = format!("{code}: \"{title}\"");
                assert!(texts.contains(&line), "text.js has no {line}");
            }
        }
    }
}
