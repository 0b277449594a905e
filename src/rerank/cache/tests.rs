use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{FeatureWriter, QueryInput, Question, RerankError};
use super::*;
use crate::ingest::Picture;

/// Features of `0` values.
struct Sized(usize);

impl Reranker for Sized {
    fn name(&self) -> &str {
        "sized"
    }

    fn hash(&self) -> &str {
        "sized"
    }

    fn feature_len(&self) -> usize {
        self.0
    }

    fn prepare(&self, _: &[Picture]) -> Result<Vec<Features>, RerankError> {
        Ok(Vec::new())
    }

    fn read(&self, _: &QueryInput<'_>) -> Result<Question, RerankError> {
        Ok(Question(Vec::new()))
    }

    fn score(&self, _: &Question, _: &[Features]) -> Result<Vec<f32>, RerankError> {
        Ok(Vec::new())
    }
}

const RERANKER: Sized = Sized(6);

fn id(number: u16) -> ContentId {
    ContentId::of(&number.to_le_bytes())
}

fn features(number: u16) -> Features {
    Features((0..6).map(|at| f16::from_f32(f32::from(number) + at as f32 / 8.0)).collect())
}

fn write(folder: &Path, numbers: impl Iterator<Item = u16>) {
    let mut writer = FeatureWriter::open(folder, &RERANKER).unwrap();
    for number in numbers {
        writer.put(id(number), &features(number)).unwrap();
    }
    writer.commit().unwrap();
}

fn open(folder: &Path) -> FeatureCache {
    FeatureCache::open(folder, &RERANKER).unwrap()
}

#[test]
fn what_was_committed_is_found_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    assert!(open(folder.path()).is_empty(), "a folder without a file holds nothing");
    assert!(open(&folder.path().join("missing")).is_empty(), "nor does none");
    // More than a block, in three runs.
    write(folder.path(), 0..3);
    write(folder.path(), 1..1024);
    write(folder.path(), 1000..1030);
    let cache = open(folder.path());
    assert_eq!(cache.len(), 1030);
    for number in 0..1030 {
        assert_eq!(cache.get(id(number)), Some(features(number)), "{number}");
    }
    assert!(cache.get(id(2000)).is_none() && !cache.contains(id(2000)));
}

#[test]
fn a_reader_keeps_what_it_opened_and_the_next_one_sees_more() {
    let folder = TempDir::new().unwrap();
    let mut writer = FeatureWriter::open(folder.path(), &RERANKER).unwrap();
    writer.put(id(1), &features(1)).unwrap();
    assert!(open(folder.path()).is_empty(), "nothing counts before the commit");
    writer.commit().unwrap();
    let before = open(folder.path());
    writer.put(id(2), &features(2)).unwrap();
    writer.commit().unwrap();
    assert_eq!((before.get(id(1)), before.get(id(2))), (Some(features(1)), None));
    assert_eq!(open(folder.path()).get(id(2)), Some(features(2)));
}

#[test]
fn what_was_not_committed_is_written_over() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), 0..2);
    let mut killed = FeatureWriter::open(folder.path(), &RERANKER).unwrap();
    killed.put(id(7), &features(7)).unwrap();
    drop(killed);
    write(folder.path(), 2..5);
    let cache = open(folder.path());
    assert!(cache.len() == 5 && (0..5).all(|number| cache.get(id(number)).is_some()));
}

#[test]
fn a_torn_value_at_the_end_is_cut_off_and_stored_again() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), 0..3);
    let path = open(folder.path()).place.path();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    assert_eq!(open(folder.path()).get(id(2)), None);
    write(folder.path(), 2..4);
    let cache = open(folder.path());
    assert!((0..4).all(|number| cache.get(id(number)) == Some(features(number))));
}

#[test]
fn another_size_or_a_damaged_header_is_told_and_made_anew() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), 0..3);
    let path = open(folder.path()).place.path();
    let error = FeatureCache::open(folder.path(), &Sized(7)).err().unwrap().to_string();
    assert!(
        error.contains(path.to_str().unwrap()) && error.contains("--rerank-features"),
        "{error}"
    );
    fs::write(&path, b"swfeat").unwrap();
    assert!(FeatureCache::open(folder.path(), &RERANKER).is_err());
    write(folder.path(), 5..6);
    let cache = open(folder.path());
    assert_eq!((cache.len(), cache.get(id(5))), (1, Some(features(5))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_never_give_wrong_features(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = TempDir::new().unwrap();
        write(folder.path(), 0..5);
        let path = open(folder.path()).place.path();
        let mut bytes = fs::read(&path).unwrap();
        // The bytes that hold something: header, the first keys, the values.
        let keys = usize::try_from(HEADER_BYTES).unwrap();
        let values = keys + usize::try_from(KEYS_BYTES).unwrap();
        let parts = [0..60, keys..keys + 6 * KEY_BYTES, values..bytes.len()];
        let places: Vec<usize> = parts.into_iter().flatten().collect();
        for (at, byte) in changes {
            bytes[places[at.index(places.len())]] = byte;
        }
        bytes.truncate(length.map_or(bytes.len(), |length| length.index(bytes.len())));
        fs::write(&path, bytes).unwrap();

        let holds = |cache: FeatureCache| {
            (0..5).all(|number| {
                cache.get(id(number)).is_none_or(|found| found == features(number))
            })
        };
        if let Ok(cache) = FeatureCache::open(folder.path(), &RERANKER) {
            prop_assert!(holds(cache));
        }
        write(folder.path(), 5..8);
        let cache = open(folder.path());
        prop_assert!((5..8).all(|number| cache.get(id(number)) == Some(features(number))));
        prop_assert!(holds(cache));
    }
}
