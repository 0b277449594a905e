//! What the re-ranker keeps of pictures: made with their vectors, or later from the files.

use std::ops::ControlFlow;
use std::path::Path;

use sightword_index::SparseVector;

use super::{
    Collection,
    check::{Check, CheckStatus, bad, failed, ok},
    error::CollectionError,
    examine::shrink,
    layout::Layout,
    refresh::OnProgress,
    report::{Phase, Progress, RefreshOptions},
    schema::Record,
};
use crate::{
    encode::Encoder,
    ingest::{ContentId, DecodeOptions, Picture, parallel_map, read},
    rerank::{CacheError, FeatureCache, FeatureWriter, Features, RerankError, Reranker},
};

/// A picture through the model, and what the re-ranker keeps of it where there is one.
pub(crate) type Encoded = (SparseVector, Option<Features>);

/// Encodes pictures at the model's input size.
pub(crate) fn encode(
    encoder: &Encoder,
    reranker: Option<&dyn Reranker>,
    pictures: &[Picture],
) -> Result<Vec<Encoded>, RerankError> {
    let vectors = encoder.encode_images(pictures)?.into_iter();
    let Some(reranker) = reranker else {
        return Ok(vectors.map(|vector| (vector, None)).collect());
    };
    let features = reranker.prepare(pictures)?;
    Ok(vectors.zip(features.into_iter().map(Some)).collect())
}

impl Collection {
    /// The features of `reranker` that are stored.
    ///
    /// # Errors
    /// If their file cannot be read or is damaged; it can be made again.
    pub fn stored_features(&self, reranker: &dyn Reranker) -> Result<FeatureCache, CacheError> {
        FeatureCache::open(&self.layout.features(), reranker)
    }

    /// Whether the stored features of `reranker` are whole. Reads all of them.
    #[must_use]
    pub fn check_features(index_dir: &Path, reranker: &dyn Reranker) -> Check {
        let name = "features";
        match FeatureCache::open(&Layout::new(index_dir).features(), reranker) {
            Ok(stored) => match stored.torn() {
                0 => ok(name, format!("{} pictures for {}", stored.len(), reranker.name())),
                torn => bad(
                    name,
                    CheckStatus::Warn,
                    format!("{torn} of {} pictures have damaged ones", stored.len()),
                    "nothing: search makes them from the files; or delete the folder `features` of \
                     the index, then sightword index --rerank-features",
                ),
            },
            Err(error) => failed(name, &error),
        }
    }

    /// To add features; the caller holds the index's lock.
    pub(crate) fn feature_writer(
        &self,
        reranker: &dyn Reranker,
    ) -> Result<FeatureWriter, CollectionError> {
        let writer = FeatureWriter::open(&self.layout.features(), reranker);
        writer.map_err(|error| self.blame().features(error))
    }

    /// Makes features from a picture's files. `None` if none of them can be read now, or they hold
    /// something else by now.
    pub(crate) fn make_features(
        &self,
        record: &Record,
        reranker: &dyn Reranker,
        decode: DecodeOptions,
    ) -> Result<Option<Features>, RerankError> {
        let side = self.encoder.config().image.size;
        let decode = DecodeOptions { target: side, ..decode };
        let mut readable =
            self.paths(record).into_iter().filter_map(|path| read(&path, &decode).ok());
        let Some(picture) = readable.find(|picture| picture.id == record.id) else {
            return Ok(None);
        };
        Ok(reranker.prepare(&[shrink(picture, side)])?.pop())
    }

    /// A picture's features and whether they were `stored`; else they are made from its files. `None` if
    /// none of them can be read now.
    pub(crate) fn stored_or_made(
        &self,
        record: &Record,
        stored: Option<&FeatureCache>,
        reranker: &dyn Reranker,
    ) -> Result<Option<(Features, bool)>, RerankError> {
        if let Some(features) = stored.and_then(|stored| stored.get(record.id)) {
            return Ok(Some((features, true)));
        }
        let made = self.make_features(record, reranker, DecodeOptions::default())?;
        Ok(made.map(|made| (made, false)))
    }

    /// Stores features of the pictures that have none yet, such as those that were indexed without.
    /// Returns how many, and whether `progress` broke it off.
    pub(crate) fn fill_features(
        &self,
        reranker: &dyn Reranker,
        options: &RefreshOptions,
        progress: OnProgress<'_>,
    ) -> Result<(u64, ControlFlow<()>), CollectionError> {
        let mut fill = Fill {
            collection: self,
            writer: self.feature_writer(reranker)?,
            commit_every: options.commit_every as u64,
            progress: Progress { phase: Phase::Features, done: 0, total: 0, committed: 0 },
            stored: 0,
        };
        let mut missing = Vec::new();
        self.view.for_each(&self.engine.fields, self.blame(), |_, record| {
            if !record.gone && !fill.writer.contains(record.id) {
                missing.push(record);
            }
            Ok(())
        })?;
        fill.progress.total = missing.len() as u64;
        let make =
            |record: Record| (record.id, self.make_features(&record, reranker, options.decode));
        let mut flow = ControlFlow::Continue(());
        let mut outcome = Ok(());
        parallel_map(missing.into_iter(), options.jobs, make, |(id, features)| {
            outcome = features.map_err(CollectionError::from).and_then(|made| fill.add(id, made));
            flow = progress(fill.progress);
            if outcome.is_err() { ControlFlow::Break(()) } else { flow }
        });
        outcome?;
        fill.commit()?;
        Ok((fill.stored, flow))
    }
}

/// Features on their way to the disk.
struct Fill<'a> {
    collection: &'a Collection,
    writer: FeatureWriter,
    commit_every: u64,
    progress: Progress,
    stored: u64,
}

impl Fill<'_> {
    fn add(&mut self, id: ContentId, features: Option<Features>) -> Result<(), CollectionError> {
        self.progress.done += 1;
        if let Some(features) = features {
            let put = self.writer.put(id, &features);
            put.map_err(|error| self.collection.blame().features(error))?;
            self.stored += 1;
        }
        if self.progress.done - self.progress.committed >= self.commit_every {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CollectionError> {
        let commit = self.writer.commit();
        commit.map_err(|error| self.collection.blame().features(error))?;
        self.progress.committed = self.progress.done;
        Ok(())
    }
}
