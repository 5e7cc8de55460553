//! What to try first: printed at the start, and served at `/`.

/// Links, and three lines that end in an order, for a server that is reached at `base`, for example
/// `http://127.0.0.1:8080`.
pub fn hint(base: &str) -> String {
    let curl = "curl -H 'Content-Type: application/json' -H 'Prefer: wait=5'";
    let user = r#"{"id":1,"name":"Ada","email":"ada@example.org"}"#;
    let product = r#"{"id":7,"name":"Abacus","price":12000,"stock":5}"#;
    let charge = r#"{"userId":1,"amount":50000}"#;
    let order = r#"{"userId":1,"items":[{"productId":7,"quantity":2}]}"#;
    format!(
        "Jupan (주판): wallets, live stock and orders

  {base}/products       what is sold
  {base}/products/top   what sells best
  {base}/metrics        Prometheus metrics

Try:
  {curl} {base}/users -d '{user}'
  {curl} {base}/products -d '{product}'
  {curl} {base}/balance/charge -d '{charge}' && {curl} {base}/order -d '{order}'
"
    )
}
