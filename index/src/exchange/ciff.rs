//! The Common Index File Format: an inverted index as protocol buffers, one after the other, each with
//! its length before it (Lin et al., *Supporting Interoperability Between Open-Source Search Engines
//! with the Common Index File Format*, arXiv 2003.08276; `CommonIndexFileFormat.proto`, version 1).
//!
//! A header, then a list of postings for each term, then a record for each document. Documents in a
//! list are kept as differences. Term frequencies are whole numbers: weights are written as
//! impacts, `round(weight · scale)`, and a reader gets the impacts as weights.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use prost::Message;

use super::{Document, ExchangeError, Words};
use crate::vector::TokenId;

const FORM: &str = "CIFF";

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(int32, tag = "2")]
    num_postings_lists: i32,
    #[prost(int32, tag = "3")]
    num_docs: i32,
    #[prost(int32, tag = "4")]
    total_postings_lists: i32,
    #[prost(int32, tag = "5")]
    total_docs: i32,
    #[prost(int64, tag = "6")]
    total_terms_in_collection: i64,
    #[prost(double, tag = "7")]
    average_doclength: f64,
    #[prost(string, tag = "8")]
    description: String,
}

#[derive(Clone, PartialEq, Message)]
struct Posting {
    #[prost(int32, tag = "1")]
    docid: i32,
    #[prost(int32, tag = "2")]
    tf: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PostingsList {
    #[prost(string, tag = "1")]
    term: String,
    #[prost(int64, tag = "2")]
    df: i64,
    #[prost(int64, tag = "3")]
    cf: i64,
    #[prost(message, repeated, tag = "4")]
    postings: Vec<Posting>,
}

#[derive(Clone, PartialEq, Message)]
struct DocRecord {
    #[prost(int32, tag = "1")]
    docid: i32,
    #[prost(string, tag = "2")]
    collection_docid: String,
    #[prost(int32, tag = "3")]
    doclength: i32,
}

fn wrong(what: impl Into<String>) -> ExchangeError {
    ExchangeError::form(FORM, what)
}

/// Reads all documents. Term frequencies become weights as they are.
///
/// # Errors
/// [`ExchangeError::Form`] when the file is no such index or contradicts itself, and those of
/// [`Document::new`] and [`Words`].
pub fn read(mut input: impl Read, words: &mut Words) -> Result<Vec<Document>, ExchangeError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let header: Header = next(&mut rest)?;
    if header.version != 1 {
        return Err(wrong(format!("version {}, known is 1", header.version)));
    }
    // Nothing is allocated by the numbers in the header: a list or record takes two bytes at least.
    let documents = usize::try_from(header.num_docs).ok().filter(|docs| *docs <= bytes.len());
    let documents = documents.ok_or_else(|| wrong(format!("{} documents", header.num_docs)))?;
    let mut weights = vec![Vec::new(); documents];
    for _ in 0..header.num_postings_lists {
        let list: PostingsList = next(&mut rest)?;
        let token = words.token(&list.term, &format!("of term {}", list.term))?;
        add_list(token, &list, &mut weights)?;
    }
    let mut names = vec![None; documents];
    for _ in 0..header.num_docs {
        let record: DocRecord = next(&mut rest)?;
        let name = usize::try_from(record.docid).ok().and_then(|docid| names.get_mut(docid));
        let name = name.ok_or_else(|| wrong(format!("a record of document {}", record.docid)))?;
        *name = Some(record.collection_docid);
    }
    let named = names.into_iter().zip(weights).enumerate().map(|(docid, (name, weights))| {
        let name = name.ok_or_else(|| wrong(format!("no record of document {docid}")))?;
        Document::new(name, weights)
    });
    named.collect()
}

fn next<T: Message + Default>(rest: &mut &[u8]) -> Result<T, ExchangeError> {
    T::decode_length_delimited(rest).map_err(|error| wrong(error.to_string()))
}

fn add_list(
    token: TokenId,
    list: &PostingsList,
    weights: &mut [Vec<(TokenId, f32)>],
) -> Result<(), ExchangeError> {
    let mut docid = 0_i64;
    for posting in &list.postings {
        docid += i64::from(posting.docid);
        let document = usize::try_from(docid).ok().and_then(|docid| weights.get_mut(docid));
        let document =
            document.ok_or_else(|| wrong(format!("document {docid} in {:?}", list.term)))?;
        #[expect(clippy::cast_precision_loss, reason = "impacts are quantised to 8 bits")]
        document.push((token, posting.tf as f32));
    }
    Ok(())
}

/// Writes documents with impacts `round(weight · scale)`. What rounds to 0 is left out.
///
/// # Errors
/// [`ExchangeError::Io`] when the file cannot be written, [`ExchangeError::Form`] with more documents
/// or impacts than the format counts.
pub fn write(
    documents: &[Document],
    words: &Words,
    scale: f32,
    mut output: impl Write,
) -> Result<(), ExchangeError> {
    let mut lists: BTreeMap<TokenId, Vec<(i32, i32)>> = BTreeMap::new();
    let mut records = Vec::with_capacity(documents.len());
    let count = i32::try_from(documents.len()).map_err(|_| wrong("more than 2^31 documents"))?;
    for (docid, document) in (0..count).zip(documents) {
        let mut doclength = 0_i32;
        for (token, weight) in &document.weights {
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
            let tf = (weight * scale).round() as i32;
            if tf > 0 {
                lists.entry(*token).or_default().push((docid, tf));
                doclength = doclength.saturating_add(tf);
            }
        }
        records.push(DocRecord { docid, collection_docid: document.id.clone(), doclength });
    }
    let bytes = header(&lists, &records)?.encode_length_delimited_to_vec();
    output.write_all(&bytes)?;
    for (token, postings) in &lists {
        output.write_all(&list(&words.name(*token), postings).encode_length_delimited_to_vec())?;
    }
    for record in records {
        output.write_all(&record.encode_length_delimited_to_vec())?;
    }
    Ok(())
}

fn header(
    lists: &BTreeMap<TokenId, Vec<(i32, i32)>>,
    records: &[DocRecord],
) -> Result<Header, ExchangeError> {
    let count = |len: usize| i32::try_from(len).map_err(|_| wrong("more than 2^31 of something"));
    let total: i64 = records.iter().map(|record| i64::from(record.doclength)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a mean, to be looked at")]
    let average_doclength = total as f64 / records.len().max(1) as f64;
    Ok(Header {
        version: 1,
        num_postings_lists: count(lists.len())?,
        num_docs: count(records.len())?,
        total_postings_lists: count(lists.len())?,
        total_docs: count(records.len())?,
        total_terms_in_collection: total,
        average_doclength,
        description: "impacts of learned sparse vectors, by sightword-index".to_owned(),
    })
}

fn list(term: &str, postings: &[(i32, i32)]) -> PostingsList {
    let mut previous = 0;
    let posting = |&(docid, tf): &(i32, i32)| {
        let difference = docid - previous;
        previous = docid;
        Posting { docid: difference, tf }
    };
    PostingsList {
        term: term.to_owned(),
        df: postings.len() as i64,
        cf: postings.iter().map(|(_, tf)| i64::from(*tf)).sum(),
        postings: postings.iter().map(posting).collect(),
    }
}
