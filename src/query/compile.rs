//! From a parsed query to the whole numbers that the index multiplies.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sightword_index::{Exclusion, QueryError, SparseQuery, SparseVector, TokenId};

use super::parse::ParsedQuery;
#[cfg(doc)]
use crate::encode::Calibration;
use crate::encode::{EncodeError, Encoder, Piece, Vocabulary, fade, quantise, to_vector};

/// The impact from which a token counts as "in the picture" for an exclusion.
///
/// 1: a picture is left out as soon as the model sees any trace of the word. For 44 frequent nouns of
/// Flickr8k's dev split this leaves in 15 % of the photos that show the thing and takes out 17 % of
/// those that do not; at 32 it would be 18 % and 14 %, at 48 already 24 % and 11 %.
pub const EXCLUSION_FLOOR: u8 = 1;

/// Where a text's weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryMode {
    /// The text tower: related words are found too.
    #[default]
    Tower,
    /// One fixed weight per word: no network, only the words typed.
    Table,
}

/// A query that is ready to run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CompiledQuery {
    /// Weights 1 to 255 by rising token, and what must not match.
    pub sparse: SparseQuery,
    /// `weight = quantised / scale`: the model's `impact_scale`, or less if a boost would have
    /// taken the largest weight beyond 255.
    pub scale: f32,
    /// Words that the vocabulary breaks into pieces.
    pub words: Vec<WordGroup>,
    /// The word or phrase behind each of `sparse.exclusions()`, in the same order.
    pub excluded: Vec<String>,
    /// The greatest score that a picture can be expected to reach: Σ weight ·
    /// [`Calibration::reachable`]. Coverage is the share of it that a picture scores.
    pub reachable: u32,
    /// Different words of the text that the model knows by themselves, stop words left out.
    pub own_words: usize,
    /// What the user should know: words without effect, words the model does not know.
    pub warnings: Vec<String>,
}

/// A word of the query that the vocabulary has only in pieces. No token is in two groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordGroup {
    /// The whole word, in lower case.
    pub word: String,
    /// Those of its pieces that stand in the query, rising.
    pub tokens: Vec<TokenId>,
}

/// Why a query cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Nothing to look for.
    #[error("the query has no word to look for: exclusions and filters only narrow a search")]
    Empty,
    /// A raw weight for a token that the model does not have.
    #[error("'{token}' is not in the model's vocabulary")]
    UnknownToken {
        /// The token as given.
        token: String,
    },
    /// The text could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The weights break a rule of the index.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Makes the query that the index runs.
///
/// The positive words are weighed together by the text tower, beside which each of them then gets a
/// share ([`Calibration::own_words`]), or one by one by the weight table (`mode`); raw token weights
/// stand as they are. `word^2` then multiplies the weights of the word's own tokens, not those of
/// related words. `like`, a picture's vector, is added to the text's weights, and weights set by hand
/// replace what there is by then. Tokens that no picture can have are dropped. Weights are quantised
/// with the model's `impact_scale`.
///
/// # Errors
/// [`CompileError`] if there is nothing to look for, a raw token is unknown, or encoding fails.
pub fn compile(
    parsed: &ParsedQuery,
    like: Option<&SparseVector>,
    encoder: &Encoder,
    mode: QueryMode,
) -> Result<CompiledQuery, CompileError> {
    if parsed.is_empty() && like.is_none() {
        return Err(CompileError::Empty);
    }
    let vocabulary = encoder.vocabulary();
    let impact_scale = encoder.config().impact_scale;
    let pieces = vocabulary.tokenize(&parsed.text);
    let mut warnings = Vec::new();
    warnings.extend(unknown_words(&parsed.text, &pieces, vocabulary));
    if mode == QueryMode::Tower {
        warnings.extend(lost_end(&parsed.text, &pieces, encoder.config().text.max_tokens));
    }

    let (mut weights, own_words) = text_weights(&parsed.text, encoder, mode)?;
    warnings.extend(boost(&mut weights, parsed, &pieces));
    warnings.extend(raw_weights(&mut weights, parsed, vocabulary)?);
    weights.retain(|token, _| vocabulary.is_output(*token));
    for entry in like.into_iter().flat_map(SparseVector::entries) {
        *weights.entry(entry.token).or_insert(0.0) += f32::from(entry.impact) / impact_scale;
    }
    warnings.extend(set_by_hand(&mut weights, parsed, &pieces, vocabulary)?);
    if weights.is_empty() {
        warnings.push(String::from("no picture can have any of these words"));
    }

    let (terms, scale) = quantised(&weights, impact_scale);
    let (exclusions, excluded) = exclusions(&parsed.excluded, vocabulary, &mut warnings);
    let reachable = u32::from(encoder.config().calibration.reachable);
    let reachable = terms.iter().map(|(_, weight)| u32::from(*weight) * reachable).sum();
    let words = word_groups(&parsed.text, &pieces, &terms);
    let sparse = SparseQuery::new(terms, exclusions)?;
    Ok(CompiledQuery { sparse, scale, words, excluded, reachable, own_words, warnings })
}

