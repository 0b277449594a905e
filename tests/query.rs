//! The query language, as a user types it.

use std::sync::LazyLock;

use proptest::prelude::*;
use sightword::encode::Encoder;
use sightword::query::{
    CompileError, CompiledQuery, Filter, MAX_WEIGHT, ParsedQuery, Problem, QueryMode, compile,
    parse,
};
use sightword_index::{SparseVector, TokenId};

fn parsed(text: &str) -> ParsedQuery {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn problem(text: &str) -> (usize, Problem) {
    let error = parse(text).expect_err(text);
    (error.at, error.problem)
}

#[test]
fn a_caption_is_a_query_as_it_stands() {
    for text in ["A dog runs.", "t-shirt: red", "note: a cat, isn't it?", "50% off & more", "犬"] {
        assert_eq!(parsed(text), ParsedQuery::plain(text));
    }
    assert_eq!(parsed("  a \t dog\n"), ParsedQuery::plain("a dog"));
    assert!(parsed("").is_empty());
}

#[test]
fn words_and_phrases_are_excluded() {
    let query = parsed(r#"dog on a beach -surfboard -"hot dog""#);
    assert_eq!(query.text, "dog on a beach");
    assert_eq!(query.excluded, ["surfboard", "hot dog"]);
}

#[test]
fn words_and_phrases_carry_weights() {
    let query = parsed(r#"dog^2 on "a red beach"^0.5 sand"#);
    assert_eq!(query.text, "dog on a red beach sand");
    let boosts: Vec<_> = query.boosts.iter().map(|boost| (&*boost.word, boost.factor)).collect();
    assert_eq!(boosts, [("dog", 2.0), ("a red beach", 0.5)]);
    for boost in &query.boosts {
        assert_eq!(query.text[boost.range.clone()], boost.word);
    }
}

#[test]
fn quotes_make_operators_plain() {
    let query = parsed(r#""-5 degrees" "2^3" "path:x""#);
    assert_eq!(query, ParsedQuery::plain("-5 degrees 2^3 path:x"));
}

#[test]
fn filters_take_plain_and_quoted_values() {
    let query = parsed(r#"dog path:"my photos/2021" camera:pixel after:1970-01-02 before:1971"#);
    assert_eq!(query.text, "dog");
    let expected = [
        Filter::Path("my photos/2021".into()),
        Filter::Camera("pixel".into()),
        Filter::After(86_400),
        Filter::Before(365 * 86_400),
    ];
    assert_eq!(query.filters, expected);
    assert!(matches!(parsed("x size:>=1920x1080").filters[..], [Filter::Size(_)]));
    assert!(matches!(parsed("x near:48.86,2.35,5").filters[..], [Filter::Near { .. }]));
}

#[test]
fn json_gives_raw_token_weights() {
    let query = parsed(" {\"dog\": 2, \"##board\": 0.5} path:2021 -cat");
    assert_eq!(query.weights, [("dog".to_owned(), 2.0), ("##board".to_owned(), 0.5)]);
    assert_eq!(query.excluded, ["cat"]);
    assert_eq!(query.filters, [Filter::Path("2021".into())]);
    assert!(query.text.is_empty());
}

#[test]
fn an_incomplete_operator_is_an_error_at_its_place() {
    assert_eq!(problem("dog - cat"), (4, Problem::LoneDash));
    assert_eq!(problem("dog -"), (4, Problem::LoneDash));
    assert_eq!(problem("dog -..."), (4, Problem::NothingToExclude));
    assert_eq!(problem(r#"dog -"""#), (4, Problem::NothingToExclude));
    assert_eq!(problem("dog -cat^2"), (8, Problem::WeightedExclusion));
    assert_eq!(problem(r#"dog -"a cat"^2"#), (12, Problem::WeightedExclusion));
    assert_eq!(problem("^2"), (0, Problem::NothingToWeigh));
    assert_eq!(problem(r#"a "red dog"#), (2, Problem::OpenQuotes));
    assert_eq!(problem(r#"a """#), (2, Problem::EmptyQuotes));
    assert_eq!(problem("dog -path:x"), (4, Problem::ExcludedFilter { name: "path".into() }));
    assert_eq!(problem(r#"{"dog": 2} cat"#), (11, Problem::WordsAfterJson));
}

#[test]
fn weights_must_be_numbers_in_range() {
    for weight in ["", "0", "0.0", "-1", "nan", "NaN", "inf", "1e2", "100.5", "1.2.3", "x", "."] {
        for text in [format!("dog^{weight}"), format!("\"a dog\"^{weight}")] {
            assert!(matches!(problem(&text).1, Problem::BadWeight { .. }), "{text}");
        }
    }
    assert!((parsed("dog^100").boosts[0].factor - MAX_WEIGHT).abs() < f32::EPSILON);
}

#[test]
fn filter_values_must_make_sense() {
    for text in
        ["after:", "after:yesterday", "before:2021-13", "size:2mp", "near:1,2", "path:[", "camera:"]
    {
        assert!(matches!(problem(text), (at, Problem::BadFilter { .. }) if at > 0), "{text}");
    }
}

#[test]
fn json_that_is_no_object_of_weights_is_an_error() {
    for text in ["{", "{}", r#"{"dog"}"#, r#"{"dog": "x"}"#, r#"{"dog": 1, "dog": 2}"#, "{dog: 1}"]
    {
        assert!(matches!(problem(text).1, Problem::BadJson { .. }), "{text}");
    }
    for text in [r#"{"dog": 0}"#, r#"{"dog": -1}"#, r#"{"dog": 101}"#] {
        assert!(matches!(problem(text).1, Problem::BadWeight { .. }), "{text}");
    }
}

#[test]
fn the_caret_stands_below_the_problem() {
    let error = parse("perro - ñandú").expect_err("lone dash");
    assert_eq!(error.caret(), "perro - ñandú\n      ^");
    let error = parse("ñandú - perro").expect_err("lone dash");
    assert_eq!(error.caret(), "ñandú - perro\n      ^");
}

#[test]
fn a_long_query_is_cut_around_the_problem() {
    let error = parse(&format!("{} - {}", "a ".repeat(500), "b ".repeat(500))).expect_err("dash");
    let caret = error.caret();
    let [shown, below] = caret.lines().collect::<Vec<_>>()[..] else { panic!("{caret}") };
    assert!(shown.starts_with('…') && shown.ends_with('…') && shown.chars().count() < 80);
    assert_eq!(shown.chars().nth(below.len() - 1), Some('-'));
}

proptest! {
    #[test]
    fn parse_never_panics(text in ".*") {
        if let Err(error) = parse(&text) {
            prop_assert!(text.is_char_boundary(error.at));
            prop_assert_eq!(error.caret().lines().count(), 2);
        }
    }

    #[test]
    fn parse_never_panics_on_operators(
        text in r#"([-^":{},.<>\[\]*x0-9é\n ]|path|size|near|after|camera|\{"a":){0,24}"#,
    ) {
        if let Err(error) = parse(&text) {
            prop_assert!(text.is_char_boundary(error.at));
            prop_assert_eq!(error.caret().lines().count(), 2);
        }
    }

    #[test]
    fn a_printed_weight_is_read_back_the_same(weight in 1e-6f32..=MAX_WEIGHT) {
        let read = parsed(&format!("dog^{weight}")).boosts[0].factor;
        prop_assert_eq!(read.to_bits(), weight.to_bits());
        let json = format!("{{\"dog\": {weight}}}");
        prop_assert_eq!(parsed(&json).weights[0].1.to_bits(), weight.to_bits());
    }

    #[test]
    fn boosts_know_where_their_words_stand(words in prop::collection::vec("[a-zé]{1,6}", 1..6)) {
        let text = words.iter().map(|word| format!("{word}^2")).collect::<Vec<_>>().join("  ");
        let query = parsed(&text);
        prop_assert_eq!(&query.text, &words.join(" "));
        for boost in &query.boosts {
            prop_assert_eq!(&query.text[boost.range.clone()], &boost.word);
        }
    }
}

// Compiling, with the embedded model

fn encoder() -> &'static Encoder {
    static ENCODER: LazyLock<Encoder> =
        LazyLock::new(|| Encoder::embedded().expect("the model inside"));
    &ENCODER
}

fn compiled(text: &str, mode: QueryMode) -> CompiledQuery {
    compile(&parsed(text), None, encoder(), mode).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn weight(query: &CompiledQuery, token: &str) -> Option<f32> {
    let id = encoder().vocabulary().id(token).expect(token);
    let term = query.sparse.terms().iter().find(|term| term.0 == id)?;
    Some(f32::from(term.1) / query.scale)
}

#[test]
fn the_tower_adds_related_words_and_the_table_does_not() {
    let tower = compiled("a cup of coffee", QueryMode::Tower);
    let table = compiled("a cup of coffee", QueryMode::Table);
    assert!(tower.sparse.terms().len() > 10);
    assert_eq!(table.sparse.terms().len(), 2, "cup and coffee");
    for query in [tower, table] {
        let sum: u32 = query.sparse.terms().iter().map(|term| u32::from(term.1)).sum();
        let reachable = u32::from(encoder().config().calibration.reachable);
        assert_eq!(query.reachable, sum * reachable);
        assert!(query.warnings.is_empty(), "{:?}", query.warnings);
    }
}

#[test]
fn the_fewer_words_the_more_each_of_them_weighs_beside_its_relatives() {
    let share_of_own = |text: &str, own: &[&str]| {
        let query = compiled(text, QueryMode::Tower);
        assert_eq!(query.own_words, own.len(), "{text}");
        let all: f32 = query.sparse.terms().iter().map(|term| f32::from(term.1)).sum();
        own.iter().map(|word| weight(&query, word).unwrap() * query.scale).sum::<f32>() / all
    };
    let added = encoder().config().calibration.own_words;
    assert!(share_of_own("dog", &["dog"]) > added / (1.0 + added));
    let long = "a dog and a boy on a beach near a boat";
    let unmixed: f32 = {
        let raw = encoder().encode_text(long).unwrap();
        let own = ["dog", "boy", "beach", "boat"].map(|word| encoder().vocabulary().id(word));
        let all: f32 = raw.iter().map(|(_, weight)| weight).sum();
        raw.iter().filter(|(id, _)| own.contains(&Some(*id))).map(|(_, weight)| weight / all).sum()
    };
    let mixed = share_of_own(long, &["dog", "boy", "beach", "boat"]);
    // Of four words 4^-1.5 = 1/8 of what a single one gets.
    let expected = (unmixed + added / 8.0) / (1.0 + added / 8.0);
    assert!((mixed - expected).abs() < 0.01, "{mixed} {expected}");
    assert_eq!(compiled("of the", QueryMode::Tower).own_words, 0);
}

#[test]
fn a_boost_multiplies_the_word_and_leaves_the_others() {
    let plain = compiled("dog beach", QueryMode::Table);
    let boosted = compiled("dog^2 beach", QueryMode::Table);
    let near = |a: Option<f32>, b: Option<f32>| (a.unwrap() - b.unwrap()).abs() < 0.02;
    assert!(near(weight(&boosted, "dog"), weight(&plain, "dog").map(|weight| weight * 2.0)));
    assert!(near(weight(&boosted, "beach"), weight(&plain, "beach")));
    let huge = compiled("dog^100 beach", QueryMode::Table);
    assert!(huge.scale < plain.scale, "the whole query is scaled down");
    assert_eq!(huge.sparse.terms().iter().map(|term| term.1).max(), Some(255));
}

#[test]
fn raw_weights_stand_as_they_are_and_unknown_tokens_are_named() {
    let query = compiled(r#"{"dog": 2, "beach": 0.5}"#, QueryMode::Tower);
    assert_eq!((weight(&query, "dog"), weight(&query, "beach")), (Some(2.0), Some(0.5)));
    let error = compile(&parsed(r#"{"qwzx": 1}"#), None, encoder(), QueryMode::Tower).unwrap_err();
    assert_eq!(error.to_string(), "'qwzx' is not in the model's vocabulary");
    assert!(!compiled(r#"{"the": 1}"#, QueryMode::Tower).warnings.is_empty());
}

#[test]
fn exclusions_keep_their_words_and_those_never_seen_are_said() {
    let query = compiled(r#"dog -cat -the -"red ball""#, QueryMode::Table);
    assert_eq!(query.excluded, ["cat", "red ball"]);
    let lengths: Vec<usize> =
        query.sparse.exclusions().iter().map(|exclusion| exclusion.tokens.len()).collect();
    assert_eq!(lengths, [1, 2]);
    assert_eq!(query.warnings, ["'the' cannot be excluded: the model never sees it"]);
}

#[test]
fn a_word_in_pieces_is_one_group() {
    let query = compiled("Birdwatching", QueryMode::Table);
    let [group] = &query.words[..] else { panic!("{:?}", query.words) };
    assert_eq!(group.word, "birdwatching");
    let vocabulary = encoder().vocabulary();
    let pieces: Vec<&str> = group.tokens.iter().map(|token| vocabulary.token(*token)).collect();
    assert!(pieces.contains(&"bird"), "{pieces:?}");
}

#[test]
fn weights_set_by_hand_come_last() {
    let mut asked = parsed("Birdwatching dog^2");
    asked.set = vec![("birdwatching".into(), 2.0), ("dog".into(), 0.0), ("cat".into(), 1.5)];
    let cat = encoder().vocabulary().id("cat").unwrap();
    let like = SparseVector::new([(cat, 96)]).unwrap();
    let query = compile(&asked, Some(&like), encoder(), QueryMode::Table).unwrap();
    assert_eq!((weight(&query, "dog"), weight(&query, "cat")), (None, Some(1.5)));
    let whole = |group: &[TokenId]| -> f32 {
        let own = query.sparse.terms().iter().filter(|(token, _)| group.contains(token));
        own.map(|(_, weight)| f32::from(*weight) / query.scale).sum()
    };
    assert!((whole(&query.words[0].tokens) - 2.0).abs() < 0.05, "{query:?}");

    let mut alone = ParsedQuery::default();
    alone.set = vec![("dog".into(), 1.0)];
    assert!(!alone.is_empty());
    let query = compile(&alone, None, encoder(), QueryMode::Tower).unwrap();
    assert_eq!((query.sparse.terms().len(), weight(&query, "dog")), (1, Some(1.0)));
    alone.set = vec![("birdwatching".into(), 1.0)];
    let error = compile(&alone, None, encoder(), QueryMode::Tower).unwrap_err();
    assert!(matches!(error, CompileError::UnknownToken { .. }), "no word of the text: {error}");
}

#[test]
fn a_query_without_words_is_an_error_and_a_picture_alone_is_not() {
    for text in ["", "-cat", "path:2021"] {
        let error = compile(&parsed(text), None, encoder(), QueryMode::Tower).unwrap_err();
        assert!(matches!(error, CompileError::Empty), "{text}");
    }
    let dog = encoder().vocabulary().id("dog").unwrap();
    let like = SparseVector::new([(dog, 55)]).unwrap();
    let query = compile(&parsed("-cat"), Some(&like), encoder(), QueryMode::Tower).unwrap();
    assert_eq!(query.sparse.terms(), [(dog, 55)]);
    let both = compile(&parsed(r#"{"dog": 1}"#), Some(&like), encoder(), QueryMode::Tower).unwrap();
    assert_eq!(weight(&both, "dog"), Some(1.0 + 55.0 / encoder().config().impact_scale));
}

#[test]
fn what_the_model_cannot_read_is_warned_about() {
    for text in ["咖啡杯", "ຄຳສັ່ງ ຄຳ"] {
        let warnings = compiled(text, QueryMode::Table).warnings;
        assert!(warnings.iter().any(|warning| warning.contains("English")), "{text}: {warnings:?}");
    }
    let long = compiled(&"dog ".repeat(60), QueryMode::Tower).warnings;
    assert!(long[0].starts_with("the query is too long: 'dog dog"), "{long:?}");
}

proptest! {
    #[test]
    fn compiled_queries_keep_the_rules(
        words in prop::collection::vec("(-?(dog|cat|snowboard|été|the|[a-z]{1,9}))(\\^[1-9]0?)?", 1..12),
    ) {
        let text = words.join(" ").replace("-the", "the");
        let Ok(query) = parse(&text) else { return Ok(()) };
        let Ok(query) = compile(&query, None, encoder(), QueryMode::Table) else { return Ok(()) };
        let terms = query.sparse.terms();
        prop_assert!(terms.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert!(terms.iter().all(|term| term.1 >= 1));
        prop_assert!(terms.iter().all(|term| encoder().vocabulary().is_output(term.0)));
        prop_assert!(query.scale > 0.0);
        prop_assert_eq!(query.sparse.exclusions().len(), query.excluded.len());
        for exclusion in query.sparse.exclusions() {
            prop_assert!(!exclusion.tokens.is_empty() && exclusion.floor > 0);
        }
        let mut grouped: Vec<_> = query.words.iter().flat_map(|group| &group.tokens).collect();
        grouped.sort_unstable();
        prop_assert!(grouped.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
