//! The page at `/` and `/docs` in a real browser, over a real shop.

mod looks;
mod troubles;

use crate::{
    chromium::{Browser, Tab},
    shop::{Shop, fresh_dir, verify},
};
use serde_json::json;

const ENGLISH: &str = "en-US,en";
const KOREAN: &str = "ko-KR,ko";
/// Of the demo: 3 units, at 45,000.
const SCARCE: u64 = 105;
/// The first order in the list: the newest one.
const NEWEST: &str = "#orders > .order";

/// A demo shop in a browser, with the page open.
struct Scene {
    // Fields go in this order: the browser before the shop that it looks at.
    tab: Tab,
    browser: Browser,
    shop: Shop,
    data: tempfile::TempDir,
}

impl Scene {
    async fn open(language: &str, args: &[&str]) -> Self {
        let data = fresh_dir();
        let shop = Shop::start(data.path(), &[&["--demo"], args].concat()).await;
        let browser = Browser::start().await;
        let tab = browser.tab(language).await;
        let scene = Self { tab, browser, shop, data };
        scene.tab.before_pages(LISTEN).await;
        scene.load().await;
        scene
    }

    async fn load(&self) {
        self.tab.go(&self.shop.url).await;
        self.tab.sees("document.querySelectorAll('#products > li').length === 12").await;
        self.tab.reads("#balance", "₩").await;
    }

    /// Buys with the mouse.
    async fn buy(&self, product: u64, quantity: u64) {
        let field = format!("#quantity-{product}");
        self.tab.fill(&field, &quantity.to_string()).await;
        self.tab.click(&in_card(product, ".buy")).await;
    }

    async fn newest_is(&self, state: &str) {
        newest_is(&self.tab, state).await;
    }

    async fn says(&self, region: &str, words: &str) {
        says(&self.tab, region, words).await;
    }

    /// Ends the shop in good order and proves its books.
    fn close(self) {
        let Self { tab, browser, shop, data } = self;
        drop((tab, browser));
        assert!(shop.terminate().0.success());
        verify(data.path());
    }
}

/// Waits until the newest order is in a state.
async fn newest_is(tab: &Tab, state: &str) {
    tab.sees(&format!("document.querySelector('{NEWEST}')?.dataset.state === '{state}'")).await;
}

/// Waits until the page has said something, politely (`news`) or at once (`refusals`).
async fn says(tab: &Tab, region: &str, words: &str) {
    let has_words = format!("id === '{region}' && text.includes({})", json!(words));
    tab.sees(&format!("window.heard.some(([id, text]) => {has_words})")).await;
}

/// Messages go by themselves, and looks may come late: all that is said is kept in `window.heard`,
/// and every state that the newest order shows in `window.states`.
const LISTEN: &str = "
    window.heard = [];
    window.states = [];
    addEventListener('DOMContentLoaded', () => {
        for (const id of ['news', 'refusals']) {
            const hear = (changes) => changes.forEach(({ addedNodes }) =>
                addedNodes.forEach((node) => window.heard.push([id, node.textContent])));
            new MutationObserver(hear).observe(document.getElementById(id), { childList: true });
        }
        const look = () => {
            const state = document.querySelector('#orders > .order')?.dataset.state;
            if (state && state !== window.states.at(-1)) window.states.push(state);
        };
        const what = { subtree: true, childList: true, attributes: true };
        new MutationObserver(look).observe(document.getElementById('orders'), what);
    });
";

/// A part of a product's card.
fn in_card(product: u64, part: &str) -> String {
    format!("[data-product='{product}'] {part}")
}

