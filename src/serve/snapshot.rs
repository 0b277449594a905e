//! One commit of the index, and the way to the next.

use std::{
    path::Path,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::SystemTime,
};

use super::problem::Problem;
use crate::{
    collection::{Collection, CollectionError, Facets, Info},
    encode::Encoder,
};

/// What one commit of the index holds. Requests that began with it end with it.
pub(crate) struct Snapshot {
    pub(crate) collection: Collection,
    stamp: Option<SystemTime>,
    info: OnceLock<Info>,
    facets: OnceLock<Facets>,
}

impl Snapshot {
    fn new(collection: Collection) -> Self {
        let stamp = collection.last_commit();
        Self { collection, stamp, info: OnceLock::new(), facets: OnceLock::new() }
    }

    /// Counts and sizes, worked out once.
    pub(crate) fn info(&self) -> Result<&Info, Problem> {
        once(&self.info, || self.collection.info())
    }

    /// What can be filtered by, worked out once.
    pub(crate) fn facets(&self) -> Result<&Facets, Problem> {
        once(&self.facets, || self.collection.facets())
    }

    /// A path as people are shown it: below the folder of pictures that it lies in.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let below = self.collection.roots().iter().find_map(|root| path.strip_prefix(root).ok());
        below.unwrap_or(path).to_string_lossy().replace('\\', "/")
    }
}

/// Two threads may both work the value out; one of the two is kept.
fn once<T>(
    cell: &OnceLock<T>,
    make: impl FnOnce() -> Result<T, CollectionError>,
) -> Result<&T, Problem> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// The newest commit known.
pub(crate) struct Newest {
    encoder: Arc<Encoder>,
    state: RwLock<State>,
}

#[derive(Clone)]
struct State {
    snapshot: Arc<Snapshot>,
    /// Why the snapshot is not to be searched any more, such as an index that was deleted.
    trouble: Option<Problem>,
}

impl Newest {
    pub(crate) fn new(collection: Collection) -> Self {
        let encoder = Arc::clone(collection.encoder());
        let snapshot = Arc::new(Snapshot::new(collection));
        Self { encoder, state: RwLock::new(State { snapshot, trouble: None }) }
    }

    pub(crate) fn get(&self) -> Result<Arc<Snapshot>, Problem> {
        let State { snapshot, trouble } = self.state();
        trouble.map_or(Ok(snapshot), Err)
    }

    /// Turns to the newest commit, if another process or a job made one; notices an index that is gone,
    /// and one that is there again.
    pub(crate) fn refresh(&self) {
        let State { snapshot: last, trouble } = self.state();
        let stamp = last.collection.last_commit();
        if trouble.is_none() && stamp.is_some() && stamp == last.stamp {
            return;
        }
        let next = match self.reopened(&last.collection) {
            Ok(collection) => {
                State { snapshot: Arc::new(Snapshot::new(collection)), trouble: None }
            }
            Err(error) => State { snapshot: last, trouble: Some(error.into()) },
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest commit of the same index; of another in the same place, if it was made again.
    fn reopened(&self, last: &Collection) -> Result<Collection, CollectionError> {
        let mut next = last.clone();
        match next.reload() {
            Ok(()) => Ok(next),
            Err(_) => Collection::open(last.dir(), Arc::clone(&self.encoder)),
        }
    }
}
