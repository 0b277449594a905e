//! The words of the pictures: all there are, and those that tell some hits from the rest.

use std::collections::{HashMap, HashSet};

use sightword_index::TokenId;

use super::{Collection, error::CollectionError, reply::Hit};

/// A word that pictures have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownWord {
    /// The word, or word piece (`##…`).
    pub token: String,
    /// Its token.
    pub id: TokenId,
    /// Pictures that have it; those that are gone count until the index is merged.
    pub images: u64,
}

/// A word that is more frequent among some hits than among all pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    /// The word.
    pub token: String,
    /// Its token.
    pub id: TokenId,
    /// How many of the hits looked at have it.
    pub hits: u64,
    /// The share of the hits that have it over the share of all pictures: above 1.
    pub lift: f64,
}

/// Hits that must share a word before it is proposed.
const LEAST_HITS: u64 = 3;

impl Collection {
    /// The words that begin with `prefix` and that pictures have, the most frequent first: at most
    /// `k`, and how many there are in all. Pieces of words are left out unless `prefix` begins as they do.
    #[must_use]
    pub fn words(&self, prefix: &str, k: usize) -> (Vec<KnownWord>, usize) {
        let vocabulary = self.encoder.vocabulary();
        let prefix = prefix.to_lowercase();
        let known = self.encoder.output_tokens().iter().filter_map(|&id| {
            let token = vocabulary.token(TokenId(id));
            let fits = token.starts_with(&prefix) && is_word(token) == is_word(&prefix);
            let images = if fits { self.view.sparse.token_stats(TokenId(id)).docs } else { 0 };
            (images > 0).then(|| KnownWord { token: token.to_owned(), id: TokenId(id), images })
        });
        let mut known: Vec<KnownWord> = known.collect();
        known.sort_by(|a, b| b.images.cmp(&a.images).then_with(|| a.token.cmp(&b.token)));
        let all = known.len();
        known.truncate(k);
        (known, all)
    }

    /// The words that are most over-represented in `hits`, but those in `asked`: at most `k`.
    ///
    /// A word that half of the hits have and one picture in a hundred is worth more than one that all hits
    /// have and so does every picture: words are ordered by `share of hits · ln(lift)`.
    ///
    /// # Errors
    /// If the index turns out to be damaged.
    pub fn refinements(
        &self,
        hits: &[&Hit],
        asked: &[TokenId],
        k: usize,
    ) -> Result<Vec<Refinement>, CollectionError> {
        let asked: HashSet<TokenId> = asked.iter().copied().collect();
        let mut counts: HashMap<TokenId, u64> = HashMap::new();
        for hit in hits {
            let address = self.view.find(&self.engine.fields, hit.id);
            let address = address.map_err(|error| self.blame().engine(error))?;
            let Some(address) = address else { continue };
            for entry in self.view.vector(address, self.blame())?.entries() {
                *counts.entry(entry.token).or_insert(0) += 1;
            }
        }
        let vocabulary = self.encoder.vocabulary();
        let docs = self.view.sparse.stats().docs;
        let mut found: Vec<(f64, Refinement)> = counts
            .into_iter()
            .filter(|(token, count)| *count >= LEAST_HITS && !asked.contains(token))
            .filter(|(token, _)| is_word(vocabulary.token(*token)))
            .map(|(id, count)| {
                let share = ratio(count, hits.len() as u64);
                let lift = share / ratio(self.view.sparse.token_stats(id).docs, docs);
                let token = vocabulary.token(id).to_owned();
                (share * lift.ln(), Refinement { token, id, hits: count, lift })
            })
            .filter(|(worth, _)| *worth > 0.0)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
        found.truncate(k);
        Ok(found.into_iter().map(|(_, refinement)| refinement).collect())
    }
}

/// Whether a token is a word and no piece of one.
fn is_word(token: &str) -> bool {
    !token.starts_with('#')
}

#[expect(clippy::cast_precision_loss, reason = "shares of counts far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
