//! Filters: what a query asks of a picture's file and its EXIF facts.

use std::path::Path;

use super::date::period_start;
use super::error::Problem;

/// One condition on a picture. A picture must meet all filters of a query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// A glob over the path, or a part of the path. See [`PathPattern`].
    Path(String),
    /// Taken at or after this second since 1970 (local time of the picture).
    After(i64),
    /// Taken before this second since 1970 (local time of the picture).
    Before(i64),
    /// Part of the camera's name, compared without case.
    Camera(String),
    /// Compared with the picture's size.
    Size(Size),
    /// Taken within a distance of a place.
    Near {
        /// Degrees north, −90 to 90.
        latitude: f64,
        /// Degrees east, −180 to 180.
        longitude: f64,
        /// Kilometres, above 0.
        radius_km: f64,
    },
}

/// How a size is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `>`
    Greater,
}

/// What of a picture's size is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The number of pixels (`2mp` is 2,000,000).
    Pixels(u64),
    /// The bytes of the file (`500kb` is 500,000).
    Bytes(u64),
    /// Both sides, whichever way the picture is turned: long side with long side, short with short.
    Sides {
        /// The longer side in pixels.
        long: u32,
        /// The shorter side in pixels.
        short: u32,
    },
}

/// A bound on a picture's size, as in `size:>2mp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How the picture's measure is compared with `measure`.
    pub comparison: Comparison,
    /// The bound.
    pub measure: Measure,
}

impl Comparison {
    fn holds(self, found: u64, bound: u64) -> bool {
        match self {
            Self::Less => found < bound,
            Self::AtMost => found <= bound,
            Self::AtLeast => found >= bound,
            Self::Greater => found > bound,
        }
    }
}

impl Size {
    /// Whether a picture of `width` × `height` pixels in a file of `bytes` meets the bound.
    #[must_use]
    pub fn admits(&self, width: u32, height: u32, bytes: u64) -> bool {
        let holds = |found, bound| self.comparison.holds(found, bound);
        match self.measure {
            Measure::Pixels(bound) => holds(u64::from(width) * u64::from(height), bound),
            Measure::Bytes(bound) => holds(bytes, bound),
            Measure::Sides { long, short } => {
                holds(width.max(height).into(), long.into())
                    && holds(width.min(height).into(), short.into())
            }
        }
    }
}

/// The pattern of a `path:` filter.
///
/// With `*`, `?`, `[` or `{` in it, a glob: it must fit the whole path below the root, or its end
/// from a folder on (`*.png`, `2021/**`, `cats/*`). Without, any part of the path. Letters are
/// compared without case.
#[derive(Debug, Clone)]
pub struct PathPattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Part(String),
    Glob(globset::GlobMatcher),
}

impl PathPattern {
    /// The pattern that `text` means; `None` if it is no valid glob.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if !text.contains(['*', '?', '[', '{']) {
            return Some(Self(Kind::Part(text.to_lowercase())));
        }
        let anywhere = if text.starts_with("**/") { text.to_owned() } else { format!("**/{text}") };
        let glob = globset::GlobBuilder::new(&anywhere)
            .literal_separator(true)
            .case_insensitive(true)
            .build();
        glob.ok().map(|glob| Self(Kind::Glob(glob.compile_matcher())))
    }

    /// Whether `path` (relative to its root) fits.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        match &self.0 {
            Kind::Part(part) => path.to_string_lossy().to_lowercase().contains(part),
            Kind::Glob(glob) => glob.is_match(path),
        }
    }
}

const NAMES: [&str; 6] = ["path", "after", "before", "camera", "size", "near"];

/// The filter's name if `word` starts with one and a colon.
pub(super) fn name_of(word: &str) -> Option<&'static str> {
    let (head, _) = word.split_once(':')?;
    NAMES.into_iter().find(|name| *name == head)
}

impl Filter {
    /// The filter called `name` (`path`, `after`, `before`, `camera`, `size`, `near`) with a value as
    /// the query language has it. `None` if there is no such filter.
    ///
    /// # Errors
    /// [`Problem::BadFilter`] if the value cannot be understood.
    pub fn read(name: &str, value: &str) -> Option<Result<Self, Problem>> {
        let name = NAMES.into_iter().find(|known| *known == name)?;
        Some(read(name, value))
    }
}

/// The filter called `name` with `value` as typed, quotes removed.
pub(super) fn read(name: &'static str, value: &str) -> Result<Filter, Problem> {
    let (filter, wants) = match name {
        "path" => (path(value), "a part of the path or a glob, as in path:2021 or path:'*.png'"),
        "after" => (period_start(value).map(Filter::After), DATE_WANTED),
        "before" => (period_start(value).map(Filter::Before), DATE_WANTED),
        "camera" => (camera(value), "a part of the camera's name, as in camera:pixel"),
        "size" => (size(value).map(Filter::Size), "a bound such as >2mp, >=1920x1080 or <500kb"),
        _ => (near(value), "latitude,longitude,kilometres, as in near:48.86,2.35,5"),
    };
    filter.ok_or_else(|| Problem::BadFilter { name, wants, found: value.to_owned() })
}

