//! What is found, in which order, and why.

use std::{fs, sync::LazyLock};

use sightword::{
    collection::{
        Collection, CollectionError, Like, PictureRef, SearchReply, SearchRequest, Sort, Verdict,
    },
    query::parse,
};

use super::support::{Album, id_of, likes, picture, refresh, with_token};

/// One album for all tests that only search.
static SHARED: LazyLock<(Album, Collection)> = LazyLock::new(|| {
    Album::indexed(&[("a.bmp", 1), ("2021/b.bmp", 2), ("2021/c.bmp", 3), ("d.bmp", 4)])
});

/// A word that the pictures have: the heaviest of the first one.
fn word(collection: &Collection, album: &Album) -> String {
    let tokens = collection.tokens_of(&PictureRef::Path(album.path("a.bmp"))).unwrap();
    assert!(tokens.indexed);
    tokens.tokens[0].token.clone()
}

fn paths(reply: &SearchReply) -> Vec<String> {
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    reply.hits.iter().map(|hit| name(&hit.paths[0])).collect()
}

#[test]
fn every_score_is_the_sum_of_its_terms_as_whole_numbers_and_as_shown() {
    let (album, collection) = &*SHARED;
    for name in ["a.bmp", "2021/b.bmp"] {
        let reply = likes(collection, &album.path(name));
        assert_eq!(reply.hits.len(), 4);
        for hit in &reply.hits {
            let whole: u32 = hit.terms.iter().map(|term| term.product).sum();
            assert_eq!(whole, hit.score.whole);
            let cents = |shown: f64| format!("{shown:.2}").replace('.', "").parse::<i64>().unwrap();
            let shown: i64 = hit.terms.iter().map(|term| cents(term.shown)).sum();
            assert_eq!(shown, cents(hit.score.shown));
            assert!(hit.terms.is_sorted_by(|a, b| a.product >= b.product));
            assert!(hit.terms.iter().all(|term| !term.patches.is_empty()));
        }
    }
}

#[test]
fn a_picture_is_most_like_itself_and_ranks_fall() {
    let (album, collection) = &*SHARED;
    let reply = likes(collection, &album.path("2021/b.bmp"));
    assert_eq!(reply.hits[0].paths, [album.path("2021/b.bmp")]);
    assert!(reply.hits.is_sorted_by(|a, b| a.score.whole >= b.score.whole));
    let ranks: Vec<u64> = reply.hits.iter().map(|hit| hit.rank).collect();
    assert_eq!(ranks, [1, 2, 3, 4]);
    assert_eq!((reply.matched, reply.verdict), (4, Verdict::Some));
}

#[test]
fn pages_continue_each_other() {
    let (album, collection) = &*SHARED;
    let mut request = SearchRequest::default();
    request.like = Some(Like::Path(album.path("a.bmp")));
    request.all = true;
    let all = collection.search(&request).unwrap();
    request.k = 2;
    let first = collection.search(&request).unwrap();
    request.offset = 2;
    let second = collection.search(&request).unwrap();
    assert_eq!([first.hits, second.hits].concat(), all.hits);
    assert_eq!((first.matched, second.matched), (4, 4));
}

#[test]
fn a_picture_can_be_named_by_the_beginning_of_its_id() {
    let (album, collection) = &*SHARED;
    let by_path = likes(collection, &album.path("a.bmp"));
    let mut request = SearchRequest::default();
    request.all = true;
    let id = id_of(collection, &album.path("a.bmp"));
    request.like = Some(Like::Id(id.to_string()));
    assert_eq!(collection.search(&request).unwrap().hits, by_path.hits);
    request.like = Some(Like::Id(id.hex()));
    assert_eq!(collection.search(&request).unwrap().hits, by_path.hits);
    for (id, expected) in
        [("b3:zz", "hexadecimal"), ("b3:", "hexadecimal"), ("ffffffffffff", "no picture")]
    {
        request.like = Some(Like::Id(id.into()));
        let text = collection.search(&request).unwrap_err().to_string();
        assert!(text.contains(expected), "{id}: {text}");
    }
}

