//! Takes pictures out of the index, whose files stay where they are.

use super::{
    Collection, error::CollectionError, lock::WriterLock, reply::PictureRef, writer::Writer,
};

impl Collection {
    /// Forgets pictures, named by their ids: nothing finds them any more. A refresh takes up again what
    /// lies in the folders, unless a `.sightwordignore` there leaves it out. Returns how many there were.
    ///
    /// # Errors
    /// If an id fits no picture or several (nothing is forgotten then), or another process writes.
    pub fn remove(&mut self, ids: &[String]) -> Result<u64, CollectionError> {
        let _lock = WriterLock::acquire(&self.layout)?;
        self.reload()?;
        let found = ids.iter().map(|id| self.look_up(&PictureRef::Id(id.clone())));
        let mut found: Vec<_> =
            found.map(|found| Ok(found?.id)).collect::<Result<_, CollectionError>>()?;
        found.sort_unstable();
        found.dedup();
        let mut writer = Writer::new(self);
        for id in &found {
            writer.forget(*id)?;
        }
        writer.commit()?;
        writer.finish()?;
        self.reload()?;
        Ok(found.len() as u64)
    }
}
