//! One tab, as a person uses it: looks, clicks, types; and what it said and asked for meanwhile.

use super::wire::{Event, Wire};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long something may take to show.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the page is looked at meanwhile.
const LOOK_PAUSE: Duration = Duration::from_millis(15);
/// A usual window.
const WINDOW: (u32, u32) = (1280, 900);

/// A tab.
pub(crate) struct Tab {
    wire: Arc<Wire>,
    session: String,
}

impl Tab {
    pub(super) async fn open(wire: &Arc<Wire>, language: &str) -> Self {
        let target = wire.call(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = wire.call(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Self { wire: Arc::clone(wire), session };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        let agent = json!({"userAgent": "Mozilla/5.0 (X11) Chromium", "acceptLanguage": language});
        tab.call("Emulation.setUserAgentOverride", agent).await;
        tab.resize(WINDOW).await;
        tab
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.wire.call(Some(&self.session), method, params).await
    }

    /// Sets the size of what the page has to itself.
    pub(crate) async fn resize(&self, (width, height): (u32, u32)) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Makes the page believe that its reader prefers dark or light pages.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Runs a script in every page that is opened from now on, before any of the page's own.
    pub(crate) async fn before_pages(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        const LOADED: &str = "Page.loadEventFired";
        let before = self.events().iter().filter(|event| event.method == LOADED).count();
        let went = self.call("Page.navigate", json!({"url": url})).await;
        assert!(went.get("errorText").is_none(), "{url}: {went}");
        self.wire.event(&self.session, LOADED, before).await;
    }

    /// What a script's expression is, awaited if it is a promise.
    pub(crate) async fn ask(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", params).await;
        let wrong = &answer["exceptionDetails"];
        assert!(wrong.is_null(), "{expression}: {wrong}");
        answer["result"]["value"].take()
    }

    /// Looks at the page until an expression is true.
    pub(crate) async fn sees(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.ask(&format!("!!({expression})")).await != json!(true) {
            if Instant::now() > end {
                let text = self.ask("document.body.innerText").await;
                let text = text.as_str().unwrap_or_default();
                panic!("never true: {expression}\nthe page says:\n{text}\n{:?}", self.complaints());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Looks until the text of the first element of a selector has these words.
    pub(crate) async fn reads(&self, selector: &str, words: &str) {
        let (selector, words) = (json!(selector), json!(words));
        self.sees(&format!("document.querySelector({selector})?.textContent.includes({words})"))
            .await;
    }

    /// The text of the first element of a selector.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let find = format!("document.querySelector({}).textContent", json!(selector));
        self.ask(&find).await.as_str().expect("a text").to_owned()
    }

    /// Clicks on the middle of the first element of a selector, once it is there and nothing lies
    /// over it.
    pub(crate) async fn click(&self, selector: &str) {
        let find = format!(
            "(() => {{
                const element = document.querySelector({});
                if (!element) return null;
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = element.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return hit && (element.contains(hit) || hit.contains(element)) ? {{ x, y }} : null;
            }})()",
            json!(selector)
        );
        self.sees(&find).await;
        let place = self.ask(&find).await;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses a key that has a name: `Tab`, `Enter`, `Space`, `ArrowDown`.
    pub(crate) async fn press(&self, name: &str) {
        let (key, code, text) = match name {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            "ArrowDown" => ("ArrowDown", 40, ""),
            _ => panic!("no such key here: {name}"),
        };
        let mut event = json!({
            "type": if text.is_empty() { "rawKeyDown" } else { "keyDown" },
            "key": key, "code": name, "windowsVirtualKeyCode": code, "text": text,
        });
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = json!("keyUp");
        event["text"] = json!("");
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Types into what has the focus.
    pub(crate) async fn types(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Clicks into a field, and types over what is in it.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.click(selector).await;
        self.ask(&format!("document.querySelector({}).select()", json!(selector))).await;
        self.types(text).await;
    }

    /// Chooses an option of a select by its value.
    pub(crate) async fn choose(&self, selector: &str, value: &str) {
        self.ask(&format!(
            "(() => {{
                const select = document.querySelector({});
                select.value = {};
                select.dispatchEvent(new Event('change', {{ bubbles: true }}));
            }})()",
            json!(selector),
            json!(value)
        ))
        .await;
    }

    /// A picture of the window, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        base64(picture["data"].as_str().expect("a picture"))
    }

    fn events(&self) -> Vec<Event> {
        self.wire.events(&self.session)
    }

    /// Every URL that was asked for so far, with `data:` and `blob:`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let url = |event: &Event| {
            let url = match event.method.as_str() {
                "Network.requestWillBeSent" => &event.params["request"]["url"],
                "Network.webSocketCreated" => &event.params["url"],
                _ => return None,
            };
            Some(url.as_str().unwrap_or_default().to_owned())
        };
        self.events().iter().filter_map(url).collect()
    }

    /// Everything that the console would show in red so far: errors, uncaught exceptions, what the
    /// policy forbade, what could not be loaded.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is_complaint = |event: &Event| match event.method.as_str() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => {
                matches!(event.params["type"].as_str(), Some("error" | "assert"))
            }
            "Log.entryAdded" => event.params["entry"]["level"] == "error",
            _ => false,
        };
        let events = self.events();
        events.iter().filter(|event| is_complaint(event)).map(|e| e.params.to_string()).collect()
    }
}

/// Bytes out of base64, as the protocol has them.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in digits {
        bits = (bits << 6) | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).expect("a byte"));
        }
    }
    bytes
}
