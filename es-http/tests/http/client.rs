//! A server on loopback, and a client that can cut its connection anywhere.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Router;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server; it ends with the runtime of its test.
#[derive(Clone, Copy)]
pub(crate) struct Server(SocketAddr);

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self(address)
    }

    /// Sends a request, and reads the answer whole.
    pub(crate) async fn send(self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.begin(request, headers, body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Answer::read(&answer)
    }

    /// Sends a request, and leaves its answer to the caller. `request` is a method and a path.
    pub(crate) async fn begin(self, request: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut text = format!("{request} HTTP/1.1\r\nhost: bank\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            let length = body.len().to_string();
            text.extend(["content-type: application/json\r\ncontent-length: ", &length, "\r\n"]);
        }
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn post(self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(&format!("POST {path}"), headers, body).await
    }

    pub(crate) async fn get(self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(&format!("GET {path}"), headers, "").await
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(answer: &[u8]) -> Self {
        let text = String::from_utf8(answer.to_vec()).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers: HashMap<_, _> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let is_chunked = headers
            .get("transfer-encoding")
            .is_some_and(|encoding| encoding == "chunked");
        let body = if is_chunked { joined(body) } else { body.to_owned() };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The kind of the problem.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status, "{self:?}");
        let kind = body["type"].as_str().unwrap();
        kind.strip_prefix("urn:problem-type:").unwrap_or(kind).to_owned()
    }
}

/// The content of the chunks that are whole.
pub(crate) fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        let Some(chunk) = rest.get(..length).filter(|_| length > 0) else {
            break;
        };
        body += chunk;
        chunks = rest[length..].strip_prefix("\r\n").unwrap_or_default();
    }
    body
}
