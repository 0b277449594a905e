//! Takes connections, answers them, and ends without losing what was begun.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{access::Access, options::ServeOptions, routes, shared::Shared, snapshot::Newest};
use crate::collection::Collection;

/// How often it looks whether it is to stop, and whether the index has a new commit.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long it waits before it takes connections again when the system had no room for one.
const NO_ROOM: Duration = Duration::from_millis(50);
/// The longest line and headers of a request.
const HEADER_BYTES: usize = 64 << 10;
/// Open files that are asked of the system: a connection is one.
const OPEN_FILES: u64 = 8_192;
/// What a connection is told that is one too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Others could reach it, and it has no token.
    #[error(
        "{address} can be reached from other machines, so a token is needed\n  try: --token, or SIGHTWORD_TOKEN in the environment"
    )]
    NeedsToken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The token cannot be sent in a header.
    #[error("the token must be made of visible ASCII characters without spaces, ; and ,")]
    BadToken,
    /// Something else listens there, or the address is not of this machine.
    #[error("cannot listen on {address}\n  try: another --port, or 0 for any free one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused what a server needs.
    #[error("cannot serve")]
    System(#[from] io::Error),
}

/// A server that listens, and answers once it [runs](Server::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// If others could reach the address and there is no token, or the address cannot be had.
    pub fn bind(collection: Collection, options: ServeOptions) -> Result<Self, ServeError> {
        let address = options.address;
        if !address.ip().is_loopback() && options.token.is_none() {
            return Err(ServeError::NeedsToken { address });
        }
        let is_sendable = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | ',');
        if options.token.as_ref().is_some_and(|t| t.is_empty() || !t.chars().all(is_sendable)) {
            return Err(ServeError::BadToken);
        }
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let access = Access::new(&options, address);
        let encoder = Arc::clone(collection.encoder());
        let shared = Shared::new(Newest::new(collection), encoder, access, options);
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, which is called several times a second, breaks. Then it takes no more
    /// connections, finishes the requests that run, and lets a job commit what it has.
    ///
    /// # Errors
    /// If the system refuses threads.
    pub fn run(self, stop: &mut dyn FnMut() -> ControlFlow<()>) -> Result<(), ServeError> {
        // Fewer are no error: connections that find no room are refused then.
        let _ = rlimit::increase_nofile_limit(OPEN_FILES);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("serve")
            .enable_all()
            .build()?;
        let shared = Arc::clone(&self.shared);
        let answered = runtime.block_on(self.take_connections(stop));
        shared.jobs.stop();
        runtime.shutdown_timeout(shared.limits.time);
        answered
    }

    async fn take_connections(
        self,
        stop: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), ServeError> {
        let shared = self.shared;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let service = routes::router(Arc::clone(&shared));
        let places = Arc::new(Semaphore::new(shared.limits.connections));
        let connections = GracefulShutdown::new();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => answer(stream, place, &service, &shared, &connections),
                        // Its buffer is empty: the answer fits or the client is gone.
                        Err(_) => drop(stream.try_write(FULL)),
                    },
                    Err(_) => sleep(NO_ROOM).await,
                },
                _ = look.tick() => {
                    if stop().is_break() {
                        break;
                    }
                    let shared = Arc::clone(&shared);
                    tokio::task::spawn_blocking(move || shared.newest.refresh());
                }
            }
        }
        drop(listener);
        // Requests still running then are cut off: nobody waits that long.
        let _ = timeout(shared.limits.time, connections.shutdown()).await;
        Ok(())
    }
}

/// Answers the requests of one connection.
fn answer(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    service: &Router,
    shared: &Shared,
    connections: &GracefulShutdown,
) {
    // Answers are written at once: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.client_time)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A client that went away, or spoke no HTTP, is no concern of ours.
        let _ = connection.await;
        drop(place);
    });
}
