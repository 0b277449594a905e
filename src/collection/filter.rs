//! What a filter means for a stored picture: one query of the engine for all of them.
//!
//! Filters run before the best are chosen, so ten hits stay ten. Paths and cameras are looked up
//! among the distinct ones; dates, sizes and places are read from columns.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tantivy::{
    DocId, Searcher, SegmentReader, Term,
    query::{
        BooleanQuery, EmptyQuery, Query, RangeQuery, TermQuery, TermSetQuery,
        doc_predicate_query::{DocPredicateQuery, FunctionPredicate},
    },
    schema::{Field, IndexRecordOption},
};

use super::schema::{Fields, StoredFacts, column};
use crate::{
    ingest::Taken,
    query::{Comparison, Filter, Measure, PathPattern, Size},
};

type Result<T> = tantivy::Result<T>;

/// What a picture must meet to take part in a search: every filter, and not to be gone. `None` if
/// all pictures do.
pub(crate) fn condition(
    searcher: &Searcher,
    fields: &Fields,
    filters: &[Filter],
) -> Result<Option<Box<dyn Query>>> {
    let mut parts: Vec<Box<dyn Query>> = Vec::new();
    if searcher.doc_freq(&Term::from_field_u64(fields.gone, 1))? > 0 {
        parts.push(is_present(fields));
    }
    for filter in filters {
        parts.push(of_filter(searcher, fields, filter)?);
    }
    Ok(match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Box::new(BooleanQuery::intersection(parts))),
    })
}

/// Matches the pictures that are not gone.
pub(crate) fn is_present(fields: &Fields) -> Box<dyn Query> {
    let term = Term::from_field_u64(fields.gone, 0);
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// Matches the pictures that meet one filter.
pub(crate) fn of_filter(
    searcher: &Searcher,
    fields: &Fields,
    filter: &Filter,
) -> Result<Box<dyn Query>> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let taken = |seconds| Term::from_field_i64(fields.taken, seconds);
    Ok(match filter {
        Filter::Path(pattern) => match PathPattern::new(pattern) {
            Some(pattern) => {
                one_of(searcher, fields.path, |path| pattern.matches(Path::new(path)))?
            }
            None => Box::new(EmptyQuery),
        },
        Filter::Camera(part) => {
            let part = part.to_lowercase();
            one_of(searcher, fields.camera, |camera| camera.contains(&part))?
        }
        Filter::After(seconds) => Box::new(RangeQuery::new(Included(taken(*seconds)), Unbounded)),
        Filter::Before(seconds) => Box::new(RangeQuery::new(Unbounded, Excluded(taken(*seconds)))),
        Filter::Size(size) => of_size(*size),
        Filter::Near { latitude, longitude, radius_km } => {
            within((*latitude, *longitude), *radius_km)
        }
    })
}

/// Matches the documents with a term of this field that `fits`.
fn one_of(
    searcher: &Searcher,
    field: Field,
    fits: impl Fn(&str) -> bool,
) -> Result<Box<dyn Query>> {
    let mut fitting = BTreeSet::new();
    for reader in searcher.segment_readers() {
        let inverted = reader.inverted_index(field)?;
        let mut terms = inverted.terms().stream()?;
        while let Some((term, _)) = terms.next() {
            if std::str::from_utf8(term).is_ok_and(&fits) {
                fitting.insert(term.to_vec());
            }
        }
    }
    if fitting.is_empty() {
        return Ok(Box::new(EmptyQuery));
    }
    let term = |bytes: &Vec<u8>| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Term::from_field_text(field, text)
    };
    Ok(Box::new(TermSetQuery::new(fitting.iter().map(term).collect::<Vec<_>>())))
}

fn of_size(size: Size) -> Box<dyn Query> {
    predicate(move |reader| {
        let number = |name| reader.fast_fields().column_opt::<u64>(name);
        let columns = [number(column::WIDTH)?, number(column::HEIGHT)?, number(column::BYTES)?];
        Ok(move |doc| {
            let [width, height, bytes] =
                columns.each_ref().map(|column| column.as_ref().and_then(|c| c.first(doc)));
            let side = |side: Option<u64>| side.and_then(|side| u32::try_from(side).ok());
            match (side(width), side(height), bytes) {
                (Some(width), Some(height), Some(bytes)) => size.admits(width, height, bytes),
                _ => false,
            }
        })
    })
}

