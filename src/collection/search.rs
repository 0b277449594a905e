//! Search: filters, exact top-k, and a table of words behind every score.

use std::time::Instant;

use sightword_index::{DocFilter, ScoredDoc, SearchOptions, SearchResult};
use tantivy::query::Query;

use super::{
    Collection,
    error::CollectionError,
    filter,
    reply::{Hit, SearchReply, SearchRequest, ShownQuery, Sort, Verdict},
    rerank::Placed,
    schema::column,
    terms::Shower,
    verdict::{coverage, default_min_match, least_score},
};
use crate::query::{CompiledQuery, Filter, compile};

impl Collection {
    /// Finds the pictures that match best.
    ///
    /// A picture is a hit from a certain coverage on (see [`SearchRequest::min_match`]); without
    /// any, the verdict is [`Verdict::None`] and the nearest picture is named. Filters and
    /// exclusions come before the choice of the best, and the order is exact. A second look, where it
    /// is asked for, then orders the first hits anew; what is a hit stays as it was.
    ///
    /// # Errors
    /// If the query has nothing to look for or nothing to re-rank, the picture in `like` cannot be
    /// read, or the index turns out to be damaged.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchReply, CollectionError> {
        let started = Instant::now();
        request.check_rerank()?;
        let compiled = self.compile(request)?;
        let condition = self.condition(&request.query.filters)?;
        let filter = condition.as_ref();
        let threshold = self.threshold(request, &compiled);
        let least = least_score(threshold, compiled.reachable);
        let shower = Shower::new(&compiled, &self.encoder);

