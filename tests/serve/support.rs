//! A server on a free port over an album of drawn pictures, and a client that can misbehave.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use sightword::{
    collection::Collection,
    serve::{ServeOptions, Server},
};

use crate::collection::support::Album;

/// How long a test waits for what must come before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(super) struct Served {
    pub(super) album: Album,
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Served {
    /// A server of six pictures.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut ServeOptions)) -> Self {
        let pictures =
            [("a.bmp", 1), ("b.bmp", 2), ("c.bmp", 3), ("2021/d.bmp", 4), ("2021/e.bmp", 5)];
        let (album, collection) = Album::indexed(&pictures);
        Self::of(album, collection, change)
    }

    pub(super) fn of(
        album: Album,
        collection: Collection,
        change: impl FnOnce(&mut ServeOptions),
    ) -> Self {
        let mut options = ServeOptions::default();
        options.address.set_port(0);
        change(&mut options);
        let server = Server::bind(collection, options).unwrap();
        let address = server.address();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let run = move || {
            let flow = || match asked.load(Ordering::SeqCst) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            server.run(&mut { flow }).unwrap();
        };
        Self { album, address, stop, thread: Some(thread::spawn(run)) }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    /// `headers`: further ones, each with its line end.
    pub(super) fn get_with(&self, path: &str, headers: &str) -> Answer {
        let host = self.address;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
        ))
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, "application/json", &body.to_string())
    }

    pub(super) fn post_text(&self, path: &str, kind: &str, body: &str) -> Answer {
        self.post_with(path, &format!("Content-Type: {kind}\r\n"), body)
    }

    pub(super) fn post_with(&self, path: &str, headers: &str, body: &str) -> Answer {
        let (host, length) = (self.address, body.len());
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub(super) fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        // A server that answers before it has read everything may close meanwhile.
        let _ = stream.write_all(request.as_bytes());
        read(&mut stream)
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks until the answer is as expected.
    pub(super) fn until(&self, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.get(path);
            if expected(&answer) {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "{path} stays {answer:?}");
        }
    }

    /// The id of a picture of the album.
    pub(super) fn id(&self, name: &str) -> String {
        let bytes = std::fs::read(self.album.path(name)).unwrap();
        sightword::ingest::ContentId::of(&bytes).to_string()
    }

    /// The heaviest whole word of a picture.
    pub(super) fn word(&self, name: &str) -> String {
        let body = self.get(&format!("/v1/images/{}/tokens", self.id(name))).json();
        let tokens = body["tokens"].as_array().unwrap().iter();
        let mut words = tokens.map(|token| token["token"].as_str().unwrap());
        words.find(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).unwrap().to_owned()
    }

    /// Asks the server to stop, without waiting.
    pub(super) fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Waits for the server's end.
    pub(super) fn wait(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ask_to_stop();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

/// Reads an answer to the end of the connection.
pub(super) fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // What came before a reset counts: the server may have closed on a body that it did not want.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
    Answer { status, head, body }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = |line: &'_ str| -> Option<usize> {
            let (found, _) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| found.len() + 1)
        };
        self.head
            .lines()
            .find_map(|line| value(line).map(|at| line[at..].trim()))
            .unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    /// The answer must be a problem with this status and code; what it says.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, code: &str) -> String {
        let said = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{} {said}", self.head);
        assert_eq!(self.header("content-type"), "application/problem+json", "{said}");
        let body = self.json();
        assert_eq!((&body["code"], &body["status"]), (&code.into(), &status.into()), "{said}");
        body["detail"].as_str().unwrap().to_owned()
    }
}