fn within(place: (f64, f64), radius_km: f64) -> Box<dyn Query> {
    predicate(move |reader| {
        let degrees = |name| reader.fast_fields().column_opt::<f64>(name);
        let columns = (degrees(column::LATITUDE)?, degrees(column::LONGITUDE)?);
        Ok(move |doc| {
            let first =
                |column: &Option<tantivy::columnar::Column<f64>>| column.as_ref()?.first(doc);
            let found = first(&columns.0).zip(first(&columns.1));
            found.is_some_and(|found| distance_km(place, found) <= radius_km)
        })
    })
}

fn predicate<F, S>(factory: F) -> Box<dyn Query>
where
    F: Fn(&SegmentReader) -> Result<S> + Send + Sync + 'static,
    S: Fn(DocId) -> bool + Send + Sync + 'static,
{
    Box::new(DocPredicateQuery::from(FunctionPredicate::from(factory)))
}

/// The distance of two places (degrees north, degrees east) along the surface of a round earth, in
/// kilometres: off by at most 0.6 %, as the earth is not quite round. (Haversine formula.)
fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    const MEAN_RADIUS_KM: f64 = 6_371.008_8;
    let (north, east) = ((b.0 - a.0).to_radians(), (b.1 - a.1).to_radians());
    let haversine = (north / 2.0).sin().powi(2)
        + a.0.to_radians().cos() * b.0.to_radians().cos() * (east / 2.0).sin().powi(2);
    2.0 * MEAN_RADIUS_KM * haversine.sqrt().min(1.0).asin()
}

/// Whether a picture that is not indexed meets a filter. Its path is compared as it is, as it lies
/// below no root.
pub(crate) fn admits(filter: &Filter, paths: &[PathBuf], facts: &StoredFacts) -> bool {
    let taken = facts.taken.map(Taken::seconds);
    match filter {
        Filter::Path(pattern) => PathPattern::new(pattern)
            .is_some_and(|pattern| paths.iter().any(|path| pattern.matches(path))),
        Filter::Camera(part) => {
            let camera = facts.camera.as_ref();
            camera.is_some_and(|camera| camera.to_lowercase().contains(&part.to_lowercase()))
        }
        Filter::After(seconds) => taken.is_some_and(|taken| taken >= *seconds),
        Filter::Before(seconds) => taken.is_some_and(|taken| taken < *seconds),
        Filter::Size(size) => size.admits(facts.width, facts.height, facts.bytes),
        Filter::Near { latitude, longitude, radius_km } => facts.place.is_some_and(|place| {
            distance_km((*latitude, *longitude), (place.latitude, place.longitude)) <= *radius_km
        }),
    }
}

/// A filter as a user would type it.
pub(crate) fn describe(filter: &Filter) -> String {
    match filter {
        Filter::Path(pattern) => format!("path:{pattern}"),
        Filter::Camera(part) => format!("camera:{part}"),
        Filter::After(seconds) => format!("after:{}", day(*seconds)),
        Filter::Before(seconds) => format!("before:{}", day(*seconds)),
        Filter::Size(size) => describe_size(size),
        Filter::Near { latitude, longitude, radius_km } => {
            format!("near:{latitude},{longitude},{radius_km}")
        }
    }
}

fn describe_size(size: &Size) -> String {
    let sign = match size.comparison {
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::AtLeast => ">=",
        Comparison::Greater => ">",
    };
    match size.measure {
        #[expect(clippy::cast_precision_loss, reason = "for show")]
        Measure::Pixels(pixels) => format!("size:{sign}{}mp", pixels as f64 / 1e6),
        Measure::Bytes(bytes) => format!("size:{sign}{bytes}b"),
        Measure::Sides { long, short } => format!("size:{sign}{long}x{short}"),
    }
}

