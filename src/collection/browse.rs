//! The pictures without a query: the latest first.

use tantivy::{DocAddress, collector::DocSetCollector, query::AllQuery};

use super::{
    Collection, error::CollectionError, export::Exported, filter::condition, schema::column,
};
use crate::query::Filter;

impl Collection {
    /// The pictures that pass the filters, the latest first and those without a date last: at most `k`
    /// after the first `offset`, and how many there are in all.
    ///
    /// # Errors
    /// If the index turns out to be damaged.
    pub fn browse(
        &self,
        filters: &[Filter],
        offset: usize,
        k: usize,
    ) -> Result<(Vec<Exported>, u64), CollectionError> {
        let searcher = &self.view.searcher;
        let condition = condition(searcher, &self.engine.fields, filters)
            .map_err(|error| self.blame().engine(error))?
            .unwrap_or_else(|| Box::new(AllQuery));
        let found = searcher.search(&condition, &DocSetCollector);
        let found = found.map_err(|error| self.blame().engine(error))?;
        let mut dated = found
            .into_iter()
            .map(|address| Ok((self.date_of(address)?, address)))
            .collect::<tantivy::Result<Vec<_>>>()
            .map_err(|error| self.blame().engine(error))?;
        dated.sort_unstable();
        let pictures = dated.iter().skip(offset).take(k).map(|(_, at)| self.exported(*at));
        Ok((pictures.collect::<Result<_, _>>()?, dated.len() as u64))
    }

    /// What pictures are ordered by: the latest first, of equal ones the smaller key.
    fn date_of(
        &self,
        address: DocAddress,
    ) -> tantivy::Result<(std::cmp::Reverse<Option<i64>>, Option<u64>)> {
        let columns = self.view.searcher.segment_reader(address.segment_ord).fast_fields();
        let taken = columns.column_opt::<i64>(column::TAKEN)?;
        let key = columns.column_opt::<u64>(column::KEY)?;
        Ok((
            std::cmp::Reverse(taken.and_then(|column| column.first(address.doc_id))),
            key.and_then(|column| column.first(address.doc_id)),
        ))
    }
}