        let found = self.ranked(request, &compiled, filter, least)?;
        let mut warnings = compiled.warnings.clone();
        let first = request.offset as u64 + 1;
        let (placed, reranked) = match &request.rerank {
            None => ((first..).zip(&found.hits).map(Placed::as_found).collect(), None),
            Some(rerank) => {
                let text = &request.query.text;
                let (placed, reranked) =
                    self.rerank(rerank, text, &found.hits, &compiled, &mut warnings)?;
                (page(placed, request), Some(reranked))
            }
        };
        let hits: Vec<Hit> = (first..)
            .zip(&placed)
            .map(|(rank, placed)| self.hit(placed, rank, &compiled, &shower))
            .collect::<Result<_, _>>()?;
        let nearest = match found.matched {
            0 if least > 1 => self.nearest(&compiled, filter, &shower)?,
            _ => None,
        };
        let excluded = compiled.excluded.clone();
        Ok(SearchReply {
            hits,
            matched: found.matched,
            excluded: found.excluded,
            verdict: if found.matched > 0 { Verdict::Some } else { Verdict::None },
            nearest,
            query: ShownQuery { tokens: shower.query(), excluded },
            threshold,
            reranked,
            warnings,
            elapsed: started.elapsed(),
        })
    }

    /// The coverage from which a picture is a hit.
    pub(crate) fn threshold(&self, request: &SearchRequest, compiled: &CompiledQuery) -> f32 {
        let calibration = &self.encoder.config().calibration;
        match request.min_match {
            _ if request.all => 0.0,
            Some(asked) => asked,
            None => default_min_match(calibration, request.mode).of(compiled.own_words),
        }
    }

    pub(crate) fn compile(
        &self,
        request: &SearchRequest,
    ) -> Result<CompiledQuery, CollectionError> {
        let like = request.like.as_ref().map(|like| self.look_up(like)).transpose()?;
        let vector = like.as_ref().map(|like| &like.vector);
        Ok(compile(&request.query, vector, &self.encoder, request.mode)?)
    }

    /// What the engine has to match so that all filters pass; `None` without any.
    pub(crate) fn filter_query(
        &self,
        filters: &[Filter],
    ) -> Result<Option<Box<dyn Query>>, CollectionError> {
        filter::condition(&self.view.searcher, &self.engine.fields, filters)
            .map_err(|error| self.blame().engine(error))
    }

    /// The same, prepared for searches.
    pub(crate) fn condition(
        &self,
        filters: &[Filter],
    ) -> Result<Option<DocFilter>, CollectionError> {
        let condition = self.filter_query(filters)?;
        let prepared = condition.map(|condition| self.view.sparse.filter(&*condition)).transpose();
        prepared.map_err(|error| self.blame().search(error))
    }

    /// Runs a query.
    pub(crate) fn run_query(
        &self,
        compiled: &CompiledQuery,
        options: &SearchOptions<'_>,
    ) -> Result<SearchResult, CollectionError> {
        self.view
            .sparse
            .search(&compiled.sparse, options)
            .map_err(|error| self.blame().search(error))
    }

    /// The page asked for, in the order asked for; for a second look, all hits up to its end.
    fn ranked(
        &self,
        request: &SearchRequest,
        compiled: &CompiledQuery,
        filter: Option<&DocFilter>,
        min_score: u32,
    ) -> Result<SearchResult, CollectionError> {
        let mut options = SearchOptions::default();
        (options.filter, options.min_score) = (filter, min_score);
        if let Some(rerank) = &request.rerank {
            options.k = match request.k {
                0 => 0,
                k => request.offset.saturating_add(k).max(rerank.depth.get()),
            };
            return self.run_query(compiled, &options);
        }
        if request.sort == Sort::Score {
            (options.k, options.offset) = (request.k, request.offset);
            return self.run_query(compiled, &options);
        }
        options.k = 0;
        let mut found = self.run_query(compiled, &options)?;
        match request.sort {
            Sort::Date => self.sort_by_date(&mut found.hits)?,
            _ => self.sort_by_path(&mut found.hits)?,
        }
        found.hits = page(found.hits, request);
        Ok(found)
    }

    fn sort_by_date(&self, hits: &mut [ScoredDoc]) -> Result<(), CollectionError> {
        let columns = self.view.searcher.segment_readers().iter();
        let columns: Vec<_> = columns
            .map(|reader| reader.fast_fields().column_opt::<i64>(column::TAKEN))
            .collect::<Result<_, _>>()
            .map_err(|error| self.blame().engine(error))?;
        hits.sort_by_cached_key(|hit| {
            let column = columns[hit.address.segment_ord as usize].as_ref();
            let taken = column.and_then(|column| column.first(hit.address.doc_id));
            (std::cmp::Reverse(taken), hit.key)
        });
        Ok(())
    }

    fn sort_by_path(&self, hits: &mut Vec<ScoredDoc>) -> Result<(), CollectionError> {
        let mut named = Vec::with_capacity(hits.len());
        for hit in hits.drain(..) {
            let record = self.view.record(&self.engine.fields, hit.address, self.blame())?;
            named.push((self.paths(&record).into_iter().next(), hit));
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        hits.extend(named.into_iter().map(|(_, hit)| hit));
        Ok(())
    }

    fn nearest(
        &self,
        compiled: &CompiledQuery,
        filter: Option<&DocFilter>,
        shower: &Shower<'_>,
    ) -> Result<Option<Hit>, CollectionError> {
        let mut options = SearchOptions::default();
        (options.k, options.filter) = (1, filter);
        let found = self.run_query(compiled, &options)?;
        let first = found.hits.first().map(|doc| Placed::as_found((1, doc)));
        first.map(|placed| self.hit(&placed, 1, compiled, shower)).transpose()
    }

    fn hit(
        &self,
        placed: &Placed,
        rank: u64,
        compiled: &CompiledQuery,
        shower: &Shower<'_>,
    ) -> Result<Hit, CollectionError> {
        let doc = &placed.doc;
        let record = self.view.record(&self.engine.fields, doc.address, self.blame())?;
        let (score, terms) = shower.table(&self.view.vector(doc.address, self.blame())?);
        if score.whole != doc.score {
            let what =
                format!("{} scores {} but its words make {}", record.id, doc.score, score.whole);
            return Err(self.blame().damaged(super::layout::INDEX, what));
        }
        Ok(Hit {
            id: record.id,
            paths: self.paths(&record),
            score,
            coverage: coverage(score.whole, compiled.reachable),
            rank,
            first_rank: placed.first_rank,
            rerank_score: placed.rerank_score,
            terms,
        })
    }
}

/// The hits that are asked for, of all from the first one on.
fn page<T>(hits: Vec<T>, request: &SearchRequest) -> Vec<T> {
    let k = if request.k == 0 { usize::MAX } else { request.k };
    hits.into_iter().skip(request.offset).take(k).collect()
}
