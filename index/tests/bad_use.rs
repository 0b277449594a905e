//! Wrong schemas, wrong values, wrong directories: an error that names what is wrong.

use sightword_index::{
    FieldParams, OpenError, SearchError, SparseSearcher, SparseVector, TokenId, add_sparse_field,
    add_vector, create_in, create_in_dir, create_in_ram, field_params, open_in, open_in_dir,
    sparse_field,
};
use tantivy::directory::RamDirectory;
use tantivy::schema::{FAST, INDEXED, STORED, Schema};
use tantivy::{DocAddress, Index, IndexSettings, TantivyDocument, TantivyError};

use crate::support::{Doc, VOCAB, index_of, schema, searcher, writer};

fn params(vocab: u32, scale: f32) -> FieldParams {
    FieldParams { vocab, scale, model: "a \"model\"\n".to_owned() }
}

fn one(token: u16) -> SparseVector {
    SparseVector::new([(TokenId(token), 1)]).unwrap()
}

#[test]
fn parameters_come_back_from_the_schema_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut builder = Schema::builder();
    let field = add_sparse_field(&mut builder, "words", &params(30_522, 0.1));
    drop(create_in_dir(directory.path(), builder.build()).unwrap());
    let schema = open_in_dir(directory.path()).unwrap().schema();
    assert_eq!(field_params(&schema, field).unwrap(), params(30_522, 0.1));
    assert_eq!(sparse_field(&schema).unwrap().0, field);
}

#[test]
fn parameters_out_of_range_are_named() {
    let cases = [
        (params(0, 1.0), "vocab"),
        (params(65_537, 1.0), "vocab"),
        (params(9, 0.0), "scale"),
        (params(9, f32::NAN), "scale"),
    ];
    for (params, name) in cases {
        let mut builder = Schema::builder();
        add_sparse_field(&mut builder, "words", &params);
        let error = create_in_ram(builder.build()).unwrap_err().to_string();
        assert!(error.contains("words") && error.contains(name), "{error}");
    }
}

#[test]
fn a_schema_has_exactly_one_sparse_field() {
    let error = create_in_ram(Schema::builder().build()).unwrap_err();
    assert!(matches!(error, OpenError::FieldCount { found: 0 }));
    let mut builder = Schema::builder();
    add_sparse_field(&mut builder, "a", &params(9, 1.0));
    add_sparse_field(&mut builder, "b", &params(9, 1.0));
    let error = create_in_ram(builder.build()).unwrap_err();
    assert!(matches!(error, OpenError::FieldCount { found: 2 }));
}

#[test]
fn another_version_of_the_field_is_refused_by_name() {
    let schema: Schema = {
        let mut builder = Schema::builder();
        add_sparse_field(&mut builder, "words", &params(9, 1.0));
        builder.build()
    };
    let directory = RamDirectory::create();
    drop(create_in(directory.clone(), schema).unwrap());
    let meta = tantivy::Directory::atomic_read(&directory, "meta.json".as_ref()).unwrap();
    let meta = String::from_utf8(meta).unwrap().replace("sightword.v1", "sightword.v2");
    tantivy::Directory::atomic_write(&directory, "meta.json".as_ref(), meta.as_bytes()).unwrap();
    let error = open_in(directory).unwrap_err();
    assert!(
        matches!(&error, OpenError::Format { found, .. } if found == "sightword.v2"),
        "{error}"
    );
}

#[test]
fn a_folder_without_an_index_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_path_buf(), directory.path().join("missing")] {
        let error = open_in_dir(&path).unwrap_err();
        assert!(
            matches!(&error, OpenError::NoIndex { directory } if *directory == path),
            "{error}"
        );
    }
}

#[test]
fn an_index_is_not_made_over_another() {
    let directory = tempfile::tempdir().unwrap();
    create_in_dir(directory.path(), schema().0).unwrap();
    let error = create_in_dir(directory.path(), schema().0).unwrap_err();
    assert!(matches!(error, OpenError::Tantivy(TantivyError::IndexAlreadyExists)), "{error}");
}

