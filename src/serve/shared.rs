//! What all requests share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    access::Access,
    jobs::Jobs,
    metrics::Metrics,
    options::{Limits, ServeOptions},
    problem::Problem,
    shelf::Shelf,
    snapshot::{Newest, Snapshot},
};
use crate::{encode::Encoder, rerank::Reranker};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) newest: Newest,
    pub(crate) encoder: Arc<Encoder>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
    pub(crate) access: Access,
    pub(crate) origins: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) jobs: Jobs,
    pub(crate) shelf: Shelf,
    /// Places for requests that wait or run.
    waiting: Arc<Semaphore>,
    /// Places for requests that run.
    running: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(
        newest: Newest,
        encoder: Arc<Encoder>,
        access: Access,
        options: ServeOptions,
    ) -> Self {
        let limits = options.limits;
        Self {
            newest,
            metrics: Metrics::new(),
            jobs: Jobs::default(),
            shelf: Shelf::new(limits.thumbnail_bytes),
            encoder,
            reranker: options.reranker,
            access,
            origins: options.origins,
            waiting: Arc::new(Semaphore::new(limits.waiting)),
            running: Arc::new(Semaphore::new(limits.running.get())),
            limits,
        }
    }

    /// Runs work that keeps a core busy, on a thread of its own and on the newest commit, as soon as there
    /// is a place; refuses it if too much waits already.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Arc<Snapshot>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let snapshot = self.newest.get()?;
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| Problem::overloaded())?;
        let closed = |_| Problem::internal("the server is stopping");
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(closed)?;
        let shared = Arc::clone(self);
        // The places are given back when the work is done, even if nobody waits for it any more.
        let task = tokio::task::spawn_blocking(move || {
            let answer = work(&shared, &snapshot);
            drop((running, waiting));
            answer
        });
        task.await
            .unwrap_or_else(|_| Err(Problem::internal("this request broke the server's code")))
    }
}
