//! What to try first: printed at the start, and served at `/` to those who take no HTML.

const CURL: &str = "curl -H 'Content-Type: application/json' -H 'Prefer: wait=5'";

/// Links, and lines that end in an order, for a server that is reached at `base`, for example
/// `http://127.0.0.1:8080`. With the demo its users and products are there; without it they come
/// first.
pub fn hint(base: &str, is_demo: bool) -> String {
    let (state, lines) = if is_demo { demo(base) } else { bare(base) };
    format!(
        "Jupan (주판): wallets, live stock and orders{state}

  {base}/               the shop, for a browser
  {base}/docs           the HTTP API, to read and to try
  {base}/products       what is sold
  {base}/products/top   what sells best
  {base}/metrics        Prometheus metrics

Try:
{lines}"
    )
}

fn bare(base: &str) -> (&'static str, String) {
    let user = r#"{"id":1,"name":"Ada","email":"ada@example.org"}"#;
    let product = r#"{"id":7,"name":"Abacus","price":12000,"stock":5}"#;
    let charge = r#"{"userId":1,"amount":50000}"#;
    let order = r#"{"userId":1,"items":[{"productId":7,"quantity":2}]}"#;
    let lines = format!(
        "  {CURL} {base}/users -d '{user}'
  {CURL} {base}/products -d '{product}'
  {CURL} {base}/balance/charge -d '{charge}' && {CURL} {base}/order -d '{order}'
"
    );
    ("", lines)
}

fn demo(base: &str) -> (&'static str, String) {
    let order = r#"{"userId":1,"items":[{"productId":101,"quantity":2}]}"#;
    let sold_out = r#"{"userId":2,"items":[{"productId":110,"quantity":1}]}"#;
    let lines = format!(
        "  curl '{base}/balance?userId=1'
  {CURL} {base}/order -d '{order}'
  {CURL} {base}/order -d '{sold_out}'
"
    );
    ("\nThe demo: products 101 to 112, and users 1 to 10 with money", lines)
}
