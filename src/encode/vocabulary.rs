//! Which token is which word, and how a text is cut into tokens (WordPiece, Devlin et al. 2018).

use std::borrow::Cow;
use std::ops::Range;

use sightword_index::TokenId;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::flat;

/// A word longer than this is unknown, as in BERT's own tokenizer.
const LONGEST_WORD: usize = 100;

/// One token of a text, and the word that it is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The token.
    pub id: TokenId,
    /// The whole word's byte range in the text; its pieces share it.
    pub word: Range<usize>,
}

/// The model's vocabulary: words, word pieces (`##…`) and special tokens.
pub struct Vocabulary {
    flat: Cow<'static, [u8]>,
    len: usize,
    /// One bit a token: can a picture have it?
    outputs: Vec<u64>,
    special: Special,
}

/// Ids of BERT's special tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Special {
    pub(crate) cls: TokenId,
    pub(crate) sep: TokenId,
    pub(crate) unknown: TokenId,
}

impl Vocabulary {
    /// Takes the bytes that [`flat::pack`] made; `outputs` are the ids that a picture can have.
    pub(crate) fn new(flat: Cow<'static, [u8]>, outputs: &[u16]) -> Result<Self, String> {
        let len = flat.get(..4).map(u32_at_start).unwrap_or_default() as usize;
        let header = 4 + 4 * (len + 1) + 2 * len;
        let mut vocabulary = Self {
            flat,
            len,
            outputs: vec![0; len.div_ceil(64)],
            special: Special { cls: TokenId(0), sep: TokenId(0), unknown: TokenId(0) },
        };
        if len == 0 || vocabulary.flat.len() != header + vocabulary.offset(len) {
            return Err("the flat vocabulary is damaged".into());
        }
        for &id in outputs {
            let word = vocabulary.outputs.get_mut(usize::from(id) / 64);
            *word.ok_or(format!("output token {id} is not in the vocabulary"))? |= 1 << (id % 64);
        }
        let find = |token| vocabulary.id(token).ok_or(format!("no token {token}"));
        vocabulary.special =
            Special { cls: find("[CLS]")?, sep: find("[SEP]")?, unknown: find("[UNK]")? };
        Ok(vocabulary)
    }

    /// The vocabulary of a `tokenizer.json`.
    pub(crate) fn from_json(json: &[u8], outputs: &[u16]) -> Result<Self, String> {
        Self::new(Cow::Owned(flat::pack(&flat::tokens_of(json)?)?), outputs)
    }

    /// The number of tokens.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A token's text, `[UNK]` for an id that is none.
    #[must_use]
    pub fn token(&self, id: TokenId) -> &str {
        let at = usize::from(id.0);
        if at >= self.len {
            return "[UNK]";
        }
        std::str::from_utf8(self.bytes_of(at)).unwrap_or("[UNK]")
    }

    /// The token of exactly this text.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<TokenId> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            let id = self.sorted(middle);
            match self.bytes_of(usize::from(id)).cmp(token.as_bytes()) {
                std::cmp::Ordering::Equal => return Some(TokenId(id)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Whether a picture can have this token.
    #[must_use]
    pub fn is_output(&self, id: TokenId) -> bool {
        let word = self.outputs.get(usize::from(id.0) / 64);
        word.is_some_and(|word| word >> (id.0 % 64) & 1 == 1)
    }

    /// The vocabulary as a `tokenizer.json`: BERT's uncased WordPiece, as other programs read it too.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let vocabulary: serde_json::Map<String, serde_json::Value> = (0..self.len)
            .filter_map(|id| Some((self.token(TokenId(u16::try_from(id).ok()?)), id)))
            .map(|(token, id)| (token.to_owned(), id.into()))
            .collect();
        let special = |token: &str, id: TokenId| {
            serde_json::json!({"id": id.0, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true})
        };
        let named = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let added: Vec<_> =
            named.iter().filter_map(|token| Some(special(token, self.id(token)?))).collect();
        serde_json::json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", self.special.cls.0],
                "sep": ["[SEP]", self.special.sep.0]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": LONGEST_WORD, "vocab": vocabulary},
        })
    }

    /// The tokens of a text, without special ones. A word that the vocabulary cannot spell is
    /// `[UNK]`.
    #[must_use]
    pub fn tokenize(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (word, range) in words(text) {
            self.spell(&word, &range, &mut pieces);
        }
        pieces
    }

    pub(crate) fn special(&self) -> Special {
        self.special
    }

    /// Greedy longest match from the left.
    fn spell(&self, word: &str, range: &Range<usize>, pieces: &mut Vec<Piece>) {
        let before = pieces.len();
        let mut key = String::with_capacity(word.len() + 2);
        let mut start = 0;
        while start < word.len() {
            let found = word[start..].char_indices().rev().find_map(|(at, last)| {
                key.clear();
                key.push_str(if start > 0 { "##" } else { "" });
                key.push_str(&word[start..start + at + last.len_utf8()]);
                self.id(&key).map(|id| (id, start + at + last.len_utf8()))
            });
            let Some((id, end)) = found.filter(|_| word.chars().count() <= LONGEST_WORD) else {
                pieces.truncate(before);
                pieces.push(Piece { id: self.special.unknown, word: range.clone() });
                return;
            };
            pieces.push(Piece { id, word: range.clone() });
            start = end;
        }
    }

    fn bytes_of(&self, id: usize) -> &[u8] {
        let texts = 4 + 4 * (self.len + 1) + 2 * self.len;
        let range = texts + self.offset(id)..texts + self.offset(id + 1);
        self.flat.get(range).unwrap_or_default()
    }

    fn offset(&self, id: usize) -> usize {
        self.flat.get(4 + 4 * id..).map(u32_at_start).unwrap_or_default() as usize
    }

    fn sorted(&self, rank: usize) -> u16 {
        let at = 4 + 4 * (self.len + 1) + 2 * rank;
        u16::from_le_bytes([self.flat[at], self.flat[at + 1]])
    }
}

fn u32_at_start(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The words of a text, lower-cased and without accents, with their byte ranges in it.
fn words(text: &str) -> Vec<(String, Range<usize>)> {
    let mut split = PreTokenizedString::from(text);
    let normalizer = BertNormalizer::default();
    // Neither step can fail on a string: their `Result`s are there for other implementations.
    let normalized = split.normalize(|part| tokenizers::Normalizer::normalize(&normalizer, part));
    if normalized.and_then(|()| BertPreTokenizer.pre_tokenize(&mut split)).is_err() {
        return Vec::new();
    }
    let splits = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
    splits.into_iter().map(|(word, (start, end), _)| (word.to_owned(), start..end)).collect()
}
