//! The pictures without a query: the latest first.

use std::{cmp::Reverse, collections::HashSet};

use tantivy::{DocAddress, collector::DocSetCollector, columnar::Column, query::AllQuery};

use super::{Collection, error::CollectionError, export::Exported, schema::column};
use crate::query::Filter;

/// When a picture was taken, and its key.
type Order = (Reverse<Option<i64>>, Option<u64>);

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
        let condition = self.filter_query(filters)?.unwrap_or_else(|| Box::new(AllQuery));
        let found = searcher.search(&condition, &DocSetCollector);
        let found = found.map_err(|error| self.blame().engine(error))?;
        let mut dated = self.dated(found).map_err(|error| self.blame().engine(error))?;
        dated.sort_unstable();
        let pictures = dated.iter().skip(offset).take(k).map(|(_, at)| self.exported(*at));
        Ok((pictures.collect::<Result<_, _>>()?, dated.len() as u64))
    }

    /// Pictures with what orders them: the latest first, of equal ones the smaller key.
    fn dated(&self, found: HashSet<DocAddress>) -> tantivy::Result<Vec<(Order, DocAddress)>> {
        let columns = self.view.searcher.segment_readers().iter().map(|segment| {
            let fields = segment.fast_fields();
            Ok((fields.column_opt::<i64>(column::TAKEN)?, fields.column_opt(column::KEY)?))
        });
        let columns: Vec<(_, Option<Column<u64>>)> = columns.collect::<tantivy::Result<_>>()?;
        let order = |at: DocAddress| {
            let (taken, key) = &columns[at.segment_ord as usize];
            let taken = taken.as_ref().and_then(|taken| taken.first(at.doc_id));
            (Reverse(taken), key.as_ref().and_then(|key| key.first(at.doc_id)))
        };
        Ok(found.into_iter().map(|at| (order(at), at)).collect())
    }
}