const DATE_WANTED: &str = "a date that exists, as in 2021, 2021-07 or 2021-07-14";

fn path(value: &str) -> Option<Filter> {
    let usable = !value.is_empty() && PathPattern::new(value).is_some();
    usable.then(|| Filter::Path(value.to_owned()))
}

fn camera(value: &str) -> Option<Filter> {
    let value = value.trim();
    (!value.is_empty()).then(|| Filter::Camera(value.to_owned()))
}

fn size(value: &str) -> Option<Size> {
    let signs = [
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let (comparison, bound) = signs
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, value.strip_prefix(sign)?)))?;
    Some(Size { comparison, measure: measure(&bound.to_ascii_lowercase())? })
}

fn measure(text: &str) -> Option<Measure> {
    if let Some((width, height)) = text.split_once('x') {
        let (width, height) = (whole(width)?, whole(height)?);
        return Some(Measure::Sides { long: width.max(height), short: width.min(height) });
    }
    let units = [("mp", 1e6), ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("b", 1.0)];
    let (unit, factor, number) = units
        .into_iter()
        .find_map(|(unit, factor)| Some((unit, factor, text.strip_suffix(unit)?)))?;
    let count = decimal(number)? * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a decimal is never negative, and saturating at u64::MAX bytes is as good as any"
    )]
    let count = count.round() as u64;
    Some(if unit == "mp" { Measure::Pixels(count) } else { Measure::Bytes(count) })
}

fn near(value: &str) -> Option<Filter> {
    let mut parts = value.split(',').map(|part| signed(part.trim()));
    let (latitude, longitude, radius_km) = (parts.next()??, parts.next()??, parts.next()??);
    let exists = parts.next().is_none()
        && (-90.0..=90.0).contains(&latitude)
        && (-180.0..=180.0).contains(&longitude)
        && radius_km > 0.0;
    exists.then_some(Filter::Near { latitude, longitude, radius_km })
}

fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn signed(text: &str) -> Option<f64> {
    match text.strip_prefix('-') {
        Some(rest) => decimal(rest).map(|number| -number),
        None => decimal(text),
    }
}

/// Digits with at most one point: no sign, no exponent, no `inf` or `nan`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let well_formed = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().any(|byte| byte.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(value: &str) -> Size {
        size(value).unwrap_or_else(|| panic!("{value}"))
    }

    #[test]
    fn sizes_compare_pixels_bytes_or_both_sides() {
        assert!(sized(">2mp").admits(2000, 1001, 1));
        assert!(!sized(">2mp").admits(2000, 1000, 1));
        assert!(sized("<500kb").admits(9, 9, 499_999));
        assert!(!sized("<500KB").admits(9, 9, 500_000));
        assert!(sized("<=0.5MB").admits(9, 9, 500_000));
        assert!(sized(">=1920x1080").admits(1920, 1080, 1));
        assert!(!sized(">=1920x1080").admits(4000, 1079, 1));
    }

    #[test]
    fn a_picture_on_its_side_has_the_same_size() {
        assert!(sized(">=1920x1080").admits(1080, 1920, 1));
        assert!(sized(">=1080x1920").admits(1920, 1080, 1));
    }

    #[test]
    fn sizes_without_sign_or_unit_are_refused() {
        for value in ["2mp", ">2", ">", "", ">x", ">1x", ">-2mp", ">1e3mp", ">nanmp", "<5tb"] {
            assert_eq!(size(value), None, "{value}");
        }
    }

    #[test]
    fn places_must_be_on_earth() {
        assert!(near("48.86,2.35,5").is_some());
        assert!(near("-33.9, 151.2, 0.5").is_some());
        for value in ["91,0,1", "0,181,1", "0,0,0", "0,0", "0,0,1,2", "a,b,c", "", "0,0,-1"] {
            assert_eq!(near(value), None, "{value}");
        }
    }

    #[test]
    fn a_path_without_glob_signs_matches_any_part_without_case() {
        let pattern = PathPattern::new("2021/img").unwrap();
        assert!(pattern.matches(Path::new("trips/2021/IMG_1.jpg")));
        assert!(!pattern.matches(Path::new("trips/2022/IMG_1.jpg")));
    }

    #[test]
    fn a_glob_fits_the_path_or_its_end_from_a_folder_on() {
        let fits =
            |glob: &str, path: &str| PathPattern::new(glob).unwrap().matches(Path::new(path));
        assert!(fits("*.png", "a/b/c.PNG"));
        assert!(fits("2021/**", "2021/07/x.jpg"));
        assert!(fits("cats/*", "pets/cats/tom.jpg"));
        assert!(!fits("cats/*", "pets/cats/old/tom.jpg"));
        assert!(!fits("cats/*", "pets/bobcats/tom.jpg"));
        assert!(fits("{cats,dogs}/?.jpg", "dogs/a.jpg"));
    }

    #[test]
    fn a_broken_glob_is_refused() {
        assert!(PathPattern::new("[a").is_none());
        assert!(PathPattern::new("{a").is_none());
    }
}
