//! Every picture with its vector, for other programs.

use std::path::PathBuf;

use sightword_index::SparseVector;
use tantivy::DocAddress;

use super::{Collection, error::CollectionError, reply::PictureRef};
use crate::ingest::ContentId;

/// A picture as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// The picture.
    pub id: ContentId,
    /// Its files, absolute, the one to show first.
    pub paths: Vec<PathBuf>,
    /// Its words with impacts and patches.
    pub vector: SparseVector,
    /// Width and height in pixels, upright.
    pub size: (u32, u32),
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was taken, in seconds since 1970 by the camera's clock.
    pub taken: Option<i64>,
    /// The camera.
    pub camera: Option<String>,
}

impl Collection {
    /// One picture as it is stored; its file need not be there.
    ///
    /// # Errors
    /// [`CollectionError::UnknownId`] and its like if no picture of the index has this id.
    pub fn picture(&self, id: &str) -> Result<Exported, CollectionError> {
        let unknown = || CollectionError::UnknownId { id: id.into() };
        let found = self.look_up(&PictureRef::Id(id.into()))?;
        self.exported(found.address.ok_or_else(unknown)?)
    }

    /// The pictures in the order of their ids; those that are gone are left out.
    ///
    /// # Errors
    /// If the index turns out to be damaged. So may each item be.
    pub fn export(
        &self,
    ) -> Result<
        impl ExactSizeIterator<Item = Result<Exported, CollectionError>> + '_,
        CollectionError,
    > {
        let mut pictures: Vec<(ContentId, DocAddress)> = Vec::new();
        self.view.for_each(&self.engine.fields, self.blame(), |address, record| {
            if !record.gone {
                pictures.push((record.id, address));
            }
            Ok(())
        })?;
        pictures.sort_unstable();
        Ok(pictures.into_iter().map(|(_, address)| self.exported(address)))
    }

    pub(crate) fn exported(&self, address: DocAddress) -> Result<Exported, CollectionError> {
        let record = self.view.record(&self.engine.fields, address, self.blame())?;
        Ok(Exported {
            id: record.id,
            paths: self.paths(&record),
            vector: self.view.vector(address, self.blame())?,
            size: (record.facts.width, record.facts.height),
            bytes: record.facts.bytes,
            taken: record.facts.taken.map(crate::ingest::Taken::seconds),
            camera: record.facts.camera,
        })
    }
}