#[test]
fn an_id_that_could_be_several_is_an_error_with_the_candidates() {
    let album = Album::new();
    // Of 17 contents, two begin with the same digit; encoding is not needed to know which.
    let mut by_digit = std::collections::HashMap::new();
    for seed in 0..=16 {
        let bytes = picture(seed);
        let digit = sightword::ingest::ContentId::of(&bytes).hex()[..1].to_owned();
        if let Some(other) = by_digit.insert(digit.clone(), seed) {
            album.draw("a.bmp", other);
            album.draw("b.bmp", seed);
            let mut collection = album.create();
            refresh(&mut collection);
            let error = collection.tokens_of(&PictureRef::Id(digit.clone())).unwrap_err();
            assert!(
                matches!(&error, CollectionError::AmbiguousId { candidates, .. } if candidates.len() == 2)
            );
            // The one that is gone is no candidate.
            album.remove("b.bmp");
            refresh(&mut collection);
            let found = collection.tokens_of(&PictureRef::Id(digit)).unwrap();
            assert_eq!(found.paths, [album.path("a.bmp")]);
            return;
        }
    }
    unreachable!("17 contents, 16 digits");
}

#[test]
fn a_file_that_is_not_indexed_can_be_searched_with_and_explained() {
    let (album, collection) = &*SHARED;
    let outside = album.temp.path().join("outside.bmp");
    fs::write(&outside, picture(9)).unwrap();
    let reply = likes(collection, &outside);
    assert_eq!(reply.hits.len(), 4);
    let word = word(collection, album);
    let explained =
        collection.explain(&with_token(&word, ""), &PictureRef::Path(outside.clone())).unwrap();
    assert!(!explained.indexed);
    let score = explained.hit.score.whole;
    let all = collection.search(&with_token(&word, "")).unwrap();
    let above = all.hits.iter().filter(|hit| hit.score.whole > score).count() as u64;
    if score > 0 {
        let rank = explained.rank.unwrap();
        assert!(rank > above && rank <= all.matched + 1, "rank {rank}, {above} above");
    } else {
        assert_eq!((explained.rank, explained.missing.len()), (None, 1));
    }
}

#[test]
fn an_explanation_agrees_with_the_search() {
    let (album, collection) = &*SHARED;
    let request = with_token(&word(collection, album), "");
    let reply = collection.search(&request).unwrap();
    for hit in &reply.hits {
        let explained = collection.explain(&request, &PictureRef::Id(hit.id.hex())).unwrap();
        assert_eq!(explained.hit, *hit);
        assert_eq!((explained.rank, explained.matched), (Some(hit.rank), reply.matched));
        assert!(explained.indexed && explained.is_hit());
        assert!(explained.missing.is_empty() && explained.excluded_by.is_empty());
    }
}

#[test]
fn an_explanation_of_a_miss_says_what_kept_it_out() {
    let (album, collection) = &*SHARED;
    let (word, picture) = (word(collection, album), PictureRef::Path(album.path("a.bmp")));
    let explain = |rest: &str| collection.explain(&with_token(&word, rest), &picture).unwrap();

    let excluded = explain(&format!("-{word}"));
    assert_eq!((excluded.rank, excluded.excluded_by), (None, vec![word.clone()]));
    let filtered = explain("path:2021 size:<1kb after:2020");
    assert_eq!(filtered.rank, None);
    assert_eq!(filtered.filtered_by, ["path:2021", "size:<1000b", "after:2020-01-01"]);
    let own = collection.tokens_of(&picture).unwrap().tokens;
    let absent = ["dog", "bicycle", "pizza"];
    let absent = absent.iter().find(|word| own.iter().all(|own| own.token != **word)).unwrap();
    let missing = collection.explain(&with_token(absent, ""), &picture).unwrap();
    assert_eq!((missing.rank, missing.hit.score.whole), (None, 0));
    assert_eq!(missing.missing[0].token, *absent);
    assert!(!missing.is_hit());
}

#[test]
fn an_exclusion_is_hard_and_counted() {
    let (album, collection) = &*SHARED;
    let word = word(collection, album);
    let all = collection.search(&with_token(&word, "")).unwrap();
    let none = collection.search(&with_token(&word, &format!("-{word}"))).unwrap();
    assert_eq!((none.matched, none.excluded), (0, all.matched));
    assert_eq!((none.hits.len(), none.verdict), (0, Verdict::None));
    assert_eq!(none.query.excluded, [word]);
}

