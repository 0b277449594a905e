//! How documents are spread over segments changes no answer.

use proptest::prelude::*;
use sightword_index::{Executor, SparseSearcher};

use crate::support::{
    Answer, Doc, Fields, Request, delete, docs, index_of, merge_all, request, searcher,
};

fn answers(searcher: &SparseSearcher, fields: Fields, requests: &[Request]) -> Vec<Answer> {
    let run = |request: &Request| request.run(searcher, fields, Executor::Windowed).into();
    requests.iter().map(run).collect()
}

/// The documents in about `segments` segments, every fifth deleted, and the same after a merge.
fn spread(docs: &[Doc], segments: usize, requests: &[Request]) -> [Vec<Answer>; 2] {
    let parts: Vec<_> = docs.chunks(docs.len().div_ceil(segments).max(1)).collect();
    let (index, fields, mut writer) = index_of(&parts);
    docs.iter().step_by(5).for_each(|doc| delete(&writer, fields, doc.key));
    writer.commit().unwrap();
    let before = answers(&searcher(&index, fields), fields, requests);
    merge_all(&index, &mut writer);
    [before, answers(&searcher(&index, fields), fields, requests)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_three_and_seventeen_segments_answer_alike(
        docs in docs(17..120),
        requests in proptest::collection::vec(request(), 16),
    ) {
        let [one, merged] = spread(&docs, 1, &requests);
        prop_assert_eq!(&one, &merged);
        for segments in [3, 17] {
            let [apart, merged] = spread(&docs, segments, &requests);
            prop_assert_eq!(&apart, &one, "{} segments", segments);
            prop_assert_eq!(&merged, &one, "{} segments, merged", segments);
        }
    }
}
