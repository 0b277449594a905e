//! Every layout that the field uses, and everything that can be wrong with a record.

use super::*;

/// A folder with two pictures and one file of records.
fn folder(name: &str, text: &str) -> (tempfile::TempDir, SetPart) {
    let folder = tempfile::tempdir().unwrap();
    for picture in ["a.jpg", "b.jpg"] {
        std::fs::write(folder.path().join(picture), picture).unwrap();
    }
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    (folder, SetPart { file, pictures: None, share: 1.0 })
}

fn open(set: &SetPart) -> Result<Records, RecordsError> {
    Records::open(std::slice::from_ref(set), |text| text.split(' ').count(), 6)
}

/// `id: caption / caption` a record.
#[track_caller]
fn told(name: &str, text: &str) -> Vec<String> {
    let (_folder, set) = folder(name, text);
    let records = open(&set).unwrap();
    let line = |record: &Record| format!("{}: {}", record.id, record.captions.join(" / "));
    records.list.iter().map(line).collect()
}

#[test]
fn captions_come_from_karpathys_splits() {
    let text = r#"{"dataset": "flickr8k", "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "a dog"}, {"raw": "a cat"}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "never read"}]}]}"#;
    assert_eq!(told("dataset_flickr8k.json", text), ["a.jpg: a dog / a cat"]);
}

#[test]
fn captions_come_from_cocos_annotations() {
    let text = r#"{"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 8, "caption": "b1"}, {"image_id": 7, "caption": "a1"},
                        {"image_id": 8, "caption": "b2"}]}"#;
    assert_eq!(told("captions_train2017.json", text), ["7: a1", "8: b1 / b2"]);
}

#[test]
fn captions_come_from_tables() {
    let tabs = "a.jpg#0\tA dog, \"so called\" .\na.jpg#1\tTwo\nb.jpg#0\tA cat\n";
    let expected = ["a.jpg: A dog, \"so called\" . / Two", "b.jpg: A cat"];
    assert_eq!(told("Flickr8k.token.txt", tabs), expected);
    let commas = "image,caption\na.jpg,\"A dog, running\"\nb.jpg,A cat\n";
    assert_eq!(told("captions.txt", commas), ["a.jpg: A dog, running", "b.jpg: A cat"]);
    let bars =
        "image_name| comment_number| comment\na.jpg| 0| A dog , it \"runs\" .\na.jpg| 1| Two\n";
    assert_eq!(told("results.csv", bars), ["a.jpg: A dog , it \"runs\" . / Two"]);
}

#[test]
fn what_is_broken_is_left_out_and_counted() {
    let lines = [
        r#"{"id": "a", "image": "a.jpg", "captions": ["a dog", " ", "one two three four five six seven"]}"#,
        r#"{"id": "a", "image": "b.jpg", "captions": ["again"]}"#,
        r#"{"id": "c", "image": "c.jpg", "captions": ["not there"]}"#,
        r#"{"id": "d", "image": "b.jpg", "captions": [], "labels": []}"#,
        r#"{"id": "e", "image": "b.jpg", "labels": ["cat"], "split": "dev"}"#,
        r#"{"id": "f", "image": "#,
        r#"{"id": "g", "image": "b.jpg", "captions": ["a test photo"], "split": "test"}"#,
    ];
    let (_folder, set) = folder("photos.jsonl", &lines.join("\n"));
    let records = open(&set).unwrap();
    let ids: Vec<_> = records.list.iter().map(|record| (&*record.id, record.purpose)).collect();
    assert_eq!(ids, [("a", Use::Train), ("e", Use::Dev)]);
    assert_eq!(records.list[0].captions, ["a dog"]);
    let counted = [
        (Reason::NoRecord, 1),
        (Reason::DuplicateId, 1),
        (Reason::NoPicture, 1),
        (Reason::NoWords, 1),
        (Reason::EmptyCaption, 1),
        (Reason::LongCaption, 1),
    ];
    assert_eq!(records.skipped, BTreeMap::from(counted));
}

#[test]
fn a_file_of_no_known_layout_is_named() {
    for (name, text) in [("a.csv", "what;ever\n"), ("a.json", "[]"), ("a.xml", "<a/>")] {
        let (_folder, set) = folder(name, text);
        let told = open(&set).unwrap_err().to_string();
        assert!(told.contains(name), "{told}");
    }
}