#[test]
fn filters_come_before_the_best_are_chosen() {
    let (album, collection) = &*SHARED;
    let mut request = SearchRequest::default();
    request.like = Some(Like::Path(album.path("a.bmp")));
    request.all = true;
    request.k = 2;
    for (filter, expected) in [
        ("path:2021", vec!["b.bmp", "c.bmp"]),
        ("path:*/b.*", vec!["b.bmp"]),
        ("path:2021/**", vec!["b.bmp", "c.bmp"]),
        ("path:nowhere", vec![]),
        ("size:>=32x32 path:2021", vec!["b.bmp", "c.bmp"]),
        ("size:>32x32", vec![]),
        ("size:<10kb path:b", vec!["a.bmp"]),
        ("camera:canon", vec![]),
        ("after:1990", vec![]),
        ("before:2090", vec![]),
        ("near:48.9,2.3,100", vec![]),
    ] {
        request.query = parse(filter).unwrap();
        let reply = collection.search(&request).unwrap();
        let mut found = paths(&reply);
        found.sort();
        if filter == "size:<10kb path:b" {
            // `b` is in every name: .bmp. What counts is that two hits stay two.
            assert_eq!((found.len(), reply.matched), (2, 4));
        } else {
            assert_eq!(found, expected, "{filter}");
            assert_eq!(reply.matched, expected.len() as u64, "{filter}");
        }
    }
}

#[test]
fn hits_can_be_sorted_by_path() {
    let (album, collection) = &*SHARED;
    let mut request = SearchRequest::default();
    request.like = Some(Like::Path(album.path("d.bmp")));
    request.all = true;
    request.sort = Sort::Path;
    assert_eq!(paths(&collection.search(&request).unwrap()), ["b.bmp", "c.bmp", "a.bmp", "d.bmp"]);
    (request.k, request.offset) = (2, 1);
    assert_eq!(paths(&collection.search(&request).unwrap()), ["c.bmp", "a.bmp"]);
    request.sort = Sort::Date;
    assert_eq!(collection.search(&request).unwrap().hits.len(), 2);
}

#[test]
fn too_little_coverage_is_no_match_but_the_nearest_is_named() {
    let (album, collection) = &*SHARED;
    let word = word(collection, album);
    let mut request = with_token(&word, "");
    request.all = false;
    request.min_match = Some(1.0);
    let best = collection.search(&with_token(&word, "")).unwrap().hits[0].clone();
    let reply = collection.search(&request).unwrap();
    if best.coverage < 1.0 {
        assert_eq!((reply.verdict, reply.matched, reply.hits.len()), (Verdict::None, 0, 0));
        assert_eq!(reply.nearest.unwrap(), best);
    }
    // Exactly the best one's coverage lets it pass.
    request.min_match = Some(best.coverage);
    let reply = collection.search(&request).unwrap();
    assert_eq!((reply.verdict, reply.hits[0].id), (Verdict::Some, best.id));
    assert!(reply.hits.iter().all(|hit| hit.coverage >= best.coverage));
}

#[test]
fn a_query_without_words_is_an_error() {
    let (_, collection) = &*SHARED;
    let request = SearchRequest::new(parse("-dog path:2021").unwrap());
    assert!(matches!(collection.search(&request), Err(CollectionError::Query(_))));
}

#[test]
fn a_search_by_text_runs_in_both_modes() {
    let (_, collection) = &*SHARED;
    for mode in [sightword::query::QueryMode::Tower, sightword::query::QueryMode::Table] {
        let mut request = SearchRequest::new(parse("a red square on stripes").unwrap());
        (request.mode, request.all) = (mode, true);
        let reply = collection.search(&request).unwrap();
        assert!(!reply.query.tokens.is_empty());
        assert!(reply.query.tokens.is_sorted_by(|a, b| a.weight >= b.weight));
    }
}

#[test]
fn what_is_exported_is_what_is_searched() {
    let (album, collection) = &*SHARED;
    let exported: Vec<_> = collection.export().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(exported.len(), 4);
    assert!(exported.is_sorted_by(|a, b| a.id < b.id));
    let tokens = collection.tokens_of(&PictureRef::Path(album.path("a.bmp"))).unwrap();
    let same = exported.iter().find(|picture| picture.id == tokens.id).unwrap();
    assert_eq!(same.vector.len(), tokens.tokens.len());
    assert_eq!(same.size, (32, 32));
}

#[test]
fn info_counts_pictures_files_and_words() {
    let (album, collection) = &*SHARED;
    let info = collection.info().unwrap();
    assert_eq!((info.images, info.files, info.gone, info.segments), (4, 4, 0, 1));
    assert_eq!(info.roots[0].path, album.root());
    assert!(info.roots[0].available && info.last_commit.is_some());
    assert!(info.bytes > info.inverted_bytes + info.forward_bytes);
    let exported: usize = collection.export().unwrap().map(|p| p.unwrap().vector.len()).sum();
    assert_eq!(info.postings, exported as u64);
    assert!((info.tokens_per_image - exported as f64 / 4.0).abs() < 1e-9);
    let words: u64 = info.histogram.iter().map(|bucket| bucket.tokens).sum();
    assert!(words > 0 && words <= info.postings);
}
