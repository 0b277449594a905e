//! Do a photo's tokens say what it shows, and how are they used?

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;
use sightword_index::{SparseVector, TokenId};

use super::bootstrap::{SEED, Sample};
use super::dataset::Photo;
use super::measures::{hundredths, mean, percent};
use super::queries::Query;
use super::samples::Samples;
use super::trial::Trial;
use crate::encode::Vocabulary;

/// Words that say nothing about a picture: articles, pronouns, prepositions, auxiliary verbs.
const FUNCTION_WORDS: &str = include_str!("function_words.txt");

/// A token is over-used if more than this share of the photos has it, in percent.
const OVERUSED: f64 = 20.0;

/// Do the heaviest tokens say what a photo shows? In percent of the photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interpretability {
    /// One of the 5 heaviest tokens is a word of the photo's captions or labels.
    pub top5: f64,
    /// One of the 10 heaviest is.
    pub top10: f64,
    /// One of the 5 heaviest is a word of another photo's captions or labels, drawn at random: what
    /// tokens that fit everything would reach.
    pub shuffled5: f64,
    /// The same for the 10 heaviest.
    pub shuffled10: f64,
}

/// How evenly the vocabulary is used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenUse {
    /// Tokens that a picture can have.
    pub outputs: usize,
    /// Of these, tokens that no photo has.
    pub dead: usize,
    /// Tokens that more than 20 % of the photos have, most used first.
    pub overused: Vec<Overused>,
}

/// A token that too many photos have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overused {
    /// The token.
    pub token: String,
    /// Share of the photos in percent.
    pub share: f64,
}

/// How much is active on either side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Active {
    /// Mean number of tokens of a photo.
    pub(crate) image_tokens: f64,
    /// Mean number of tokens of a text.
    pub(crate) text_tokens: f64,
    /// Mean number of tokens that a text and a photo share, over all pairs.
    pub(crate) flops: f64,
}

/// Counts active tokens; `texts` are the queries.
pub(crate) fn active(vectors: &[SparseVector], texts: &[Query], samples: &mut Samples) -> Active {
    let mut texts_with: HashMap<TokenId, usize> = HashMap::new();
    for (token, _) in texts.iter().flat_map(|text| text.compiled.sparse.terms()) {
        *texts_with.entry(*token).or_default() += 1;
    }
    let shared = |vector: &SparseVector| {
        let in_texts = vector.entries().filter_map(|entry| texts_with.get(&entry.token));
        mean(in_texts.sum(), texts.len())
    };
    let length = |text: &Query| (text.right[0], mean(text.compiled.sparse.terms().len(), 1));
    let lengths = vectors.iter().map(|vector| mean(vector.len(), 1));
    Active {
        image_tokens: samples.add("image_tokens", Sample::mean(lengths.enumerate())),
        text_tokens: samples.add("text_tokens", Sample::mean(texts.iter().map(length))),
        flops: samples.add("flops", Sample::mean(vectors.iter().map(shared).enumerate())),
    }
}

/// Compares each photo's heaviest tokens with the content words written about it.
pub(crate) fn interpretability(trial: &Trial<'_>, samples: &mut Samples) -> Interpretability {
    let vocabulary = trial.encoder.vocabulary();
    let function_words: HashSet<&str> = FUNCTION_WORDS.split_whitespace().collect();
    let words: Vec<BTreeSet<TokenId>> = trial
        .photos
        .iter()
        .map(|photo| content_words(photo, vocabulary, &function_words))
        .collect();
    let others = others(words.len());
    let mut score = |name: &str, k: usize, of: &dyn Fn(usize) -> usize| {
        let said = |(at, vector): (usize, &SparseVector)| {
            let said = heaviest(vector, k).iter().any(|token| words[of(at)].contains(token));
            (at, if said { 100.0 } else { 0.0 })
        };
        let sample = Sample::mean(trial.vectors.iter().enumerate().map(said));
        samples.add(format!("interpretability.{name}"), sample)
    };
    Interpretability {
        top5: score("top5", 5, &|at| at),
        top10: score("top10", 10, &|at| at),
        shuffled5: score("shuffled5", 5, &|at| others[at]),
        shuffled10: score("shuffled10", 10, &|at| others[at]),
    }
}

/// The whole words of a photo's captions and labels that are tokens and say something. A word that
/// the vocabulary has only in pieces is not among them: a piece cannot be read.
fn content_words(
    photo: &Photo,
    vocabulary: &Vocabulary,
    function_words: &HashSet<&str>,
) -> BTreeSet<TokenId> {
    let mut words = BTreeSet::new();
    for text in photo.captions.iter().chain(&photo.labels) {
        let pieces = vocabulary.tokenize(text);
        let whole = pieces.chunk_by(|a, b| a.word == b.word).filter(|word| word.len() == 1);
        words.extend(whole.map(|word| word[0].id).filter(|id| {
            let token = vocabulary.token(*id);
            token.chars().all(char::is_alphabetic) && !function_words.contains(token)
        }));
    }
    words
}

