//! The multiplication table behind a score: query weight times image weight, word by word.

use sightword_index::{SparseVector, TokenId};

use super::{
    reply::{Patch, Score, ShownToken, Term},
    rounding::{from_hundredths, hundredths},
};
use crate::{
    encode::{Encoder, Vocabulary},
    query::CompiledQuery,
};

/// What is needed to show scores of one query.
pub(crate) struct Shower<'a> {
    compiled: &'a CompiledQuery,
    vocabulary: &'a Vocabulary,
    grid: usize,
    query_scale: f64,
    image_scale: f64,
}

/// A word of the query: its label, and its tokens with their weights.
struct Word {
    label: String,
    tokens: Vec<(TokenId, u8)>,
}

impl<'a> Shower<'a> {
    pub(crate) fn new(compiled: &'a CompiledQuery, encoder: &'a Encoder) -> Self {
        let config = encoder.config();
        Self {
            compiled,
            vocabulary: encoder.vocabulary(),
            grid: config.image.grid,
            query_scale: compiled.scale.into(),
            image_scale: config.impact_scale.into(),
        }
    }

    /// The score of a picture, and what it consists of, heaviest first.
    pub(crate) fn table(&self, vector: &SparseVector) -> (Score, Vec<Term>) {
        let mut terms: Vec<Term> =
            self.words().iter().filter_map(|word| self.term(word, vector)).collect();
        terms.sort_by(|a, b| b.product.cmp(&a.product).then_with(|| a.tokens.cmp(&b.tokens)));
        let products: Vec<u32> = terms.iter().map(|term| term.product).collect();
        let (total, shown) = hundredths(&products, self.query_scale * self.image_scale);
        for (term, shown) in terms.iter_mut().zip(shown) {
            term.shown = from_hundredths(shown);
        }
        (Score { whole: products.iter().sum(), shown: from_hundredths(total) }, terms)
    }

    /// The query's words, heaviest first.
    pub(crate) fn query(&self) -> Vec<ShownToken> {
        self.shown(|_| true)
    }

    /// The query's words that a picture does not have.
    pub(crate) fn missing(&self, vector: &SparseVector) -> Vec<ShownToken> {
        self.shown(|word| word.tokens.iter().all(|(token, _)| vector.get(*token).is_none()))
    }

    fn shown(&self, keep: impl Fn(&Word) -> bool) -> Vec<ShownToken> {
        let show = |word: Word| {
            let weight: u32 = word.tokens.iter().map(|(_, weight)| u32::from(*weight)).sum();
            let id = word.tokens.first().map_or(TokenId(0), |(token, _)| *token);
            ShownToken { token: word.label, id, weight: f64::from(weight) / self.query_scale }
        };
        let mut tokens: Vec<_> =
            self.words().into_iter().filter(|word| keep(word)).map(show).collect();
        tokens.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
        tokens
    }

    fn term(&self, word: &Word, vector: &SparseVector) -> Option<Term> {
        let shared: Vec<_> = word
            .tokens
            .iter()
            .filter_map(|(token, weight)| Some((u32::from(*weight), vector.get(*token)?)))
            .collect();
        let product = shared.iter().map(|(weight, entry)| weight * u32::from(entry.impact)).sum();
        let weight: u32 = shared.iter().map(|(weight, _)| weight).sum();
        if weight == 0 {
            return None;
        }
        let mut patches: Vec<Patch> =
            shared.iter().filter_map(|(_, entry)| patch(entry.patch?, self.grid)).collect();
        patches.sort_unstable();
        patches.dedup();
        Some(Term {
            token: word.label.clone(),
            query: f64::from(weight) / self.query_scale,
            image: f64::from(product) / f64::from(weight) / self.image_scale,
            product,
            shown: 0.0,
            patches,
            tokens: shared.iter().map(|(_, entry)| entry.token).collect(),
        })
    }

    /// The query's tokens, pieces of one word together.
    fn words(&self) -> Vec<Word> {
        let groups = &self.compiled.words;
        let mut words: Vec<Word> = groups
            .iter()
            .map(|group| Word { label: group.word.clone(), tokens: Vec::new() })
            .collect();
        for &(token, weight) in self.compiled.sparse.terms() {
            match groups.iter().position(|group| group.tokens.contains(&token)) {
                Some(group) => words[group].tokens.push((token, weight)),
                None => words.push(Word {
                    label: self.vocabulary.token(token).to_owned(),
                    tokens: vec![(token, weight)],
                }),
            }
        }
        words.retain(|word| !word.tokens.is_empty());
        words
    }
}

/// The place of a patch, counted row by row, in a grid.
pub(crate) fn patch(number: u8, grid: usize) -> Option<Patch> {
    let grid = u8::try_from(grid).ok().filter(|&grid| grid > 0)?;
    Some(Patch { row: number / grid, column: number % grid })
}
