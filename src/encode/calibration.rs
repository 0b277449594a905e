//! What a match amounts to with a model, measured on photos that it was not trained on.

use serde::{Deserialize, Serialize};

/// What a match amounts to with a model, measured on photos that it was not trained on. The default
/// is that of the first model, `v0`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Calibration {
    /// The impact, 1 to 255, that a token is taken to reach in a picture that plainly shows it.
    /// Coverage is the share that a picture scores of a query whose tokens all reach it.
    pub reachable: u8,
    /// What the words of a query get beside what the text tower gives them, 0 or more: a single one
    /// so many times all the tower's weights together, several [less](fade). The sum stays the tower's.
    ///
    /// A text tower that learned from sentences spreads a single word over so many related ones that
    /// little of it is left, and a picture of the others is taken for an answer.
    #[serde(default)]
    pub own_words: f32,
    /// The coverage from which a picture is an answer to a text that the tower read.
    pub min_match: LeastMatch,
    /// The same for a text whose weights come from the table.
    pub min_match_table: LeastMatch,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            reachable: 128,
            own_words: 0.0,
            min_match: LeastMatch::always(0.18),
            min_match_table: LeastMatch::always(0.25),
        }
    }
}

impl Calibration {
    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self { reachable, own_words, min_match, min_match_table } = self;
        let shares = [min_match.word, min_match.text, min_match_table.word, min_match_table.text];
        if *reachable == 0 {
            return Some("calibration.reachable is 0".to_owned());
        }
        if !(own_words.is_finite() && *own_words >= 0.0) {
            return Some(format!("calibration.own_words is {own_words}"));
        }
        let wrong = shares.into_iter().find(|share| !(0.0..=1.0).contains(share))?;
        Some(format!("a min_match of {wrong} in calibration, which is no share from 0 to 1"))
    }
}

/// The coverage, 0 to 1, from which a picture is an answer. One word is easily had by chance, all of many
/// seldom, so that the coverage needed falls with their number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct LeastMatch {
    /// For a single word.
    pub word: f32,
    /// For a long text.
    pub text: f32,
}

impl LeastMatch {
    /// The same for any number of words.
    #[must_use]
    pub fn always(share: f32) -> Self {
        Self { word: share, text: share }
    }

    /// For a text of so many words that the model knows; for one of none, such as a picture, as for a
    /// long one.
    #[must_use]
    pub fn of(self, words: usize) -> f32 {
        match words {
            0 => self.text,
            _ => self.text + (self.word - self.text) * fade(words),
        }
    }
}

/// How much of what holds for a single word holds for so many: 1 / words^1.5.
#[must_use]
pub fn fade(words: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a text has few words")]
    let words = words.max(1) as f32;
    words.powf(-1.5)
}

#[cfg(test)]
mod tests {
    use super::{Calibration, LeastMatch};

    #[test]
    fn the_more_words_the_less_coverage() {
        let least = LeastMatch { word: 0.4, text: 0.2 };
        assert!((least.of(1) - 0.4).abs() < 1e-6 && (least.of(4) - 0.225).abs() < 1e-6);
        assert!((0..=1000).map(|words| least.of(words)).all(|share| (0.2..=0.4).contains(&share)));
        assert!((least.of(0) - 0.2).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let good = Calibration::default();
        assert_eq!(good.problem(), None);
        let none = Calibration { reachable: 0, ..good };
        let negative = Calibration { own_words: -1.0, ..good };
        let unreal = Calibration { own_words: f32::NAN, ..good };
        let beyond = Calibration { min_match: LeastMatch { word: 1.5, text: 0.2 }, ..good };
        for bad in [none, negative, unreal, beyond] {
            assert!(bad.problem().is_some(), "{bad:?}");
        }
    }
}