/// The date of a second since 1970, in the Gregorian calendar.
fn day(seconds: i64) -> String {
    // Years that begin in March, so that the day that some years lack is the last one.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use sightword_index::SparseVector;
    use tantivy::collector::DocSetCollector;

    use super::*;
    use crate::{
        collection::{
            files::{FileKey, SeenFile, Stamp},
            schema::{Record, schema},
        },
        encode::Encoder,
        ingest::{ContentId, Place},
        query::parse,
    };

    /// A picture of noon on a day in the year 2000 + `number`.
    fn record(number: u8) -> Record {
        let place = Place { latitude: 48.0 + f64::from(number), longitude: 2.0 };
        let facts = StoredFacts {
            width: 1000 * u32::from(number),
            height: 1000,
            bytes: 1000 * u64::from(number),
            taken: (number != 3)
                .then_some(Taken::from_seconds(946_728_000 + 31_557_600 * i64::from(number))),
            camera: (number != 2).then(|| format!("Canon EOS {number}0D")),
            place: (number != 1).then_some(place),
        };
        let key = FileKey { root: 0, path: format!("trip {number}/Görlitz.jpg").into() };
        let stamp = Stamp { bytes: facts.bytes, modified: 0 };
        let id = ContentId::of(&[number]);
        Record { id, files: vec![SeenFile { key, stamp }], gone: number == 5, facts }
    }

    #[test]
    fn filters_mean_the_same_for_pictures_in_the_index_and_outside() {
        let index = sightword_index::create_in_ram(schema(&Encoder::embedded().unwrap())).unwrap();
        let fields = Fields::of(&index.schema()).unwrap();
        let mut writer = index.writer_with_num_threads(1, 20_000_000).unwrap();
        for number in 1..=5 {
            let document = record(number).to_document(&fields, &SparseVector::default()).unwrap();
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        let searcher = index.reader().unwrap().searcher();
        for (text, expected) in [
            ("camera:canon", vec![1, 3, 4]),
            ("camera:'40d'", vec![]),
            ("camera:40d", vec![4]),
            ("after:2002", vec![2, 4]),
            ("before:2002", vec![1]),
            ("after:2002 before:2003", vec![2]),
            ("size:>=2mp", vec![2, 3, 4]),
            ("size:<2kb", vec![1]),
            ("size:>=2000x1000", vec![2, 3, 4]),
            ("near:50,2,1", vec![2]),
            ("near:50,2,112", vec![2, 3]),
            ("path:görlitz", vec![1, 2, 3, 4]),
            ("path:*3/*.jpg", vec![3]),
            ("path:nowhere", vec![]),
            ("", vec![1, 2, 3, 4]),
        ] {
            let filters = parse(text).unwrap().filters;
            let condition = condition(&searcher, &fields, &filters).unwrap().unwrap();
            let docs = searcher.search(&condition, &DocSetCollector).unwrap();
            let mut found: Vec<u8> =
                docs.iter().map(|doc| u8::try_from(doc.doc_id).unwrap() + 1).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
            for number in 1..=4 {
                let record = record(number);
                let paths = [record.files[0].key.path.clone()];
                let outside = filters.iter().all(|f| admits(f, &paths, &record.facts));
                assert_eq!(outside, expected.contains(&number), "{text}: picture {number}");
            }
        }
    }

    #[test]
    fn records_come_back_as_they_were_stored() {
        let index = sightword_index::create_in_ram(schema(&Encoder::embedded().unwrap())).unwrap();
        let fields = Fields::of(&index.schema()).unwrap();
        for number in 1..=5 {
            let document = record(number).to_document(&fields, &SparseVector::default()).unwrap();
            assert_eq!(Record::from_document(&document, &fields).unwrap(), record(number));
        }
    }

    #[test]
    fn distances_are_those_of_an_atlas() {
        let (paris, london) = ((48.8566, 2.3522), (51.5074, -0.1278));
        assert!((distance_km(paris, london) - 343.5).abs() < 1.0);
        assert!(distance_km(paris, paris) < 1e-9);
        // Across the date line.
        assert!((distance_km((0.0, 179.5), (0.0, -179.5)) - 111.2).abs() < 0.1);
        // Through the pole.
        assert!((distance_km((89.5, 0.0), (89.5, 180.0)) - 111.2).abs() < 0.1);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_799, "2000-02-29"),
            (1_609_459_200, "2021-01-01"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(day(seconds), expected);
        }
    }
}
