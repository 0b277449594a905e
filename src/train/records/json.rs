//! JSON Lines, the `dataset_*.json` of Karpathy and Fei-Fei (CVPR 2015), COCO's caption annotations.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Raw, Reason, Skipped};
use crate::eval::Record;

/// A line of JSON Lines: what is measured on, and the class that a teacher would give.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    record: Record,
    #[serde(default)]
    wnid: Option<String>,
}

/// `{"image", "captions" and/or "labels", "id"?, "tar"?, "split"?, "wnid"?}` a line; without an id
/// the image's name is the id.
pub(super) fn lines(bytes: &[u8], skipped: &mut Skipped) -> Vec<Raw> {
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    entries(lines.map(serde_json::from_slice), skipped, |Line { record, wnid }| Raw {
        id: record.id.unwrap_or_else(|| record.image.clone()),
        image: record.image,
        tar: record.tar,
        captions: record.captions,
        labels: record.labels,
        wnid,
        split: record.split,
    })
}

/// Turns what could be read into records, and counts what could not.
fn entries<T>(
    entries: impl Iterator<Item = serde_json::Result<T>>,
    skipped: &mut Skipped,
    raw: impl Fn(T) -> Raw,
) -> Vec<Raw> {
    let mut records = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => records.push(raw(entry)),
            Err(_) => *skipped.entry(Reason::NoRecord).or_default() += 1,
        }
    }
    records
}

/// A file of either kind: COCO's has `annotations`, Karpathy's has not.
#[derive(Deserialize)]
struct Document {
    images: Vec<Value>,
    #[serde(default)]
    annotations: Option<Vec<Value>>,
}

pub(super) fn document(bytes: &[u8], skipped: &mut Skipped) -> Result<Vec<Raw>, String> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| format!("neither Karpathy's splits nor COCO's annotations: {error}"))?;
    match document.annotations {
        Some(annotations) => Ok(coco(document.images, annotations, skipped)),
        None => Ok(karpathy(document.images, skipped)),
    }
}

#[derive(Deserialize)]
struct Split {
    filename: String,
    #[serde(default)]
    filepath: Option<String>,
    #[serde(default)]
    split: Option<String>,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

fn karpathy(images: Vec<Value>, skipped: &mut Skipped) -> Vec<Raw> {
    entries(images.into_iter().map(serde_json::from_value::<Split>), skipped, |image| {
        let folder = image.filepath.filter(|folder| !folder.is_empty());
        let place = folder.map(|folder| format!("{folder}/{}", image.filename));
        Raw {
            id: image.filename.clone(),
            image: place.unwrap_or(image.filename),
            captions: image.sentences.into_iter().map(|sentence| sentence.raw).collect(),
            split: image.split,
            ..Raw::default()
        }
    })
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoCaption {
    image_id: u64,
    caption: String,
}

/// The split is in the file's name, not in it: all are for training.
fn coco(images: Vec<Value>, annotations: Vec<Value>, skipped: &mut Skipped) -> Vec<Raw> {
    let mut captions: HashMap<u64, Vec<String>> = HashMap::new();
    for annotation in annotations {
        match serde_json::from_value::<CocoCaption>(annotation) {
            Ok(said) => captions.entry(said.image_id).or_default().push(said.caption),
            Err(_) => *skipped.entry(Reason::NoRecord).or_default() += 1,
        }
    }
    entries(images.into_iter().map(serde_json::from_value::<CocoImage>), skipped, |image| Raw {
        id: image.id.to_string(),
        captions: captions.get(&image.id).cloned().unwrap_or_default(),
        image: image.file_name,
        ..Raw::default()
    })
}