/// A warning if the tower does not read the whole text: it takes two special tokens and so many
/// pieces.
fn lost_end(text: &str, pieces: &[Piece], max_tokens: usize) -> Option<String> {
    let first_lost = pieces.get(max_tokens.saturating_sub(2))?;
    let lost = &text[first_lost.word.start..];
    let shown: String = lost.chars().take(40).collect();
    Some(format!("the query is too long: '{shown}' and what follows is not read"))
}

type Weights = BTreeMap<TokenId, f32>;

/// A text's weights, and how many words of its own are among them.
fn text_weights(
    text: &str,
    encoder: &Encoder,
    mode: QueryMode,
) -> Result<(Weights, usize), CompileError> {
    if text.is_empty() {
        return Ok((Weights::new(), 0));
    }
    let own = own_weights(text, encoder)?;
    let words = own.len();
    if mode == QueryMode::Table {
        return Ok((own, words));
    }
    let mut weights: Weights = encoder.encode_text(text)?.into_iter().collect();
    let added = encoder.config().calibration.own_words * fade(words);
    if words > 0 && added > 0.0 {
        add_own(&mut weights, &own, added);
    }
    Ok((weights, words))
}

/// The table's weights of a text's words, of those that a picture can have.
fn own_weights(text: &str, encoder: &Encoder) -> Result<Weights, EncodeError> {
    let weights = encoder.table_weights(text)?.into_iter();
    Ok(weights.filter(|(token, _)| encoder.vocabulary().is_output(*token)).collect())
}

/// Adds `added` times as much as `weights` have in all to the words of the text itself, in proportion to
/// `own`; the sum of all stays what it was.
fn add_own(weights: &mut Weights, own: &Weights, added: f32) {
    let (all, of_own): (f32, f32) = (weights.values().sum(), own.values().sum());
    for (token, weight) in own {
        *weights.entry(*token).or_insert(0.0) += added * all / of_own * weight;
    }
    weights.values_mut().for_each(|weight| *weight /= 1.0 + added);
}

/// A text as something to be found: its weights as the table has them, or the tower's, evened out by
/// [`Encoder::among_texts`].
///
/// # Errors
/// [`CompileError::Encode`] if the text cannot be encoded.
pub fn text_vector(
    text: &str,
    encoder: &Encoder,
    mode: QueryMode,
) -> Result<SparseVector, CompileError> {
    let weights: Weights = match mode {
        QueryMode::Tower => {
            let even = encoder.among_texts(encoder.encode_text(text)?)?;
            even.into_iter().collect()
        }
        QueryMode::Table => own_weights(text, encoder)?,
    };
    // A map's tokens rise: the rule of a vector.
    Ok(to_vector(weights, encoder.config().impact_scale).unwrap_or_default())
}

