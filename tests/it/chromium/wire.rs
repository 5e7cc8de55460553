//! Calls, answers and events of the DevTools protocol: JSON documents with a zero byte after each.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{ChildStdin, ChildStdout},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// Longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Something that the browser told.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    session: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

#[derive(Default)]
struct State {
    calls: u64,
    answers: HashMap<u64, Value>,
    events: Vec<Event>,
    is_closed: bool,
}

/// One browser's pipes.
pub(crate) struct Wire {
    input: Mutex<Option<ChildStdin>>,
    state: Mutex<State>,
    /// Counts what came in.
    news: watch::Sender<u64>,
    /// What the browser has to say about itself.
    output: PathBuf,
}

impl Wire {
    pub(crate) fn new(input: ChildStdin, answers: ChildStdout, output: PathBuf) -> Arc<Self> {
        let wire = Arc::new(Self {
            input: Mutex::new(Some(input)),
            state: Mutex::default(),
            news: watch::Sender::new(0),
            output,
        });
        let reading = Arc::clone(&wire);
        std::thread::spawn(move || reading.read(answers));
        wire
    }

    fn read(&self, answers: ChildStdout) {
        let documents = BufReader::new(answers).split(0).map_while(Result::ok);
        for bytes in documents {
            let document: Value = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            self.take(document);
            self.news.send_modify(|count| *count += 1);
        }
        self.state.lock().is_closed = true;
        self.news.send_modify(|count| *count += 1);
    }

    fn take(&self, mut document: Value) {
        let mut state = self.state.lock();
        if let Some(id) = document["id"].as_u64() {
            state.answers.insert(id, document);
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (session, method) = (text(&document["sessionId"]), text(&document["method"]));
        state.events.push(Event { session, method, params: document["params"].take() });
    }

    /// Calls a method, of a tab's session or of the browser itself, and waits for its result.
    pub(crate) async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = {
            let mut state = self.state.lock();
            state.calls += 1;
            state.calls
        };
        let mut call = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            call["sessionId"] = json!(session);
        }
        self.send(&call);
        let mut answer = self.until(method, |state| state.answers.remove(&id)).await;
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    fn send(&self, call: &Value) {
        let mut bytes = call.to_string().into_bytes();
        bytes.push(0);
        let mut input = self.input.lock();
        let pipe = input.as_mut().expect("the browser is still open");
        pipe.write_all(&bytes).and_then(|()| pipe.flush()).expect("the browser still listens");
    }

    /// Waits until something is found in what came in.
    async fn until<T>(&self, what: &str, find: impl Fn(&mut State) -> Option<T>) -> T {
        let mut news = self.news.subscribe();
        let found = async {
            loop {
                {
                    let mut state = self.state.lock();
                    if let Some(found) = find(&mut state) {
                        return found;
                    }
                    assert!(!state.is_closed, "the browser ended before {what}: {}", self.said());
                }
                news.changed().await.expect("the sender is ours");
            }
        };
        let late = |_| panic!("the browser gives no {what} in time: {}", self.said());
        timeout(ANSWER_MAX, found).await.unwrap_or_else(late)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Everything that a session told so far.
    pub(crate) fn events(&self, session: &str) -> Vec<Event> {
        let state = self.state.lock();
        state.events.iter().filter(|event| event.session == session).cloned().collect()
    }

    /// Waits for a session's event of this kind behind its first `skip`.
    pub(crate) async fn event(&self, session: &str, method: &str, skip: usize) -> Value {
        let find = |state: &mut State| {
            let events = state.events.iter();
            let mut events = events.filter(|e| e.session == session && e.method == method);
            events.nth(skip).map(|event| event.params.clone())
        };
        self.until(method, find).await
    }

    /// Lets go of the browser, which ends it.
    pub(crate) fn close(&self) {
        self.input.lock().take();
    }
}
