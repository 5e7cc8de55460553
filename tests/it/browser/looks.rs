//! How the pages look and sound: to small windows, dark rooms, screen readers, hostile names.

use super::{ENGLISH, NEWEST, SCARCE, Scene, assert_all_from, in_card};
use crate::{
    chromium::Browser,
    shop::{Shop, fresh_dir},
};
use serde_json::{Value, json};

/// What can be pressed, filled in or followed.
const CONTROLS: [&str; 8] = [
    "button",
    "link",
    "combobox",
    "spinbutton",
    "textbox",
    "radio",
    "checkbox",
    "DisclosureTriangle",
];

/// Whatever can be read with less contrast than 4.5 to 1 (3 to 1 where it is large).
const FAINT_TEXTS: &str = "(() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        const colour = channels(getComputedStyle(element).backgroundColor);
        return colour.length === 4 && colour[3] === 0 ? behind(element.parentElement) : colour;
    };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = Array.from(element.childNodes).filter((node) => node.nodeType === 3);
        const words = own.map((node) => node.data.trim()).join('');
        const box = element.getBoundingClientRect();
        if (!words || box.width < 2 || element.closest('svg, noscript, .unseen')) continue;
        const style = getComputedStyle(element);
        const [text, ground] = [light(channels(style.color)), light(behind(element))];
        const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
        const [size, weight] = [parseFloat(style.fontSize), Number(style.fontWeight)];
        const least = size >= 24 || (size >= 18.66 && weight >= 700) ? 3 : 4.5;
        if (ratio < least) faint.push(`${words.slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    return faint;
})()";

/// Puts something of everything on the page.
async fn fill_page(scene: &Scene) {
    let tab = &scene.tab;
    scene.buy(107, 2).await;
    scene.newest_is("SUCCESS").await;
    scene.buy(SCARCE, 4).await;
    scene.newest_is("FAILED").await;
    tab.click("#payment input[value='later']").await;
    scene.buy(104, 1).await;
    scene.newest_is("PAYABLE").await;
    tab.click(&in_card(109, ".add")).await;
    tab.reads("#cart", "Pine-soot ink stick").await;
    tab.reads("#top", "Stitched hanji notebook").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_control_has_a_name_and_every_text_can_be_read() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    fill_page(&scene).await;
    let tree = tab.call("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().expect("nodes");
    let controls = nodes.iter().filter(|node| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        node["ignored"] == false && CONTROLS.contains(&role)
    });
    let names: Vec<_> =
        controls.map(|node| node["name"]["value"].as_str().unwrap_or_default()).collect();
    assert!(names.len() > 50, "{names:?}");
    assert!(names.iter().all(|name| !name.trim().is_empty()), "{names:?}");
    for name in ["Buy Onggi teapot", "Quantity of Onggi teapot", "Pay", "User", "English"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    for scheme in ["light", "dark"] {
        tab.prefer(scheme).await;
        tab.sees(&format!("matchMedia('(prefers-color-scheme: {scheme})').matches")).await;
        assert_eq!(tab.ask(FAINT_TEXTS).await, json!([]), "{scheme}");
    }
    let dark = tab.ask("getComputedStyle(document.body).backgroundColor").await;
    assert_eq!(dark, "rgb(18, 22, 20)");
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_needs_no_sideways_scrolling() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let tab = &scene.tab;
    tab.resize((360, 740)).await;
    fill_page(&scene).await;
    for language in ["en", "ko"] {
        tab.click(&format!("[data-language='{language}']")).await;
        let width = tab.ask("document.documentElement.scrollWidth").await;
        assert_eq!(width, 360, "{language}");
        // Nothing is cut off, either.
        let cut = tab
            .ask(
                "Array.from(document.querySelectorAll('button, select, input, .what, .name, .money'))
                    .filter((element) => element.scrollWidth > element.clientWidth + 1
                        && getComputedStyle(element).display !== 'inline')
                    .map((element) => element.id || element.textContent)",
            )
            .await;
        assert_eq!(cut, json!([]), "{language}");
    }
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_text_whatever_they_look_like() {
    let scene = Scene::open(ENGLISH, &[]).await;
    let (tab, client) = (&scene.tab, scene.shop.client());
    let name = "<img src=x onerror='window.caught = 1'><b>bold</b> & \"co\"";
    let product = json!({"id": 99, "name": name, "price": 10, "stock": 5});
    assert_eq!(client.post("/products", "markup", product).await.status, 201);
    tab.sees("document.querySelectorAll('#products > li').length === 13").await;
    assert_eq!(tab.text(&in_card(99, ".name")).await, name);
    scene.buy(99, 1).await;
    scene.newest_is("SUCCESS").await;
    tab.reads(NEWEST, name).await;
    tab.reads("#top", name).await;
    tab.click(&in_card(99, ".add")).await;
    tab.reads("#cart", name).await;
    scene.says("news", name).await;
    assert_eq!(
        tab.ask("document.querySelectorAll('main img, main b, .messages b').length").await,
        0
    );
    assert_eq!(tab.ask("window.caught ?? null").await, Value::Null);
    assert_eq!(tab.complaints(), Vec::<String>::new());
    // And if there were a hole, the page's policy would run nothing that came through it.
    let inject = "(() => {
        const script = document.createElement('script');
        script.textContent = 'window.caught = 2';
        document.body.append(script);
        return window.caught ?? null;
    })()";
    assert_eq!(tab.ask(inject).await, Value::Null);
    assert!(tab.complaints().concat().contains("Content Security Policy"));
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_shop_says_how_to_fill_it() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let browser = Browser::start().await;
    let tab = browser.tab(ENGLISH).await;
    tab.go(&shop.url).await;
    tab.sees("!document.getElementById('bare').hidden").await;
    tab.reads("#bare", "jupan --demo").await;
    tab.reads("#balance", "–").await;
    tab.sees("document.getElementById('trouble').hidden").await;
    tab.click("#charge button").await;
    tab.reads("#refusals", "No such user").await;
    let client = shop.client();
    client.product(7, 12_000, 5).await;
    tab.reads(&in_card(7, ".name"), "Product 7").await;
    tab.sees("document.getElementById('bare').hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_works_in_a_browser_and_asks_nobody_else() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--demo"]).await;
    let browser = Browser::start().await;
    let tab = browser.tab(ENGLISH).await;
    tab.go(&format!("{}/docs", shop.url)).await;
    tab.sees("document.querySelectorAll('.opblock').length > 20").await;
    // The first operation that only reads the best sellers, tried out.
    let operation = "[...document.querySelectorAll('.opblock-get')]
        .find((block) => block.textContent.includes('/products/top'))";
    tab.ask(&format!("{operation}.id = 'tried'")).await;
    tab.click("#tried .opblock-summary-control").await;
    tab.click("#tried .execute").await;
    tab.reads("#tried .live-responses-table", "windowFrom").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    assert_all_from(&shop.url, &tab);
}

/// The README's picture, made anew with `JUPAN_SCREENSHOT=docs/images/shop.png cargo test --test it
/// picture` on a machine with a Korean font (`apt-get install fonts-nanum`).
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_the_shop_in_use() {
    const BYTES_MAX: usize = 300_000;
    let scene = Scene::open(ENGLISH, &[]).await;
    let (tab, client) = (&scene.tab, scene.shop.client());
    for (user, items) in [
        (2, [(102, 7), (106, 12)]),
        (3, [(103, 9), (112, 2)]),
        (4, [(106, 8), (101, 3)]),
        (5, [(107, 4), (105, 2)]),
    ] {
        let order = client.order(user, &format!("picture-{user}"), &items).await;
        assert_eq!(order.status, 201, "{order:?}");
    }
    let add = json!({"userId": 1, "productId": 108, "quantity": 1});
    assert_eq!(client.post("/cart/add", "picture-cart", add).await.status, 200);
    scene.buy(112, 2).await;
    scene.newest_is("SUCCESS").await;
    tab.click(&format!("{NEWEST} [data-action='refund-112']")).await;
    tab.reads(NEWEST, "1 refunded").await;
    scene.buy(SCARCE, 2).await;
    scene.newest_is("FAILED").await;
    tab.click("#payment input[value='later']").await;
    scene.buy(104, 1).await;
    scene.newest_is("PAYABLE").await;
    tab.sees("document.querySelectorAll('#top > li').length === 5").await;
    tab.reads("#cart", "Calligraphy brush").await;
    tab.ask("for (const said of document.querySelectorAll('.messages p')) said.remove()").await;
    tab.ask("document.activeElement.blur()").await;
    tab.ask("scrollTo(0, 0)").await;
    tab.reads(&in_card(104, ".stock"), "14 left").await;
    tab.ask("Promise.all(document.getAnimations().map((bead) => bead.finished)).then(() => null)")
        .await;
    let picture = tab.picture().await;
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());
    assert!(picture.len() < BYTES_MAX, "{} bytes", picture.len());
    if let Some(path) = std::env::var_os("JUPAN_SCREENSHOT") {
        std::fs::write(&path, picture).expect("the picture can be written");
    }
    scene.close();
}
