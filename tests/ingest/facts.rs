//! What EXIF says: which way is up, when, where, by which camera. Broken EXIF harms nothing.

use exif::{Field, In, Rational, Tag, Value, experimental::Writer};
use image::{DynamicImage, ImageFormat, metadata::Orientation};
use proptest::prelude::*;
use sightword::ingest::{Facts, Place};

use super::pictures::{
    QUARTERS, assert_card, assert_quarters, card, decoded, fixture, scene, with_exif,
};

fn block(fields: &[(Tag, Value)]) -> Vec<u8> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(tag, value)| Field { tag: *tag, ifd_num: In::PRIMARY, value: value.clone() })
        .collect();
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut bytes = std::io::Cursor::new(Vec::new());
    writer.write(&mut bytes, true).unwrap();
    bytes.into_inner()
}

fn ascii(text: &str) -> Value {
    Value::Ascii(vec![text.as_bytes().to_vec()])
}

fn facts_of(fields: &[(Tag, Value)]) -> Facts {
    decoded(&with_exif(&card(), ImageFormat::Jpeg, block(fields))).facts
}

fn turned(number: u8) -> DynamicImage {
    let mut image = card();
    image.apply_orientation(Orientation::from_exif(number).unwrap());
    image
}

#[test]
fn all_eight_orientations_are_turned_upright() {
    for number in 1..=8 {
        let expected = turned(number);
        let exif = block(&[(Tag::Orientation, Value::Short(vec![number.into()]))]);
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let picture = decoded(&with_exif(&card(), format, exif.clone()));
            assert_eq!(picture.pixels.rgb(), expected.as_bytes(), "{format:?} {number}");
            let size = (picture.facts.width, picture.facts.height);
            assert_eq!(size, (expected.width(), expected.height()));
        }
        let picture = decoded(&with_exif(&card(), ImageFormat::Jpeg, exif));
        let size = (picture.pixels.width(), picture.pixels.height());
        assert_eq!(size, (expected.width(), expected.height()));
        let far = picture.pixels.rgb().iter().zip(expected.as_bytes());
        assert!(far.clone().filter(|(a, b)| a.abs_diff(**b) > 8).count() < 200, "JPEG {number}");
    }
}

#[test]
fn a_picture_decoded_at_reduced_size_is_turned_too() {
    let exif = block(&[(Tag::Orientation, Value::Short(vec![6]))]);
    let picture = decoded(&with_exif(&scene(1200, 900), ImageFormat::Jpeg, exif));
    assert_eq!((picture.facts.width, picture.facts.height), (900, 1200));
    assert_eq!((picture.pixels.width(), picture.pixels.height()), (450, 600));
}

#[test]
fn tiff_and_jpeg_xl_are_turned_once() {
    let tiff = decoded(&fixture("turned.tif"));
    assert_card(&tiff, 0);
    assert_eq!(tiff.facts.taken.unwrap().seconds(), 1_563_645_909);
    let jxl = decoded(&fixture("turned.jxl"));
    assert_card(&jxl, 4);
    assert_eq!(jxl.facts.taken.unwrap().seconds(), 1_563_645_909);
    assert_eq!(jxl.facts.camera.as_deref(), Some("Canon EOS 80D"));
}

#[test]
fn an_orientation_that_does_not_exist_is_upright() {
    for number in [0, 9, 1000] {
        let exif = block(&[(Tag::Orientation, Value::Short(vec![number]))]);
        assert_card(&decoded(&with_exif(&card(), ImageFormat::Png, exif)), 0);
    }
}

#[test]
fn a_camera_file_tells_when_where_and_by_what_it_was_taken() {
    let picture = decoded(&fixture("facts.jpg"));
    let [red, green, blue, yellow] = QUARTERS;
    assert_quarters(&picture, [blue, red, yellow, green], 4);
    let facts = picture.facts;
    assert_eq!((facts.width, facts.height), (32, 48));
    assert_eq!(facts.camera.as_deref(), Some("NIKON D90"));
    // 2019-07-20 18:05:09, the shot and not the last change.
    assert_eq!(facts.taken.unwrap().seconds(), 1_563_645_909);
    let place = facts.place.unwrap();
    assert!((place.latitude - 48.8583).abs() < 1e-4, "{place:?}");
    assert!((place.longitude + 2.2945).abs() < 1e-4, "{place:?}");
}

