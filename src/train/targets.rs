//! Which words should a photo or a text have? From captions, labels and a teacher's classes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use candle_core::{Device, Tensor};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::encode::{Encoder, Vocabulary};

use super::error::TrainError;

/// The weight of words that hardly any caption has, which are many and mean little together.
const LARGEST_IDF: f32 = 7.0;

/// Places among the output tokens, rising, each with its share of the whole; the sum is at most 1.
pub(crate) type Words = Vec<(usize, f32)>;

/// From token ids to places among the output tokens.
pub(crate) struct Places(Vec<Option<usize>>);

impl Places {
    pub(crate) fn new(encoder: &Encoder) -> Self {
        let mut places = vec![None; encoder.vocabulary().len()];
        for (place, &id) in encoder.output_tokens().iter().enumerate() {
            places[usize::from(id)] = Some(place);
        }
        Self(places)
    }

    /// The places of a text's tokens, each once, rising. Tokens that no picture can have are left out.
    pub(crate) fn of(&self, ids: &[u16]) -> Vec<usize> {
        let place = |&id: &u16| self.0.get(usize::from(id)).copied().flatten();
        let mut places: Vec<usize> = ids.iter().filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The place of a word that is one token.
    fn of_word(&self, word: &str, vocabulary: &Vocabulary) -> Option<usize> {
        vocabulary.id(word).and_then(|id| self.0[usize::from(id.0)])
    }
}

/// How telling a word is: `ln((n + 1) ÷ (df + 1))`, at most 7 (Spärck Jones 1972, smoothed). Without
/// captions all words are alike.
pub(crate) struct Idf {
    weights: Vec<f32>,
}

impl Idf {
    /// From the places of each caption's words, of `outputs` in all.
    pub(crate) fn new<'a>(captions: impl Iterator<Item = &'a [usize]>, outputs: usize) -> Self {
        let mut frequency = vec![0_usize; outputs];
        let mut count = 0;
        for places in captions {
            places.iter().for_each(|&place| frequency[place] += 1);
            count += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of captions")]
        let weight = |df: usize| match count {
            0 => 1.0,
            _ => ((count + 1) as f32 / (df + 1) as f32).ln().min(LARGEST_IDF),
        };
        Self { weights: frequency.into_iter().map(weight).collect() }
    }

    /// The words of several captions, each by its idf and the number of captions that have it.
    pub(crate) fn words<'a>(&self, captions: impl Iterator<Item = &'a [usize]>) -> Words {
        let mut words = BTreeMap::new();
        for &place in captions.flatten() {
            *words.entry(place).or_insert(0.0) += self.weights[place];
        }
        shares(words, 1.0)
    }
}

/// Weights made into shares of `whole`; words of weight 0 are left out.
fn shares(words: BTreeMap<usize, f32>, whole: f32) -> Words {
    let sum: f32 = words.values().sum();
    let positive = words.into_iter().filter(|(_, weight)| *weight > 0.0);
    positive.map(|(place, weight)| (place, weight * whole / sum)).collect()
}

/// `share` of one distribution and the rest of another.
pub(crate) fn mix(one: &Words, share: f32, other: &Words) -> Words {
    let mut mixed = BTreeMap::new();
    for (words, share) in [(one, share), (other, 1.0 - share)] {
        words.iter().for_each(|&(place, part)| *mixed.entry(place).or_insert(0.0) += share * part);
    }
    mixed.into_iter().collect()
}

/// Rows of words as a matrix [rows, outputs].
pub(crate) fn matrix(
    rows: &[&Words],
    outputs: usize,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let mut dense = vec![0.0_f32; rows.len() * outputs];
    for (words, row) in rows.iter().zip(dense.chunks_exact_mut(outputs)) {
        words.iter().for_each(|&(place, share)| row[place] = share);
    }
    Tensor::from_vec(dense, (rows.len(), outputs), device)
}