/// A vector's `k` heaviest tokens; of equal ones the first in the vocabulary.
fn heaviest(vector: &SparseVector, k: usize) -> Vec<TokenId> {
    let mut entries: Vec<_> = vector.entries().collect();
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.impact), entry.token));
    entries.iter().take(k).map(|entry| entry.token).collect()
}

/// For each photo another one, by a random round through all.
fn others(photos: usize) -> Vec<usize> {
    let mut round: Vec<usize> = (0..photos).collect();
    fastrand::Rng::with_seed(SEED).shuffle(&mut round);
    let mut others = vec![0; photos];
    for (at, &photo) in round.iter().enumerate() {
        others[photo] = round[(at + 1) % photos];
    }
    others
}

/// Counts in how many photos each token is.
pub(crate) fn token_use(vectors: &[SparseVector], vocabulary: &Vocabulary) -> TokenUse {
    let mut photos_with: HashMap<TokenId, usize> = HashMap::new();
    for entry in vectors.iter().flat_map(SparseVector::entries) {
        *photos_with.entry(entry.token).or_default() += 1;
    }
    // A vocabulary has at most 65,536 tokens: checked when the model was opened.
    let ids = (0..=u16::MAX).take(vocabulary.len()).map(TokenId);
    let outputs: Vec<TokenId> = ids.filter(|id| vocabulary.is_output(*id)).collect();
    let dead = outputs.iter().filter(|id| !photos_with.contains_key(id)).count();
    let mut often: Vec<(TokenId, usize)> = photos_with.into_iter().collect();
    often.retain(|(_, photos)| percent(*photos, vectors.len()) > OVERUSED);
    often.sort_by_key(|(token, photos)| (std::cmp::Reverse(*photos), *token));
    let overused = often.into_iter().map(|(token, photos)| Overused {
        token: vocabulary.token(token).to_owned(),
        share: hundredths(percent(photos, vectors.len())),
    });
    TokenUse { outputs: outputs.len(), dead, overused: overused.collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::Encoder;
    use crate::eval::queries::compile_plain;
    use crate::query::QueryMode;

    fn vector(entries: &[(u16, u8)]) -> SparseVector {
        SparseVector::new(entries.iter().map(|&(token, impact)| (TokenId(token), impact))).unwrap()
    }

    proptest! {
        #[test]
        fn another_photo_is_never_the_same(photos in 2usize..60) {
            let others = others(photos);
            prop_assert!((0..photos).all(|at| others[at] != at));
            let all: BTreeSet<usize> = others.into_iter().collect();
            prop_assert_eq!(all.len(), photos);
        }
    }

    #[test]
    fn shared_tokens_are_those_counted_pair_by_pair() {
        let encoder = Encoder::embedded().unwrap();
        let texts: Vec<Query> = ["a dog on grass", "grass", "two people and a dog"]
            .into_iter()
            .map(|text| {
                let compiled = compile_plain(&encoder, text, QueryMode::Table).unwrap();
                Query { id: text.into(), text: text.into(), compiled, right: vec![0] }
            })
            .collect();
        let id = |word: &str| encoder.vocabulary().id(word).unwrap().0;
        let mut entries = vec![(id("dog"), 9), (id("grass"), 9), (id("snow"), 9)];
        entries.sort_unstable();
        let vectors = [vector(&entries), vector(&[(id("people"), 3)]), SparseVector::default()];
        let pairs = texts.iter().flat_map(|text| vectors.iter().map(move |vector| (text, vector)));
        let shared: usize = pairs
            .map(|(text, vector)| {
                let terms = text.compiled.sparse.terms();
                terms.iter().filter(|(token, _)| vector.get(*token).is_some()).count()
            })
            .sum();
        let active = active(&vectors, &texts, &mut Samples::default());
        assert!(shared >= 5);
        assert!((active.flops - hundredths(mean(shared, 9))).abs() < 1e-9, "{active:?}");
        assert!((active.image_tokens - 1.33).abs() < 1e-9, "{active:?}");
    }

    #[test]
    fn the_heaviest_tokens_come_first_and_equal_ones_in_order() {
        let vector = vector(&[(3, 7), (5, 9), (8, 7), (9, 1)]);
        assert_eq!(heaviest(&vector, 3), [TokenId(5), TokenId(3), TokenId(8)]);
        assert_eq!(heaviest(&vector, 9).len(), 4);
    }

    #[test]
    fn tokens_of_more_than_a_fifth_are_overused_and_those_of_none_dead() {
        let encoder = Encoder::embedded().unwrap();
        let vocabulary = encoder.vocabulary();
        let id = |word: &str| vocabulary.id(word).unwrap().0;
        let rare = vector(&[(id("dog"), 9)]);
        let mut vectors = vec![vector(&[(id("sand"), 1)]), vector(&[(id("sand"), 1)]), rare];
        vectors.extend(vec![SparseVector::default(); 2]);
        let used = token_use(&vectors, vocabulary);
        assert_eq!(used.overused, [Overused { token: "sand".into(), share: 40.0 }]);
        assert_eq!(used.dead, used.outputs - 2);
    }
}