#[test]
fn a_writer_without_the_plugin_fails_closed() {
    let directory = RamDirectory::create();
    drop(create_in(directory.clone(), schema().0).unwrap());
    let without = Index::open(directory).unwrap();
    let error = without.writer_with_num_threads::<TantivyDocument>(1, 15_000_000).err().unwrap();
    assert!(
        matches!(&error, TantivyError::MissingPlugin(files) if files.contains("swx")),
        "{error}"
    );
}

#[test]
fn the_writer_refuses_bad_values_and_keeps_what_was_committed() {
    let (index, fields, mut good) = index_of(&[&[Doc { key: 1, group: 0, vector: Some(one(3)) }]]);
    good.commit().unwrap();
    drop(good);
    let mut beyond = TantivyDocument::new();
    add_vector(&mut beyond, fields.vector, &one(u16::try_from(VOCAB).unwrap()));
    let mut twice = TantivyDocument::new();
    add_vector(&mut twice, fields.vector, &one(1));
    add_vector(&mut twice, fields.vector, &one(2));
    let mut garbage = TantivyDocument::new();
    garbage.add_custom(fields.vector, &[7]);
    for mut doc in [beyond, twice, garbage] {
        doc.add_u64(fields.key, 2);
        let mut writer = writer(&index);
        writer.add_document(doc).unwrap();
        assert!(writer.commit().is_err());
    }
    assert_eq!(searcher(&index, fields).stats().docs, 1);
}

#[test]
fn the_key_must_be_one_fast_number_in_every_document() {
    let mut builder = Schema::builder();
    let slow = builder.add_u64_field("slow", INDEXED | STORED);
    let signed = builder.add_i64_field("signed", FAST);
    let fast = builder.add_u64_field("fast", FAST);
    let vector = add_sparse_field(&mut builder, "vector", &params(9, 1.0));
    let index = create_in_ram(builder.build()).unwrap();
    let mut writer = writer(&index);
    let mut doc = TantivyDocument::new();
    doc.add_u64(slow, 1);
    doc.add_i64(signed, 1);
    writer.add_document(doc).unwrap();
    writer.commit().unwrap();
    let searcher = index.reader().unwrap().searcher();
    for (key, name) in [(slow, "slow"), (signed, "signed"), (fast, "fast")] {
        let error = SparseSearcher::open(&searcher, vector, key).err().unwrap();
        assert!(matches!(&error, OpenError::Key { field, .. } if field == name), "{error}");
    }
    let error = SparseSearcher::open(&searcher, fast, fast).err().unwrap();
    assert!(matches!(&error, OpenError::NotSparse { field } if field == "fast"), "{error}");
}

#[test]
fn an_index_that_reorders_documents_is_refused_when_it_writes() {
    let (schema, fields) = schema();
    let mut index = create_in_ram(schema).unwrap();
    *index.settings_mut() = IndexSettings {
        sort_by_field: Some(tantivy::IndexSortByField {
            field: "group".to_owned(),
            order: tantivy::Order::Asc,
        }),
        ..IndexSettings::default()
    };
    let mut writer = writer(&index);
    for (key, group) in [(1, 5), (2, 3)] {
        let doc = Doc { key, group, vector: Some(one(1)) };
        writer.add_document(doc.to_tantivy(fields)).unwrap();
    }
    assert!(writer.commit().is_err());
}

#[test]
fn an_address_without_a_document_is_an_error() {
    let (index, fields, _writer) = index_of(&[&[Doc { key: 1, group: 0, vector: None }]]);
    let searcher = searcher(&index, fields);
    assert!(searcher.vector(DocAddress::new(0, 0)).unwrap().is_empty());
    for address in [DocAddress::new(0, 1), DocAddress::new(1, 0)] {
        let error = searcher.vector(address).unwrap_err();
        assert!(matches!(error, SearchError::NoDocument { .. }), "{error}");
    }
}

#[test]
fn an_index_without_documents_finds_nothing() {
    let (index, fields, _writer) = index_of(&[]);
    let searcher = searcher(&index, fields);
    let query = sightword_index::SparseQuery::new(vec![(TokenId(1), 1)], vec![]).unwrap();
    let result = searcher.search(&query, &sightword_index::SearchOptions::default()).unwrap();
    assert_eq!((result.hits.len(), result.matched), (0, 0));
    assert_eq!(searcher.stats().segments, 0);
}