/// Classes as weighted words, found by number, name or WordNet id.
#[derive(Default)]
pub(crate) struct Classes {
    words: Vec<BTreeMap<usize, f32>>,
    by_name: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct Class {
    #[serde(default)]
    wnid: Option<String>,
    name: String,
    words: BTreeMap<String, f32>,
}

impl Classes {
    /// Reads a JSON list of `{"name", "words": {word: weight}, "wnid"?}`.
    pub(crate) fn open(
        path: &Path,
        places: &Places,
        vocabulary: &Vocabulary,
    ) -> Result<Self, TrainError> {
        let file = std::fs::read(path)
            .map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
        let list: Vec<Class> = serde_json::from_slice(&file).map_err(|error| {
            let what = format!("not a list of classes with words: {error}");
            TrainError::Teacher { path: path.to_owned(), what }
        })?;
        let mut classes = Self::default();
        for (number, class) in list.into_iter().enumerate() {
            let known = class.words.iter().filter(|(_, weight)| weight.is_finite());
            let place = |(word, &weight): (&String, &f32)| {
                places.of_word(word, vocabulary).map(|place| (place, weight.max(0.0)))
            };
            classes.words.push(known.filter_map(place).collect());
            for name in class.wnid.into_iter().chain([class.name]) {
                classes.by_name.entry(name).or_insert(number);
            }
        }
        Ok(classes)
    }

    /// The words of a photo that has labels only: the labels' own, and those of their classes.
    pub(crate) fn label_words(
        &self,
        labels: &[String],
        wnid: Option<&str>,
        own: &[usize],
    ) -> Words {
        let mut words: BTreeMap<usize, f32> = own.iter().map(|&place| (place, 1.0)).collect();
        let names = labels.iter().map(String::as_str).chain(wnid);
        for number in names.filter_map(|name| self.by_name.get(name)) {
            for (&place, &weight) in &self.words[*number] {
                let word = words.entry(place).or_insert(0.0);
                *word = word.max(weight);
            }
        }
        shares(words, 1.0)
    }

    /// The words of what a teacher saw; their sum is how sure it was, at most 1.
    fn seen_words(&self, seen: &[(usize, f32)]) -> Words {
        let mut words = BTreeMap::new();
        for (class, probability) in seen {
            for (&place, &weight) in self.words.get(*class).into_iter().flatten() {
                *words.entry(place).or_insert(0.0) += weight * probability;
            }
        }
        shares(words, seen.iter().map(|(_, probability)| probability).sum::<f32>().min(1.0))
    }
}

/// What a teacher saw in a photo.
#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    set: String,
    id: String,
    /// Number of the class, probability.
    classes: Vec<(usize, f32)>,
}

/// A teacher's answers as words, by the name of the set (its file's, without ending) and the photo's
/// id.
pub(crate) fn teacher(
    path: &Path,
    classes: &Classes,
) -> Result<HashMap<(String, String), Words>, TrainError> {
    let failed = |source| TrainError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let is_packed = path.extension().is_some_and(|ending| ending == "gz");
    let bytes: Box<dyn Read> =
        if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut answers = HashMap::new();
    for (number, line) in BufReader::new(bytes).lines().enumerate() {
        let line = line.map_err(failed)?;
        let wrong = |what: String| {
            let what = format!("line {}: {what}", number + 1);
            TrainError::Teacher { path: path.to_owned(), what }
        };
        let seen: Seen = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if let Some((class, probability)) = seen
            .classes
            .iter()
            .find(|(class, p)| *class >= classes.words.len() || !(0.0..=1.0).contains(p))
        {
            return Err(wrong(format!("class {class} with probability {probability}")));
        }
        answers.insert((seen.set, seen.id), classes.seen_words(&seen.classes));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_count_more_and_shares_sum_to_one() {
        let captions: [&[usize]; 3] = [&[0, 1], &[0, 2], &[0]];
        let idf = Idf::new(captions.into_iter(), 4);
        let words = idf.words(captions[..2].iter().copied());
        assert_eq!(words.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2]);
        assert!((words.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_teacher_that_is_half_sure_gives_half_of_the_words() {
        let classes = Classes {
            words: vec![BTreeMap::from([(3, 1.0), (5, 1.0)]), BTreeMap::from([(5, 0.5)])],
            by_name: HashMap::from([("cat".to_owned(), 0)]),
        };
        let sum = |words: &Words| words.iter().map(|(_, share)| share).sum::<f32>();
        let seen = classes.seen_words(&[(0, 0.4), (1, 0.1)]);
        assert!((sum(&seen) - 0.5).abs() < 1e-6 && seen[1].1 > seen[0].1, "{seen:?}");
        let labelled = classes.label_words(&["cat".to_owned()], None, &[7]);
        assert_eq!(labelled.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [3, 5, 7]);
        assert!((sum(&labelled) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_mixture_keeps_the_sum() {
        let mixed = mix(&vec![(0, 1.0)], 0.6, &vec![(0, 0.5), (2, 0.5)]);
        assert!((mixed[0].1 - 0.8).abs() < 1e-6 && (mixed[1].1 - 0.2).abs() < 1e-6, "{mixed:?}");
    }
}
