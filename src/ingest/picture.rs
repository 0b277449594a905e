//! A decoded picture and the facts that came with it.

use std::fmt;

use super::{ContentId, Format};

/// A decoded picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The identity of the file.
    pub id: ContentId,
    /// What it shows.
    pub pixels: Pixels,
    /// What the file says about it.
    pub facts: Facts,
}

/// Upright RGB pixels, 8 bits a channel, row by row, at least one pixel.
///
/// A large picture may have been decoded at reduced size (see
/// [`DecodeOptions::target`](super::DecodeOptions)); its full size is in [`Facts`].
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Pixels {
    /// Pixels from `width * height * 3` bytes, row by row from the top left.
    ///
    /// # Errors
    /// If there are more or fewer bytes than that, or none.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, WrongLength> {
        let expected = (u64::from(width) * u64::from(height)).checked_mul(3);
        if rgb.is_empty() || Some(rgb.len() as u64) != expected {
            return Err(WrongLength { width, height, found: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The bytes R, G, B, R, G, B, … row by row.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The bytes without a copy.
    #[must_use]
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pixels({} x {})", self.width, self.height)
    }
}

/// The bytes do not fill a picture of this size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes do not make an RGB picture of {width} x {height} pixels")]
pub struct WrongLength {
    /// The width asked for, in pixels.
    pub width: u32,
    /// The height asked for, in pixels.
    pub height: u32,
    /// The number of bytes given.
    pub found: usize,
}

/// What a file says about its picture. All but size and format come from EXIF and may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Width in pixels of the whole picture, upright, at full size.
    pub width: u32,
    /// Height in pixels of the whole picture, upright, at full size.
    pub height: u32,
    /// When the picture was taken, by the camera's clock.
    pub taken: Option<Taken>,
    /// Make and model of the camera, the make not said twice.
    pub camera: Option<String>,
    /// Where the picture was taken.
    pub place: Option<Place>,
    /// The format of the file, by its content.
    pub format: Format,
}

/// A local date and time, as seconds since 1970 as if the camera's clock had shown UTC.
///
/// Cameras rarely know their time zone; the wall clock is what people remember and search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taken(i64);

impl Taken {
    /// From seconds since the start of 1970, negative before it.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the start of 1970, negative before it.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }
}

/// A place on the earth, in degrees: north and east are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From -90 to 90.
    pub latitude: f64,
    /// From -180 to 180.
    pub longitude: f64,
}