/// Multiplies the weights of each boosted word's own tokens; returns warnings for words that have
/// none. The whole text's pieces are used, so that they are the ones that the tower saw.
fn boost(weights: &mut Weights, parsed: &ParsedQuery, pieces: &[Piece]) -> Vec<String> {
    let mut warnings = Vec::new();
    for boost in &parsed.boosts {
        let own: BTreeSet<TokenId> = pieces
            .iter()
            .filter(|piece| overlap(&piece.word, &boost.range))
            .map(|piece| piece.id)
            .collect();
        let mut carried = false;
        for token in own {
            if let Some(weight) = weights.get_mut(&token) {
                *weight *= boost.factor;
                carried = true;
            }
        }
        if !carried {
            warnings.push(format!(
                "'{}' carries no weight of its own here: ^{} changes nothing",
                boost.word, boost.factor
            ));
        }
    }
    warnings
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn raw_weights(
    weights: &mut Weights,
    parsed: &ParsedQuery,
    vocabulary: &Vocabulary,
) -> Result<Vec<String>, CompileError> {
    let mut warnings = Vec::new();
    for (token, weight) in &parsed.weights {
        let id = vocabulary.id(token).ok_or_else(|| unknown(token))?;
        if !vocabulary.is_output(id) {
            warnings.push(without_effect(token));
        }
        weights.insert(id, *weight);
    }
    Ok(warnings)
}

fn unknown(token: &str) -> CompileError {
    CompileError::UnknownToken { token: token.to_owned() }
}

fn without_effect(token: &str) -> String {
    format!("no picture can have '{token}': its weight changes nothing")
}

/// Replaces weights by those set by hand. A word of the text in pieces is shown with the sum of its
/// pieces, so that is what is set: the pieces keep their proportion.
fn set_by_hand(
    weights: &mut Weights,
    parsed: &ParsedQuery,
    pieces: &[Piece],
    vocabulary: &Vocabulary,
) -> Result<Vec<String>, CompileError> {
    let mut warnings = Vec::new();
    for (word, weight) in &parsed.set {
        if let Some(id) = vocabulary.id(word) {
            if vocabulary.is_output(id) {
                weights.insert(id, *weight);
            } else {
                warnings.push(without_effect(word));
            }
            continue;
        }
        let is_meant = |piece: &&Piece| parsed.text[piece.word.clone()].to_lowercase() == *word;
        let own: BTreeSet<TokenId> = pieces.iter().filter(is_meant).map(|piece| piece.id).collect();
        let sum: f32 = own.iter().filter_map(|token| weights.get(token)).sum();
        if sum <= 0.0 {
            return Err(unknown(word));
        }
        for token in own {
            weights.entry(token).and_modify(|own| *own *= weight / sum);
        }
    }
    Ok(warnings)
}

/// Weights as whole numbers 1 to 255, those that round to 0 dropped, and the scale used.
fn quantised(weights: &Weights, impact_scale: f32) -> (Vec<(TokenId, u8)>, f32) {
    let largest = weights.values().copied().fold(0.0, f32::max);
    let fits = (largest * impact_scale).round() <= 255.0;
    let scale = if fits { impact_scale } else { 255.0 / largest };
    let terms = weights
        .iter()
        .map(|(token, weight)| (*token, quantise(*weight, scale)))
        .filter(|(_, weight)| *weight > 0)
        .collect();
    (terms, scale)
}

/// One exclusion per word or phrase that a picture can have, and its label beside it.
fn exclusions(
    excluded: &[String],
    vocabulary: &Vocabulary,
    warnings: &mut Vec<String>,
) -> (Vec<Exclusion>, Vec<String>) {
    let mut exclusions = Vec::new();
    let mut labels = Vec::new();
    for phrase in excluded {
        let pieces = vocabulary.tokenize(phrase);
        let known: BTreeSet<TokenId> =
            pieces.iter().map(|piece| piece.id).filter(|id| vocabulary.is_output(*id)).collect();
        if known.is_empty() {
            warnings.push(format!("'{phrase}' cannot be excluded: the model never sees it"));
            continue;
        }
        warnings.extend(half_known(phrase, &pieces, vocabulary));
        exclusions.push(Exclusion { tokens: known.into_iter().collect(), floor: EXCLUSION_FLOOR });
        labels.push(phrase.clone());
    }
    (exclusions, labels)
}

/// Warnings for the words of an excluded phrase that are known by a part only, so that more is
/// excluded than was asked for.
fn half_known(phrase: &str, pieces: &[Piece], vocabulary: &Vocabulary) -> Vec<String> {
    let mut warnings = Vec::new();
    for word in pieces.chunk_by(|a, b| a.word == b.word) {
        let known: Vec<&str> = word
            .iter()
            .filter(|piece| vocabulary.is_output(piece.id))
            .map(|piece| vocabulary.token(piece.id))
            .collect();
        if !known.is_empty() && known.len() < word.len() {
            let whole = &phrase[word[0].word.clone()];
            let parts = known.join(", ");
            warnings.push(format!(
                "the model knows '{whole}' only by '{parts}': all pictures of that are excluded"
            ));
        }
    }
    warnings
}

/// The broken words of the text with those of their pieces that stand in the query. A piece that is
/// also a word of the query by itself belongs to that word; one in two broken words to the first.
fn word_groups(text: &str, pieces: &[Piece], terms: &[(TokenId, u8)]) -> Vec<WordGroup> {
    let words = || pieces.chunk_by(|a, b| a.word == b.word);
    let mut taken: BTreeSet<TokenId> =
        words().filter(|word| word.len() == 1).map(|word| word[0].id).collect();
    let mut groups = Vec::new();
    for word in words().filter(|word| word.len() > 1) {
        let own: BTreeSet<TokenId> = word.iter().map(|piece| piece.id).collect();
        let stands = |token: &TokenId| terms.binary_search_by_key(token, |term| term.0).is_ok();
        let tokens: Vec<TokenId> =
            own.into_iter().filter(|token| stands(token) && taken.insert(*token)).collect();
        if !tokens.is_empty() {
            groups.push(WordGroup { word: text[word[0].word.clone()].to_lowercase(), tokens });
        }
    }
    groups
}

/// A warning if more than half of the text's pieces are unknown: `[UNK]`, or single letters of a
/// word that the vocabulary does not have.
fn unknown_words(text: &str, pieces: &[Piece], vocabulary: &Vocabulary) -> Option<String> {
    let unknown = |piece: &&Piece| is_unknown(&text[piece.word.clone()], piece.id, vocabulary);
    let count = pieces.iter().filter(unknown).count();
    (count * 2 > pieces.len()).then(|| {
        String::from("the model does not know most of these words: it was trained on English")
    })
}

fn is_unknown(word: &str, id: TokenId, vocabulary: &Vocabulary) -> bool {
    let token = vocabulary.token(id);
    let mut letters = token.strip_prefix("##").unwrap_or(token).chars();
    let single = match (letters.next(), letters.next()) {
        (Some(letter), None) => letter.is_alphabetic(),
        _ => false,
    };
    let stands_alone = word.len() == 1;
    token == "[UNK]" || (single && !stands_alone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantised_weights_rise_by_token_and_fit_a_byte(
            weights in proptest::collection::btree_map(0u16..500, 1e-4f32..400.0, 0..80),
        ) {
            let weights: Weights =
                weights.into_iter().map(|(token, weight)| (TokenId(token), weight)).collect();
            let (terms, scale) = quantised(&weights, 64.0);
            prop_assert!(scale > 0.0 && scale <= 64.0);
            prop_assert!(terms.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(terms.iter().all(|(_, weight)| *weight >= 1));
            for (token, quantised) in terms {
                let exact = weights[&token] * scale;
                prop_assert!((exact - f32::from(quantised)).abs() <= 0.5 + 1e-3);
            }
        }
    }

    #[test]
    fn a_weight_beyond_a_byte_scales_the_whole_query_down() {
        let weights = Weights::from([(TokenId(1), 8.0), (TokenId(2), 4.0)]);
        let (terms, scale) = quantised(&weights, 64.0);
        assert_eq!(terms, [(TokenId(1), 255), (TokenId(2), 128)]);
        assert!((scale - 255.0 / 8.0).abs() < 1e-6);
    }

    fn piece(id: u16, word: Range<usize>) -> Piece {
        Piece { id: TokenId(id), word }
    }

    #[test]
    fn pieces_are_grouped_under_their_word_unless_they_are_words_of_the_query() {
        let text = "Snowboard snow";
        let pieces = [piece(5, 0..9), piece(3, 0..9), piece(5, 10..14)];
        let terms = [(TokenId(3), 9), (TokenId(5), 9), (TokenId(7), 9)];
        let groups = word_groups(text, &pieces, &terms);
        assert_eq!(groups, [WordGroup { word: "snowboard".into(), tokens: vec![TokenId(3)] }]);
    }

    #[test]
    fn a_boost_reaches_the_words_own_tokens_only() {
        let parsed = super::super::parse("dog beach^2").unwrap();
        let pieces = [piece(1, 0..3), piece(2, 4..9)];
        let mut weights = Weights::from([(TokenId(1), 1.0), (TokenId(2), 1.5), (TokenId(9), 1.0)]);
        assert!(boost(&mut weights, &parsed, &pieces).is_empty());
        let expected = Weights::from([(TokenId(1), 1.0), (TokenId(2), 3.0), (TokenId(9), 1.0)]);
        assert_eq!(weights, expected);
    }

    #[test]
    fn a_boost_without_effect_is_said() {
        let parsed = super::super::parse("the^2 dog").unwrap();
        let warnings = boost(&mut Weights::new(), &parsed, &[piece(1, 0..3)]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("'the'"), "{warnings:?}");
    }
}
