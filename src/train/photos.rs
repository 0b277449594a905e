//! The photos of a run: what each was said to show, as ids and words, and where its features are.

use std::collections::HashMap;
use std::path::Path;

use crate::encode::Encoder;
use crate::eval::Place;

use super::config::TrainConfig;
use super::error::TrainError;
use super::features::{Features, Kind};
use super::parallel::OnDone;
use super::records::{Reason, Record, Records, Use};
use super::targets::{Classes, Idf, Places, Words, mix, teacher};

/// Captions of a photo that has labels only.
const TEMPLATES: [&str; 5] =
    ["a photo of a {}", "a {}", "a picture of a {} .", "the {} in the photo", "{}"];

/// A photo, ready for a step.
pub(crate) struct Photo {
    /// The place in the config's list of sets.
    pub(crate) set: usize,
    /// Where its file is.
    pub(crate) place: Place,
    /// The place of its features.
    pub(crate) entry: u64,
    pub(crate) captions: Vec<Caption>,
    /// Numbers of its labels; photos that share one are right answers to each other's captions.
    pub(crate) labels: Vec<usize>,
    /// The words of all its captions, or of its labels.
    pub(crate) words: Words,
    /// The words that a teacher sees in it.
    pub(crate) seen: Words,
}

/// A caption, ready for a step.
pub(crate) struct Caption {
    pub(crate) text: String,
    /// What the text tower reads.
    pub(crate) ids: Vec<u16>,
    /// The places of its tokens among the outputs.
    pub(crate) places: Vec<usize>,
    /// Its own words, and some of the photo's other ones.
    pub(crate) words: Words,
}

/// The share of a caption's target that is its own words; the rest is those of the whole photo.
const OWN_WORDS: f32 = 0.6;

/// Photos with their features.
pub(crate) struct Photos {
    pub(crate) list: Vec<Photo>,
    pub(crate) features: Features,
}

/// Reads the records that a config names.
pub(crate) fn records(config: &TrainConfig, encoder: &Encoder) -> Result<Records, TrainError> {
    let length = |text: &str| encoder.text_ids(text).len();
    Ok(Records::open(&config.data.sets, length, encoder.config().text.max_tokens)?)
}

/// Makes the records of a purpose ready; `None` when `progress` said to stop. Photos that cannot be
/// decoded are left out and counted.
pub(crate) fn prepare(
    purpose: Use,
    records: &mut Records,
    config: &TrainConfig,
    encoder: &Encoder,
    out: &Path,
    progress: &mut OnDone<'_>,
) -> Result<Option<Photos>, TrainError> {
    let chosen = records.of(purpose);
    let views = if purpose == Use::Train { config.data.views } else { std::num::NonZeroUsize::MIN };
    let kind = Kind { blocks: config.model.frozen_blocks, views, seed: config.seed };
    let folder = config.data.cache.clone().unwrap_or_else(|| out.join("features"));
    let mut features = Features::open(&folder, encoder, kind)?;
    let places: Vec<Place> = chosen.iter().map(|&at| records.list[at].place.clone()).collect();
    let Some(entries) = features.fill(&places, encoder, progress)? else { return Ok(None) };
    let mut readable = Vec::new();
    for (&at, entry) in chosen.iter().zip(entries) {
        match entry {
            Some(entry) => readable.push((at, entry)),
            None => records.skip(Reason::BadPicture),
        }
    }
    let sources = Sources::open(config, encoder)?;
    let list = sources.photos(&records.list, &readable);
    Ok(Some(Photos { list, features }))
}

/// Everything that words come from.
struct Sources<'a> {
    encoder: &'a Encoder,
    places: Places,
    classes: Classes,
    seen: HashMap<(String, String), Words>,
    /// The name of each set: its file's, without ending.
    sets: Vec<String>,
}

impl<'a> Sources<'a> {
    fn open(config: &TrainConfig, encoder: &'a Encoder) -> Result<Self, TrainError> {
        let places = Places::new(encoder);
        let open = |path| Classes::open(path, &places, encoder.vocabulary());
        let classes = config.data.classes.as_deref().map(open).transpose()?.unwrap_or_default();
        let seen = config.data.teacher.as_deref().map(|path| teacher(path, &classes));
        let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let sets = config.data.sets.iter().map(|set| name(&set.file).unwrap_or_default());
        let seen = seen.transpose()?.unwrap_or_default();
        Ok(Self { encoder, places, seen, sets: sets.collect(), classes })
    }

    fn photos(&self, records: &[Record], readable: &[(usize, u64)]) -> Vec<Photo> {
        let spelt: Vec<Vec<Caption>> =
            readable.iter().map(|&(at, _)| self.captions(&records[at])).collect();
        let captioned = readable.iter().zip(&spelt);
        let captioned = captioned.filter(|((at, _), _)| !records[*at].captions.is_empty());
        let all = captioned.flat_map(|(_, captions)| captions.iter().map(|c| c.places.as_slice()));
        let idf = Idf::new(all, self.encoder.output_tokens().len());
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut photos = Vec::with_capacity(readable.len());
        for (&(at, entry), mut captions) in readable.iter().zip(spelt) {
            let record = &records[at];
            let words = self.words(record, &captions, &idf);
            for caption in &mut captions {
                let own = idf.words(std::iter::once(caption.places.as_slice()));
                caption.words = mix(&own, OWN_WORDS, &words);
            }
            let labels = record.labels.iter().map(|label| {
                let next = numbers.len();
                *numbers.entry(label).or_insert(next)
            });
            let labels = labels.collect();
            let key = (self.sets[record.set].clone(), record.id.clone());
            let seen = self.seen.get(&key).cloned().unwrap_or_default();
            let (set, place) = (record.set, record.place.clone());
            photos.push(Photo { set, place, entry, captions, labels, words, seen });
        }
        photos
    }

    /// The captions as ids, those that its labels make where there is none.
    fn captions(&self, record: &Record) -> Vec<Caption> {
        let longest = self.encoder.config().text.max_tokens;
        let caption = |text: String| {
            let ids = self.encoder.text_ids(text.trim()).into_iter().map(|id| id.0);
            // Captions that are longer were left out; what a long label makes is cut.
            let ids: Vec<u16> = ids.take(longest).collect();
            Caption { text, places: self.places.of(&ids), ids, words: Words::new() }
        };
        if !record.captions.is_empty() {
            return record.captions.iter().cloned().map(caption).collect();
        }
        let labels = record.labels.iter();
        labels.flat_map(|label| TEMPLATES.map(|t| t.replace("{}", label))).map(caption).collect()
    }

    fn words(&self, record: &Record, captions: &[Caption], idf: &Idf) -> Words {
        if !record.captions.is_empty() {
            return idf.words(captions.iter().map(|caption| caption.places.as_slice()));
        }
        let own: Vec<u16> = record
            .labels
            .iter()
            .flat_map(|label| self.encoder.text_ids(label))
            .map(|id| id.0)
            .collect();
        self.classes.label_words(&record.labels, record.wnid.as_deref(), &self.places.of(&own))
    }
}