#[test]
fn a_file_without_exif_has_no_facts_but_its_size() {
    let facts = decoded(&fixture("card.png")).facts;
    assert_eq!((facts.taken, facts.camera, facts.place), (None, None, None));
}

#[test]
fn the_date_of_the_file_serves_where_the_shot_has_none() {
    let facts = facts_of(&[
        (Tag::DateTimeOriginal, ascii("0000:00:00 00:00:00")),
        (Tag::DateTime, ascii("1970:01:02 00:00:01")),
    ]);
    assert_eq!(facts.taken.unwrap().seconds(), 86_401);
}

#[test]
fn dates_that_no_calendar_has_are_none() {
    for date in ["    :  :     :  :  ", "2019:13:01 00:00:00", "2019:02:30 10:00:00", "2019", "ü"]
    {
        assert_eq!(facts_of(&[(Tag::DateTimeOriginal, ascii(date))]).taken, None, "{date}");
    }
}

#[test]
fn a_camera_name_is_one_line_of_readable_text() {
    let facts = facts_of(&[
        (Tag::Make, ascii("Evil\u{1b}[31m\nCorp ")),
        (Tag::Model, ascii(&format!("  X\t{}", "y".repeat(300)))),
    ]);
    let camera = facts.camera.unwrap();
    assert!(camera.starts_with("Evil [31m Corp X y"), "{camera}");
    assert_eq!(camera.chars().count(), 100);
}

fn place(latitude: [(u32, u32); 3], south: &str, longitude: [(u32, u32); 3]) -> Option<Place> {
    let angle = |parts: [(u32, u32); 3]| {
        Value::Rational(parts.iter().map(|&(num, denom)| Rational { num, denom }).collect())
    };
    facts_of(&[
        (Tag::GPSLatitudeRef, ascii(south)),
        (Tag::GPSLatitude, angle(latitude)),
        (Tag::GPSLongitudeRef, ascii("E")),
        (Tag::GPSLongitude, angle(longitude)),
    ])
    .place
}

#[test]
fn places_are_degrees_minutes_and_seconds() {
    let found = place([(33, 1), (51, 1), (3636, 100)], "S", [(151, 1), (15, 2), (0, 0)]).unwrap();
    assert!((found.latitude + 33.8601).abs() < 1e-9, "{found:?}");
    assert!((found.longitude - 151.125).abs() < 1e-9, "{found:?}");
}

#[test]
fn places_that_are_not_on_earth_or_not_set_are_none() {
    let zero = [(0, 1), (0, 1), (0, 1)];
    let fine = [(10, 1), (0, 1), (0, 1)];
    assert_eq!(place(zero, "N", zero), None);
    assert_eq!(place([(91, 1), (0, 1), (0, 1)], "N", fine), None);
    assert_eq!(place(fine, "?", fine), None);
    assert_eq!(place([(10, 0), (0, 1), (0, 1)], "N", fine), None);
    assert!(place(fine, "n", fine).is_some());
}

proptest! {
    #[test]
    fn a_broken_exif_block_never_costs_the_picture(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let plain = decoded(&with_exif(&card(), ImageFormat::Png, b"II*\0\0\0\0\0".to_vec()));
        for start in [&b""[..], b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"] {
            let exif = [start, &garbage].concat();
            let picture = decoded(&with_exif(&card(), ImageFormat::Png, exif));
            prop_assert_eq!(picture.pixels.rgb().len(), plain.pixels.rgb().len());
        }
    }

    #[test]
    fn a_damaged_exif_block_never_costs_the_picture(at in 0_usize..2000, value: u8) {
        let mut block = block(&[
            (Tag::Make, ascii("Maker")),
            (Tag::Orientation, Value::Short(vec![3])),
            (Tag::DateTimeOriginal, ascii("2019:07:20 18:05:09")),
            (Tag::GPSLatitudeRef, ascii("N")),
        ]);
        let at = at % block.len();
        block[at] = value;
        let picture = decoded(&with_exif(&card(), ImageFormat::Png, block));
        prop_assert_eq!(picture.pixels.rgb().len(), 48 * 32 * 3);
    }
}
