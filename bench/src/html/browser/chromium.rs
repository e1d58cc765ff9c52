use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use host::search_path::is_installed;
use serde_json::{Value, json};
use tempfile::TempDir;

/// As distributions name it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-headless-shell",
    "chromium-browser",
    "google-chrome",
];

/// One that hangs is no reason to hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one tab.
pub(super) struct Browser {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    /// What came meanwhile and answers nothing.
    events: Vec<Value>,
    asked: u64,
    session: String,
    /// Its profile, and the pages.
    dir: TempDir,
}

/// What was seen of a page.
pub(super) struct Seen {
    /// What it wrote to the console, what failed, and what was refused.
    pub complaints: Vec<String>,
    /// What it asked for beside itself, and was not kept from.
    pub requests: Vec<String>,
    /// How many drawings are in it.
    pub drawings: usize,
    /// The name of each image, as those are told it who don't see it.
    pub images: Vec<String>,
    /// How wide it is, and how wide the window.
    pub content_width: u64,
    pub window_width: u64,
}

impl Browser {
    /// `None` where there is none, which is said.
    pub(super) fn start() -> Option<Self> {
        let Some(name) = NAMES.into_iter().find(|name| is_installed(name)) else {
            eprintln!("SKIPPED: there is no Chromium");
            return None;
        };
        let dir = TempDir::new().unwrap();
        // It reads from descriptor 3, and writes to 4.
        let mut process = Command::new("sh")
            .args([
                "-c",
                r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
                "sh",
                name,
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", dir.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while stdout
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let parsed = serde_json::from_slice(&message).unwrap();
                if sender.send(parsed).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            process,
            requests,
            answers,
            events: Vec::new(),
            asked: 0,
            session: String::new(),
            dir,
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Loads a page in a window so wide.
    pub(super) fn look(&mut self, page: &str, width: u32) -> Seen {
        let path = self.dir.path().join("page.html");
        std::fs::write(&path, page).unwrap();
        let window =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", window);
        self.events.clear();
        let address = format!("file://{}", path.display());
        self.ask("Page.navigate", json!({"url": address}));
        while !self
            .events
            .iter()
            .any(|it| it["method"] == "Page.loadEventFired")
        {
            let event = self.next();
            self.events.push(event);
        }
        // What comes as soon as it is loaded comes before this.
        let number = |value: Value| value.as_u64().unwrap();
        let drawings = number(self.evaluate("document.querySelectorAll('svg').length"));
        let content_width = number(self.evaluate("document.documentElement.scrollWidth"));
        let window_width = number(self.evaluate("window.innerWidth"));
        let tree = self.ask("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let is_image = |node: &&Value| {
            let role = node["role"]["value"].as_str();
            node["ignored"] == false && matches!(role, Some("img" | "image"))
        };
        let name = |node: &Value| {
            node["name"]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let images = nodes.filter(is_image).map(name).collect();
        let of = |event: &str, what: fn(&Value) -> &Value| -> Vec<String> {
            let events = self.events.iter().filter(|it| it["method"] == event);
            let text = |it: &Value| what(&it["params"]).as_str().unwrap_or("?").to_owned();
            events.map(text).collect()
        };
        let complaints = [
            of("Runtime.consoleAPICalled", |it| &it["args"][0]["value"]),
            of(
                "Runtime.exceptionThrown",
                |it| &it["exceptionDetails"]["text"],
            ),
            of("Log.entryAdded", |it| &it["entry"]["text"]),
        ];
        let blocked = self.events.iter().filter(|it| {
            it["method"] == "Network.loadingFailed" && it["params"]["blockedReason"].is_string()
        });
        let blocked: Vec<_> = blocked.map(|it| &it["params"]["requestId"]).collect();
        let made = self.events.iter().filter(|it| {
            let request = &it["params"]["requestId"];
            it["method"] == "Network.requestWillBeSent" && !blocked.contains(&request)
        });
        let made = made.filter_map(|it| it["params"]["request"]["url"].as_str());
        let requests = made
            .filter(|it| *it != address)
            .map(str::to_owned)
            .collect();
        Seen {
            complaints: complaints.concat(),
            requests,
            drawings: drawings.try_into().unwrap(),
            images,
            content_width,
            window_width,
        }
    }

    /// What an expression is in the page.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        self.ask("Runtime.evaluate", asked)["result"]["value"].take()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut request = json!({"id": self.asked, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.as_str().into();
        }
        write!(self.requests, "{request}\0").unwrap();
        loop {
            let mut answer = self.next();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self) -> Value {
        self.answers.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
