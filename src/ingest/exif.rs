//! The facts in a picture's EXIF block. A broken block is no reason to refuse the picture.

use std::{io::Cursor, ops::RangeInclusive};

use exif::{DateTime, Exif, Field, In, Rational, Reader, Tag, Value};

use super::{Format, Place, Taken, orient::Orientation, quiet};

/// Longer names of cameras are cut: they are noise.
const MAX_CAMERA_CHARS: usize = 100;

/// What an EXIF block says.
#[derive(Debug, Clone)]
pub(super) struct Details {
    pub(super) orientation: Orientation,
    pub(super) taken: Option<Taken>,
    pub(super) camera: Option<String>,
    pub(super) place: Option<Place>,
}

impl Default for Details {
    fn default() -> Self {
        Self { orientation: Orientation::UPRIGHT, taken: None, camera: None, place: None }
    }
}

/// The details of a file that keeps its EXIF block where its format wants it.
pub(super) fn of_file(format: Format, file: &[u8]) -> Details {
    match format {
        Format::Gif | Format::Bmp => Details::default(),
        _ => details(|reader| reader.read_from_container(&mut Cursor::new(file))),
    }
}

/// The details of a bare EXIF block, from its TIFF header on.
pub(super) fn of_block(block: &[u8]) -> Details {
    details(|reader| reader.read_raw(block.to_vec()))
}

fn details(read: impl FnOnce(&Reader) -> Result<Exif, exif::Error>) -> Details {
    quiet::catch(|| {
        let mut reader = Reader::new();
        reader.continue_on_error(true);
        match read(&reader) {
            Ok(exif) => Details::from(&exif),
            Err(exif::Error::PartialResult(part)) => Details::from(&part.into_inner().0),
            Err(_) => Details::default(),
        }
    })
    .unwrap_or_default()
}

impl From<&Exif> for Details {
    fn from(exif: &Exif) -> Self {
        let orientation = field(exif, Tag::Orientation).and_then(|field| field.value.get_uint(0));
        Self {
            orientation: Orientation::from_exif(orientation.unwrap_or(1)),
            // The last one is when the file was written: better than nothing.
            taken: [Tag::DateTimeOriginal, Tag::DateTimeDigitized, Tag::DateTime]
                .into_iter()
                .find_map(|tag| taken(field(exif, tag)?)),
            camera: camera(text(exif, Tag::Make), text(exif, Tag::Model)),
            place: place(exif),
        }
    }
}

fn field(exif: &Exif, tag: Tag) -> Option<&Field> {
    exif.get_field(tag, In::PRIMARY)
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &field(exif, tag)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?).replace(char::is_control, " ");
    let words: Vec<_> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Make and model; most models begin with the make's first word already ("NIKON D90" of "NIKON
/// CORPORATION").
fn camera(make: Option<String>, model: Option<String>) -> Option<String> {
    let name = match (make, model) {
        (Some(make), Some(model)) => {
            let mut first_words = [&make, &model].map(|name| name.split(' ').next());
            let [of_make, of_model] = &mut first_words;
            let said = of_make.zip(*of_model).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            if said { model } else { format!("{make} {model}") }
        }
        (make, model) => model.or(make)?,
    };
    Some(name.chars().take(MAX_CAMERA_CHARS).collect())
}

fn taken(field: &Field) -> Option<Taken> {
    let Value::Ascii(parts) = &field.value else { return None };
    let time = DateTime::from_ascii(parts.first()?).ok()?;
    let is_time = time.hour < 24 && time.minute < 60 && time.second <= 60;
    if !is_time || time.year == 0 {
        return None;
    }
    let days = days_since_1970(time.year.into(), time.month.into(), time.day.into())?;
    let [hour, minute, second] = [time.hour, time.minute, time.second].map(i64::from);
    Some(Taken::from_seconds(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Days from the first of January 1970 in the Gregorian calendar; `None` if there is no such day.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March have the odd day at their end, and months of 153 days in five.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

fn place(exif: &Exif) -> Option<Place> {
    let latitude = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, ["N", "S"], -90.0..=90.0)?;
    let longitude =
        degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, ["E", "W"], -180.0..=180.0)?;
    // Cameras without a fix write zeros: no place, rather than one in the Gulf of Guinea.
    let is_unset = latitude.abs() < f64::EPSILON && longitude.abs() < f64::EPSILON;
    (!is_unset).then_some(Place { latitude, longitude })
}

fn degrees(
    exif: &Exif,
    angle: Tag,
    side: Tag,
    [positive, negative]: [&str; 2],
    range: RangeInclusive<f64>,
) -> Option<f64> {
    let Value::Rational(parts) = &field(exif, angle)?.value else { return None };
    let degrees = number(parts.first()?)?;
    // A missing part is none: some write whole degrees, or seconds as 0/0.
    let part = |index: usize| parts.get(index).and_then(number).unwrap_or(0.0);
    let size = degrees + part(1) / 60.0 + part(2) / 3600.0;
    let side = text(exif, side)?;
    let angle = match side.to_ascii_uppercase() {
        side if side.starts_with(positive) => size,
        side if side.starts_with(negative) => -size,
        _ => return None,
    };
    range.contains(&angle).then_some(angle)
}

fn number(ratio: &Rational) -> Option<f64> {
    (ratio.denom != 0).then(|| ratio.to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        assert_eq!(days_since_1970(2000, 2, 29), Some(11_016));
        assert_eq!(days_since_1970(2026, 11, 21), Some(20_778));
        assert_eq!(days_since_1970(1969, 12, 31), Some(-1));
        for nothing in [(1900, 2, 29), (2024, 0, 1), (2024, 13, 1), (2024, 4, 31), (2024, 5, 0)] {
            assert_eq!(days_since_1970(nothing.0, nothing.1, nothing.2), None);
        }
    }

    #[test]
    fn a_make_is_not_said_twice() {
        let camera = |make: &str, model: &str| {
            let full = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            camera(full(make), full(model))
        };
        assert_eq!(camera("Canon", "Canon EOS 80D").as_deref(), Some("Canon EOS 80D"));
        assert_eq!(camera("NIKON CORPORATION", "NIKON D90").as_deref(), Some("NIKON D90"));
        assert_eq!(camera("Apple", "iPhone 12").as_deref(), Some("Apple iPhone 12"));
        assert_eq!(camera("Apple", "").as_deref(), Some("Apple"));
        assert_eq!(camera("", "").as_deref(), None);
    }
}
