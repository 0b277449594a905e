//! Document → its tokens, impacts and patches, as a vector of its own.

use crate::error::FileError;
use crate::format::forward::Forward;
use crate::vector::SparseVector;

impl Forward {
    /// A document's vector, copied out of the file.
    pub(crate) fn vector(&self, doc: u32) -> Result<SparseVector, FileError> {
        let entries = self.document(doc)?;
        let patches = entries.patches.map(<[u8]>::to_vec);
        let vector =
            SparseVector::from_parts(entries.tokens.to_vec(), entries.impacts.to_vec(), patches);
        // Verified entries always make a vector; should they not, the file is to blame.
        vector.map_err(|_| {
            self.container().broken(format!("document {doc}"), "its entries make a vector")
        })
    }
}
