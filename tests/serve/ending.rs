//! How a server ends: with what was begun.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

use super::support::{Served, read};
use crate::cli::support::{command, photos, sightword_in};

#[test]
fn a_request_that_runs_is_answered_before_the_end() {
    let mut served = Served::new();
    let mut stream = served.connect();
    let body = r#"{"query": "a red square", "all": true}"#;
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        served.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    served.ask_to_stop();
    // Refused from now on: the server waits for this one.
    while let Ok(mut other) = TcpStream::connect(served.address) {
        let _ = other.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        read(&mut other);
    }
    stream.write_all(body.as_bytes()).unwrap();
    let answer = read(&mut stream);
    assert_eq!(answer.status, 200, "{answer:?}");
    served.wait();
}

#[cfg(unix)]
#[test]
fn the_program_says_where_it_listens_and_ends_on_request() {
    let folder = photos(&["coffee-cup.jpg"]);
    assert_eq!(sightword_in(folder.path(), &["index", "photos"]).code, 0);
    let mut serve = command(folder.path(), &["serve", "--in", "photos", "--port", "0"]);
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let request =
        format!("GET /v1/search?q=coffee HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let found = read(&mut stream).json();
    assert_eq!(found["hits"][0]["path"], "coffee-cup.jpg", "{found}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_for_others_without_a_token_is_refused() {
    let folder = photos(&["coffee-cup.jpg"]);
    assert_eq!(sightword_in(folder.path(), &["index", "photos"]).code, 0);
    let args = ["serve", "--in", "photos", "--host", "0.0.0.0", "--port", "0"];
    let refused = sightword_in(folder.path(), &args);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--token"), "{}", refused.err);
}
