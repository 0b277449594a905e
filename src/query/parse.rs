//! The syntax of queries.
//!
//! ```text
//! query     = weights rest | item*
//! item      = exclusion | filter | word [ "^" number ]
//! exclusion = "-" word                     no picture that shows this
//! filter    = name ":" word                path, after, before, camera, size, near
//! word      = '"' any text '"' | text without spaces
//! weights   = JSON object {"token": number}
//! ```
//!
//! Everything else is plain text, a colon behind any other word too: a caption is a query.
//! Quotes make operators plain: `"-5"`, `"2^3"`.

use std::ops::Range;

use super::error::{ParseError, Problem};
use super::filter::{self, Filter};
use super::weights;

/// The largest weight that `word^weight` or JSON may give.
pub const MAX_WEIGHT: f32 = 100.0;

/// A query taken apart, before any model has seen it.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ParsedQuery {
    /// The positive words as typed, joined by single spaces, operators removed.
    pub text: String,
    /// The weights put on words of `text`, in order.
    pub boosts: Vec<Boost>,
    /// Words and phrases that must not be in the picture.
    pub excluded: Vec<String>,
    /// Conditions on file and EXIF facts; all must hold.
    pub filters: Vec<Filter>,
    /// Raw token weights, above 0 and at most [`MAX_WEIGHT`]; they stand instead of `text`.
    pub weights: Vec<(String, f32)>,
    /// Weights set by hand, 0 to [`MAX_WEIGHT`]: they come last and replace what text and picture gave
    /// the word, a token or a word of `text` in pieces. 0 takes it out. No syntax gives these.
    pub set: Vec<(String, f32)>,
}

/// A weight on a word or phrase of the query's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    /// The word or phrase.
    pub word: String,
    /// Its factor, above 0 and at most [`MAX_WEIGHT`].
    pub factor: f32,
    /// Where the word stands in [`ParsedQuery::text`], in bytes.
    pub range: Range<usize>,
}

impl ParsedQuery {
    /// A query of plain words in which no character is an operator: a caption.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether there is nothing to look for: no word and no weight (filters alone find nothing).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.weights.is_empty() && self.set.is_empty()
    }

    /// Adds a word or phrase that must not be in the picture.
    ///
    /// # Errors
    /// [`Problem::NothingToExclude`] if it has no letter and no digit.
    pub fn exclude(&mut self, phrase: &str) -> Result<(), Problem> {
        if !phrase.chars().any(char::is_alphanumeric) {
            return Err(Problem::NothingToExclude);
        }
        self.excluded.push(phrase.trim().to_owned());
        Ok(())
    }

    /// Adds a word to the text and returns where it stands.
    fn push(&mut self, word: &str) -> Range<usize> {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(word);
        start..self.text.len()
    }
}

/// Takes a query apart.
///
/// # Errors
/// [`ParseError`] with the byte at which an operator is incomplete or a value makes no sense.
pub fn parse(text: &str) -> Result<ParsedQuery, ParseError> {
    Parser { text, at: 0, query: ParsedQuery::default() }.run()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    query: ParsedQuery,
}

/// A word or phrase as it was read: its text without quotes, and where it began.
struct Word<'a> {
    text: &'a str,
    start: usize,
    quoted: bool,
}

impl<'a> Parser<'a> {
    fn run(mut self) -> Result<ParsedQuery, ParseError> {
        self.skip_spaces();
        if self.rest().starts_with('{') {
            let (weights, end) = weights::read(self.text, self.at)?;
            self.query.weights = weights;
            self.at = end;
        }
        loop {
            self.skip_spaces();
            if self.rest().is_empty() {
                return Ok(self.query);
            }
            self.item()?;
        }
    }

    fn item(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        if self.rest().starts_with('-') {
            self.at += 1;
            return self.exclusion(start);
        }
        if let Some(name) = filter::name_of(self.bare()) {
            self.at += name.len() + 1;
            return self.filter(name);
        }
        if !self.query.weights.is_empty() {
            return Err(self.error(start, Problem::WordsAfterJson));
        }
        let word = self.word()?;
        if word.quoted { self.phrase(&word) } else { self.bare_word(&word) }
    }

