//! Why was this picture found where it was, or not found at all?

use sightword_index::{DocFilter, SearchOptions};
use tantivy::query::{BooleanQuery, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::{
    Collection,
    error::CollectionError,
    filter,
    lookup::Found,
    reply::{Explanation, Hit, PictureRef, PictureToken, PictureTokens, SearchRequest, ShownQuery},
    terms::{Shower, patch},
    verdict::{coverage, least_score},
};
use crate::query::{CompiledQuery, Filter};

impl Collection {
    /// Explains how a picture stands to a query: whether it was found or not, and whether it is
    /// indexed or not. One that is not indexed is encoded, and takes the rank that it would have. With
    /// [`SearchRequest::rerank`], what the second look sees in it is told as well, whatever its depth.
    ///
    /// # Errors
    /// As [`Collection::search`], and if the picture cannot be read.
    pub fn explain(
        &self,
        request: &SearchRequest,
        picture: &PictureRef,
    ) -> Result<Explanation, CollectionError> {
        request.check_rerank()?;
        let found = self.look_up(picture)?;
        let compiled = self.compile(request)?;
        let mut warnings = compiled.warnings.clone();
        let condition = self.condition(&request.query.filters)?;
        let shower = Shower::new(&compiled, &self.encoder);
        let threshold = self.threshold(request, &compiled);
        let mut options = SearchOptions::default();
        (options.k, options.filter) = (1, condition.as_ref());
        options.min_score = least_score(threshold, compiled.reachable);
        let matched = self.run_query(&compiled, &options)?.matched;

        let excluded_by = excluded_by(&compiled, &found);
        let filtered_by = self.filtered_by(&request.query.filters, &found)?;
        let rank = match excluded_by.is_empty() && filtered_by.is_empty() {
            true => self.rank(&compiled, condition.as_ref(), &found)?,
            false => None,
        };
        let (score, terms) = shower.table(&found.vector);
        let coverage = coverage(score.whole, compiled.reachable);
        let missing = shower.missing(&found.vector);
        let second = match &request.rerank {
            Some(rerank) => {
                let sparse = f64::from(score.whole) / self.score_scale(&compiled);
                self.seen(rerank, request, picture, (&found, sparse), &mut warnings)?
            }
            None => None,
        };
        let query = ShownQuery { tokens: shower.query(), excluded: compiled.excluded.clone() };
        let hit = Hit {
            id: found.id,
            paths: found.paths,
            score,
            coverage,
            rank: rank.unwrap_or(0),
            first_rank: rank.unwrap_or(0),
            rerank_score: None,
            terms,
        };
        Ok(Explanation {
            hit,
            missing,
            rank,
            matched,
            excluded_by,
            filtered_by,
            threshold,
            indexed: found.address.is_some(),
            grid: self.encoder.config().image.grid,
            query,
            second,
            warnings,
        })
    }

    /// The words of a picture, indexed or not.
    ///
    /// # Errors
    /// If it cannot be read, or an id fits none or several.
    pub fn tokens_of(&self, picture: &PictureRef) -> Result<PictureTokens, CollectionError> {
        let found = self.look_up(picture)?;
        let (config, vocabulary) = (self.encoder.config(), self.encoder.vocabulary());
        let grid = config.image.grid;
        let token = |entry: sightword_index::Entry| PictureToken {
            token: vocabulary.token(entry.token).to_owned(),
            id: entry.token,
            weight: f64::from(entry.impact) / f64::from(config.impact_scale),
            impact: entry.impact,
            patch: entry.patch.and_then(|number| patch(number, grid)),
        };
        let mut tokens: Vec<_> = found.vector.entries().map(token).collect();
        tokens.sort_by(|a, b| b.impact.cmp(&a.impact).then(a.id.cmp(&b.id)));
        let indexed = found.address.is_some();
        Ok(PictureTokens { id: found.id, paths: found.paths, indexed, tokens, grid })
    }

    /// The rank among all pictures that share a word with the query.
    fn rank(
        &self,
        compiled: &CompiledQuery,
        filter: Option<&DocFilter>,
        found: &Found,
    ) -> Result<Option<u64>, CollectionError> {
        let mut options = SearchOptions::default();
        options.filter = filter;
        if let Some(address) = found.address {
            let rank = self.view.sparse.rank(&compiled.sparse, &options, address);
            return rank.map_err(|error| self.blame().search(error));
        }
        let score = compiled.sparse.score(&found.vector);
        if score == 0 {
            return Ok(None);
        }
        // Those before it: a higher score, or the same and a smaller key.
        (options.k, options.min_score) = (0, score);
        let hits = self.run_query(compiled, &options)?.hits;
        let key = found.id.key();
        let before = hits.iter().filter(|hit| hit.score > score || hit.key < key).count();
        Ok(Some(before as u64 + 1))
    }

    /// The filters that a picture does not pass.
    fn filtered_by(
        &self,
        filters: &[Filter],
        found: &Found,
    ) -> Result<Vec<String>, CollectionError> {
        let mut failed = Vec::new();
        for filter in filters {
            let passes = match found.address {
                Some(_) => self.passes(filter, found),
                None => Ok(filter::admits(filter, &found.paths, &found.facts)),
            };
            if !passes.map_err(|error| self.blame().engine(error))? {
                failed.push(filter::describe(filter));
            }
        }
        Ok(failed)
    }

    fn passes(&self, filter: &Filter, found: &Found) -> tantivy::Result<bool> {
        let (fields, searcher) = (&self.engine.fields, &self.view.searcher);
        let itself = TermQuery::new(fields.term_of(found.id), IndexRecordOption::Basic);
        let both = BooleanQuery::intersection(vec![
            Box::new(itself),
            filter::of_filter(searcher, fields, filter)?,
        ]);
        Ok(searcher.search(&both, &tantivy::collector::Count)? > 0)
    }
}

fn excluded_by(compiled: &CompiledQuery, found: &Found) -> Vec<String> {
    let falls_under = |exclusion: &sightword_index::Exclusion| {
        let has =
            |token| found.vector.get(token).is_some_and(|entry| entry.impact >= exclusion.floor);
        exclusion.tokens.iter().all(|token| has(*token))
    };
    let labelled = compiled.sparse.exclusions().iter().zip(&compiled.excluded);
    labelled
        .filter(|(exclusion, _)| falls_under(exclusion))
        .map(|(_, label)| label.clone())
        .collect()
}