fn assert_all_from(url: &str, tab: &Tab) {
    let requests = tab.requests();
    let ours = format!("{url}/");
    let foreign = |asked: &&String| !asked.starts_with(&ours) && !asked.starts_with("data:");
    let others: Vec<_> = requests.iter().filter(foreign).collect();
    assert!(others.is_empty(), "asked of others: {others:?}");
    assert!(requests.len() > 3, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_shop_and_asks_nobody_else() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    tab.reads(&in_card(101, ".name"), "Boseong first-flush green tea").await;
    tab.reads(&in_card(101, ".price"), "₩38,000").await;
    tab.reads(&in_card(101, ".stock"), "40 left").await;
    tab.reads(&in_card(110, ".stock"), "Sold out").await;
    tab.reads("#balance", "₩1,000,000").await;
    tab.sees("document.querySelectorAll('#user option').length === 10").await;
    tab.reads("#user option[value='10']", "Han Garam").await;
    let links = tab.ask("Array.from(document.querySelectorAll('footer a'), a => a.pathname)").await;
    assert_eq!(links, json!(["/docs", "/openapi.json"]));
    // A second heartbeat is as quiet as the first.
    let before = tab.requests().len();
    let beats = "performance.getEntriesByType('resource')
        .filter((entry) => entry.name.includes('/products?')).length";
    tab.sees(&format!("{beats} > 2")).await;
    assert!(tab.requests().len() > before);
    assert_eq!(tab.complaints(), Vec::<String>::new());
    assert_all_from(&scene.shop.url, tab);
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_succeeds_before_the_buyers_eyes() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    scene.buy(107, 2).await;
    scene.newest_is("SUCCESS").await;
    assert_eq!(tab.ask("window.states").await, json!(["PENDING", "SUCCESS"]));
    tab.reads(NEWEST, "Paid").await;
    tab.reads(NEWEST, "2 × Stitched hanji notebook").await;
    tab.reads(NEWEST, "₩32,000").await;
    scene.says("news", "Paid: ₩32,000").await;
    tab.reads(&in_card(107, ".stock"), "148 left").await;
    tab.reads("#balance", "₩968,000").await;
    tab.reads("#top > li", "Stitched hanji notebook").await;
    tab.reads("#top > li", "2 sold").await;
    tab.click(&format!("{NEWEST} summary")).await;
    tab.reads(&format!("{NEWEST} details"), "SUCCESS").await;
    // Others see the shop as it is now, too; and so does this buyer after a new start.
    tab.choose("#user", "2").await;
    tab.reads("#balance", "₩1,000,000").await;
    tab.sees("document.querySelectorAll('#orders > li').length === 0").await;
    tab.choose("#user", "1").await;
    scene.load().await;
    scene.newest_is("SUCCESS").await;
    tab.reads("#balance", "₩968,000").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scarce_product_sells_out_and_late_buyers_are_told_in_their_language() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    tab.choose("#user", "2").await;
    scene.buy(SCARCE, 4).await;
    scene.newest_is("FAILED").await;
    tab.reads(NEWEST, "Out of stock").await;
    scene.says("refusals", "Out of stock").await;
    tab.reads(&in_card(SCARCE, ".stock"), "3 left").await;
    scene.buy(SCARCE, 3).await;
    scene.newest_is("SUCCESS").await;
    tab.reads(&in_card(SCARCE, ".stock"), "Sold out").await;
    tab.click("[data-language='ko']").await;
    tab.reads(&in_card(SCARCE, ".stock"), "품절").await;
    tab.choose("#user", "3").await;
    tab.reads("#balance", "₩1,000,000").await;
    scene.buy(SCARCE, 1).await;
    scene.newest_is("FAILED").await;
    tab.reads(NEWEST, "재고가 부족합니다").await;
    scene.says("refusals", "재고가 부족합니다").await;
    tab.reads("#balance", "₩1,000,000").await;
    // Who has too little money is told so, and nothing stays reserved.
    scene.buy(101, 30).await;
    scene.newest_is("FAILED").await;
    tab.reads(NEWEST, "잔액이 부족합니다").await;
    tab.reads(&in_card(101, ".stock"), "40개 남음").await;
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_two_steps_is_paid_or_cancelled_and_a_paid_one_refunded() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    tab.click("#payment input[value='later']").await;
    scene.buy(104, 2).await;
    scene.newest_is("PAYABLE").await;
    tab.reads(NEWEST, "Payment needed").await;
    tab.reads(NEWEST, "Pay within 14:").await;
    tab.reads(&in_card(104, ".stock"), "13 left").await;
    tab.reads("#balance", "₩1,000,000").await;
    tab.click(&format!("{NEWEST} [data-action='pay']")).await;
    scene.newest_is("SUCCESS").await;
    tab.reads("#balance", "₩864,000").await;

    scene.buy(104, 3).await;
    scene.newest_is("PAYABLE").await;
    tab.reads(&in_card(104, ".stock"), "10 left").await;
    tab.click(&format!("{NEWEST} [data-action='cancel']")).await;
    scene.newest_is("FAILED").await;
    tab.reads(NEWEST, "The order was cancelled").await;
    tab.reads(&in_card(104, ".stock"), "13 left").await;
    tab.reads("#balance", "₩864,000").await;

    let paid = "#orders > .order:nth-child(2)";
    tab.click(&format!("{paid} [data-action='refund-104']")).await;
    tab.reads(paid, "1 refunded").await;
    tab.reads("#balance", "₩932,000").await;
    tab.reads(&in_card(104, ".stock"), "14 left").await;
    tab.click(&format!("{paid} [data-action='refund']")).await;
    tab.sees(&format!("document.querySelector('{paid}').dataset.state === 'REFUNDED'")).await;
    tab.reads("#balance", "₩1,000,000").await;
    tab.reads(&in_card(104, ".stock"), "15 left").await;
    assert_eq!(tab.ask(&format!("document.querySelectorAll('{paid} .actions').length")).await, 0);
    assert_eq!(tab.complaints(), Vec::<String>::new());
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_paid_in_time_expires() {
    let scene = Scene::open(ENGLISH, &["--order-deadline-s", "2"]).await;
    let tab = &scene.tab;
    tab.click("#payment input[value='later']").await;
    scene.buy(104, 2).await;
    scene.newest_is("FAILED").await;
    assert_eq!(tab.ask("window.states").await, json!(["PENDING", "PAYABLE", "FAILED"]));
    tab.reads(NEWEST, "The order has expired").await;
    scene.says("refusals", "The order has expired").await;
    tab.reads(&in_card(104, ".stock"), "15 left").await;
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_becomes_an_order_and_comes_back_if_that_fails() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let (tab, client) = (&scene.tab, scene.shop.client());
    tab.sees("document.getElementById('checkout').hidden").await;
    tab.fill("#quantity-106", "3").await;
    tab.click(&in_card(106, ".add")).await;
    tab.reads("#cart", "3 × Hanji letter set").await;
    tab.click(&in_card(109, ".add")).await;
    tab.reads("#cart-total", "₩54,000").await;
    tab.click("#cart > li:nth-child(2) [data-action='remove']").await;
    tab.reads("#cart-total", "₩27,000").await;
    tab.click("#order-cart").await;
    scene.newest_is("SUCCESS").await;
    tab.reads(NEWEST, "3 × Hanji letter set").await;
    tab.sees("document.getElementById('checkout').hidden").await;
    tab.reads("#balance", "₩973,000").await;
    tab.reads(&in_card(106, ".stock"), "297 left").await;

    tab.fill(&format!("#quantity-{SCARCE}"), "3").await;
    tab.click(&in_card(SCARCE, ".add")).await;
    tab.reads("#cart", "3 × Celadon cup").await;
    assert_eq!(client.order(2, "first", &[(SCARCE, 1)]).await.status, 201);
    tab.click("#order-cart").await;
    scene.newest_is("FAILED").await;
    scene.says("refusals", "Out of stock").await;
    tab.reads("#cart", "3 × Celadon cup").await;
    tab.reads("#balance", "₩973,000").await;
    tab.reads(&in_card(SCARCE, ".stock"), "2 left").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_speaks_the_browsers_language_until_another_is_chosen() {
    let scene = Scene::open(KOREAN, &[]).await;
    let tab = &scene.tab;
    assert_eq!(tab.ask("document.documentElement.lang").await, "ko");
    tab.reads("#catalogue-title", "상품").await;
    tab.reads("#order-cart", "장바구니 주문").await;
    // What the shop refuses it refuses in the page's language.
    tab.fill("#amount", "-5").await;
    tab.click("#charge button").await;
    scene.says("refusals", "허용되지 않는 금액입니다").await;
    tab.click("[data-language='en']").await;
    tab.reads("#catalogue-title", "Catalogue").await;
    tab.click("#charge button").await;
    scene.says("refusals", "Not an allowed amount").await;
    tab.fill("#amount", "250000").await;
    tab.click("#charge button").await;
    tab.reads("#balance", "₩1,250,000").await;
    scene.says("news", "Charged: ₩250,000").await;
    scene.load().await;
    assert_eq!(tab.ask("document.documentElement.lang").await, "en");
    // No text is missing in either language, and none is left over.
    let texts = "import('/web/text.js').then(async ({ t, setLanguage }) => {
        const found = { ko: [], en: [] };
        const source = await (await fetch('/web/text.js')).text();
        const names = new Set(Array.from(source.matchAll(/^    ([a-zA-Z]+):/gm), (m) => m[1]));
        for (const language of Object.keys(found)) {
            setLanguage(language);
            for (const name of names) if (t(name) === undefined) found[language].push(name);
        }
        return [names.size > 50, found];
    })";
    assert_eq!(tab.ask(texts).await, json!([true, {"ko": [], "en": []}]));
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_bought_with_the_keyboard_alone() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    let mut seen = Vec::new();
    while seen.last() != Some(&json!("quantity-106")) {
        tab.press("Tab").await;
        seen.push(tab.ask("document.activeElement.id || document.activeElement.className").await);
        assert!(seen.len() < 40, "no way to the field: {seen:?}");
    }
    assert_eq!(seen[0], "skip", "{seen:?}");
    assert!(tab.ask("document.activeElement.matches(':focus-visible')").await == json!(true));
    tab.ask("document.activeElement.select()").await;
    tab.types("2").await;
    tab.press("Tab").await;
    assert_eq!(tab.ask("document.activeElement.className").await, "buy");
    tab.press("Enter").await;
    scene.newest_is("SUCCESS").await;
    tab.reads("#balance", "₩982,000").await;
    assert_eq!(tab.ask("document.activeElement.className").await, "buy", "the focus stays");
    tab.press("Tab").await;
    tab.press("Space").await;
    tab.reads("#cart", "2 × Hanji letter set").await;
    // The order's buttons are reached, too, and the focus is not lost with the button.
    tab.ask("document.querySelector('[data-action=\"refund\"]').focus()").await;
    tab.press("Enter").await;
    scene.newest_is("REFUNDED").await;
    assert_eq!(tab.ask("document.activeElement.className").await, "order");
    scene.close();
}