    fn exclusion(&mut self, dash: usize) -> Result<(), ParseError> {
        if self.bare().is_empty() {
            return Err(self.error(dash, Problem::LoneDash));
        }
        if let Some(name) = filter::name_of(self.bare()) {
            return Err(self.error(dash, Problem::ExcludedFilter { name: name.to_owned() }));
        }
        let word = self.word()?;
        if word.quoted && self.rest().starts_with('^') {
            return Err(self.error(self.at, Problem::WeightedExclusion));
        }
        if let (false, Some(caret)) = (word.quoted, word.text.find('^')) {
            return Err(self.error(word.start + caret, Problem::WeightedExclusion));
        }
        self.query.exclude(word.text).map_err(|problem| self.error(dash, problem))
    }

    fn filter(&mut self, name: &'static str) -> Result<(), ParseError> {
        let start = self.at;
        let value = self.word()?.text;
        let filter = filter::read(name, value).map_err(|problem| self.error(start, problem))?;
        self.query.filters.push(filter);
        Ok(())
    }

    /// A phrase in quotes, with its weight if `^` follows at once.
    fn phrase(&mut self, word: &Word<'a>) -> Result<(), ParseError> {
        let text = word.text.trim();
        if text.is_empty() {
            return Err(self.error(word.start, Problem::EmptyQuotes));
        }
        if !self.rest().starts_with('^') {
            self.query.push(text);
            return Ok(());
        }
        let at = self.at + 1;
        let factor = &self.bare()[1..];
        self.at = at + factor.len();
        self.boost(text, factor, at)
    }

    /// A word without quotes, with its weight behind the last `^` if there is one.
    fn bare_word(&mut self, word: &Word<'a>) -> Result<(), ParseError> {
        let Some((head, factor)) = word.text.rsplit_once('^') else {
            self.query.push(word.text);
            return Ok(());
        };
        if head.is_empty() {
            return Err(self.error(word.start, Problem::NothingToWeigh));
        }
        self.boost(head, factor, word.start + head.len() + 1)
    }

    fn boost(&mut self, word: &str, factor: &str, at: usize) -> Result<(), ParseError> {
        let factor = read_weight(factor).map_err(|problem| self.error(at, problem))?;
        let range = self.query.push(word);
        self.query.boosts.push(Boost { word: word.to_owned(), factor, range });
        Ok(())
    }

    /// The next word or quoted phrase, possibly empty.
    fn word(&mut self) -> Result<Word<'a>, ParseError> {
        let start = self.at;
        let Some(inside) = self.rest().strip_prefix('"') else {
            let text = self.bare();
            self.at += text.len();
            return Ok(Word { text, start, quoted: false });
        };
        let Some(length) = inside.find('"') else {
            return Err(self.error(start, Problem::OpenQuotes));
        };
        self.at += length + 2;
        Ok(Word { text: &inside[..length], start, quoted: true })
    }

    /// What stands before the next space.
    fn bare(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn error(&self, at: usize, problem: Problem) -> ParseError {
        ParseError::new(self.text, at, problem)
    }
}

/// A weight as typed behind `^`.
fn read_weight(text: &str) -> Result<f32, Problem> {
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the nearest f32 on purpose")]
    let weight = filter::decimal(text).map(|weight| weight as f32);
    weight.filter(|weight| is_weight(*weight)).ok_or_else(|| bad_weight(text))
}

/// Whether a number may stand as a weight: above 0, at most [`MAX_WEIGHT`].
pub(super) fn is_weight(weight: f32) -> bool {
    weight > 0.0 && weight <= MAX_WEIGHT
}

pub(super) fn bad_weight(found: &str) -> Problem {
    Problem::BadWeight { found: found.to_owned(), max: MAX_WEIGHT }
}
