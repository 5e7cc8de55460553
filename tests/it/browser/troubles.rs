//! The page while things go wrong around it.

use super::{ENGLISH, Scene, in_card, newest_is, says};
use crate::shop::Shop;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_survives_a_killed_shop_and_buys_only_once() {
    let Scene { tab, browser, shop, data } = Scene::open(ENGLISH, &[]).await;
    let address = shop.url.trim_start_matches("http://").to_owned();
    assert_eq!(tab.ask("document.getElementById('trouble').hidden").await, json!(true));
    shop.kill();
    tab.sees("!document.getElementById('trouble').hidden").await;
    tab.reads("#trouble", "The shop does not answer").await;
    tab.click(&in_card(108, ".buy")).await;
    says(&tab, "news", "asking again with the same key").await;
    let shop = Shop::start(data.path(), &["--demo", "--listen", &address]).await;
    tab.click("#again").await;
    tab.sees("document.getElementById('trouble').hidden").await;
    says(&tab, "news", "The shop is back").await;
    newest_is(&tab, "SUCCESS").await;
    tab.reads("#balance", "₩978,000").await;
    let orders = shop.client().get("/order?userId=1").await.body;
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1), "{orders}");
    Scene { tab, browser, shop, data }.close();
}

/// A write whose answer is lost is asked again with its key; the shop has done it once.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_gets_lost_is_asked_for_again_with_the_same_key() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    tab.ask(
        "(() => {
            const send = window.fetch;
            window.keys = [];
            window.fetch = async (path, options) => {
                const answer = await send(path, options);
                if (options.method === 'GET') return answer;
                window.keys.push(options.headers['Idempotency-Key']);
                if (window.keys.length === 1) throw new TypeError('the answer is lost');
                if (window.keys.length === 2) return new Response('', { status: 503 });
                return answer;
            };
        })()",
    )
    .await;
    tab.click("#charge button").await;
    tab.reads("#balance", "₩1,100,000").await;
    assert_eq!(tab.ask("[window.keys.length, new Set(window.keys).size]").await, json!([3, 1]));
    tab.click("#charge button").await;
    tab.reads("#balance", "₩1,200,000").await;
    assert_eq!(tab.ask("[window.keys.length, new Set(window.keys).size]").await, json!([4, 2]));
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_page_asks_nothing_and_is_fresh_again_once_it_is_seen() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    let hide = |is_hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {is_hidden}, configurable: true }});
            document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    tab.ask(&hide(true)).await;
    // Two heartbeats and a half. What was under way at first may still come.
    tab.ask("new Promise((resolve) => setTimeout(resolve, 500))").await;
    let before = tab.requests().len();
    tab.ask("new Promise((resolve) => setTimeout(resolve, 4500))").await;
    assert_eq!(tab.requests().len(), before);
    assert_eq!(scene.shop.client().order(2, "elsewhere", &[(106, 100)]).await.status, 201);
    tab.reads(&in_card(106, ".stock"), "300 left").await;
    tab.ask(&hide(false)).await;
    tab.reads(&in_card(106, ".stock"), "200 left").await;
    scene.close();
}
