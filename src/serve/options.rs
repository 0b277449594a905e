//! How a server is set up.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::Duration,
};

use crate::rerank::Reranker;

/// How a server is set up. The default is safe: only programs of this machine reach it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Where it listens; port 0 takes any free one. Default: 127.0.0.1:7117.
    pub address: SocketAddr,
    /// What clients must know to be answered. Default: none; needed where others reach the address.
    pub token: Option<String>,
    /// Names, beside those of this machine, under which clients may reach it. Default: none.
    pub hosts: Vec<String>,
    /// Origins whose pages may read the answers, such as `http://localhost:3000`. Default: none.
    pub origins: Vec<String>,
    /// Who looks again at the first hits where a request wants it. Default: nobody.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// What requests may spend.
    pub limits: Limits,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7117)),
            token: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            reranker: None,
            limits: Limits::default(),
        }
    }
}

/// What requests may spend.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body, in bytes. Default: 20 MB.
    pub body_bytes: usize,
    /// The most pixels of a picture that is sent. Default: 50 million.
    pub image_pixels: u64,
    /// The longest that a request may take from its last header to its answer. Default: 30 s.
    pub time: Duration,
    /// The longest that a client may take to send its headers, or stay silent between two requests, and
    /// again to send its body. Default: 10 s.
    pub client_time: Duration,
    /// Requests that are worked on at the same time. Default: as many as the machine has cores.
    pub running: NonZeroUsize,
    /// Requests that may wait or be worked on; the next one is refused with 429. Default: 1,024.
    pub waiting: usize,
    /// The most bytes of small copies of pictures that are kept beside the index; the oldest go first.
    /// Default: 1 GB.
    pub thumbnail_bytes: u64,
    /// Connections; the next one is refused with 503. Default: 2,048.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 20_000_000,
            image_pixels: 50_000_000,
            time: Duration::from_secs(30),
            client_time: Duration::from_secs(10),
            running: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            waiting: 1_024,
            thumbnail_bytes: 1_000_000_000,
            connections: 2_048,
        }
    }
}
