//! From a file to a [`Picture`].

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    ContentId, Facts, Format, Picture, Pixels,
    exif::{self, Details},
    jpeg, jxl,
    orient::Orientation,
    quiet, raster,
    reduce::{reduce, reduction},
};

/// Names the way from a file's bytes to a model's input; stored with an index.
///
/// It covers the filter of [`resize`](super::resize()) and the rule by which a large picture is
/// decoded at reduced size: both sides at least 4 x target, to at least 2 x target, by a power of
/// two, a JPEG inside its inverse cosine transform. Any change to pixel values needs a new name.
pub const PREPROCESS_ID: &str = "squash-triangle/1 reduce-4x-to-2x/1 jpeg-scale/1";

/// What [`decode`] may spend, and what the pixels are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Pictures with more pixels are refused, before memory for them is taken.
    pub max_pixels: u64,
    /// Files with more bytes are refused, before they are read.
    pub max_bytes: u64,
    /// The side of the model's input in pixels. A picture with both sides at least four times as
    /// long is decoded at reduced size, at least twice as long. `u32::MAX` keeps every pixel.
    pub target: u32,
}

impl Default for DecodeOptions {
    /// 200 million pixels, 512 MB, 224 pixels.
    fn default() -> Self {
        Self { max_pixels: 200_000_000, max_bytes: 512_000_000, target: 224 }
    }
}

impl DecodeOptions {
    /// Refuses a picture whose header announces too many pixels, or none.
    pub(super) fn check_size(&self, (width, height): (u32, u32)) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::NoPixels { width, height });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        Ok(())
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_bytes {
            return Err(DecodeError::TooManyBytes { bytes, limit: self.max_bytes });
        }
        Ok(())
    }
}

/// Why bytes could not be turned into a picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The content is in no format of pictures, whatever the name says.
    #[error("not a picture: its content is in no known picture format")]
    NotAPicture,
    /// The format is known, but this program was built without it.
    #[error("this program reads no {format}: build it with `--features {feature}`")]
    NeedsFeature {
        /// The format of the file.
        format: Format,
        /// The Cargo feature that adds it.
        feature: &'static str,
    },
    /// The header announces a picture without pixels.
    #[error("a picture of {width} x {height} pixels shows nothing")]
    NoPixels {
        /// The width announced.
        width: u32,
        /// The height announced.
        height: u32,
    },
    /// The header announces more pixels than allowed.
    #[error("{width} x {height} pixels are over the limit of {limit} pixels")]
    TooManyPixels {
        /// The width announced.
        width: u32,
        /// The height announced.
        height: u32,
        /// The most pixels allowed.
        limit: u64,
    },
    /// The file is larger than allowed.
    #[error("{bytes} bytes are over the limit of {limit} bytes")]
    TooManyBytes {
        /// The size of the file.
        bytes: u64,
        /// The most bytes allowed.
        limit: u64,
    },
    /// The file ends before the picture does.
    #[error("the {format} file is cut off: its end is missing, copy it again from its source")]
    CutOff {
        /// The format of the file.
        format: Format,
    },
    /// The content breaks the rules of its format.
    #[error("the {format} file is damaged: {reason}")]
    Damaged {
        /// The format of the file.
        format: Format,
        /// What the decoder said.
        reason: String,
    },
    /// The content uses a part of its format that is not supported.
    #[error("this kind of {format} is not supported ({reason}): save it in another way")]
    Unsupported {
        /// The format of the file.
        format: Format,
        /// What the decoder said.
        reason: String,
    },
    /// The decoder panicked; only this file is lost.
    #[error("the decoder for {format} failed on this file: {reason}")]
    Crashed {
        /// The format of the file.
        format: Format,
        /// The message of the panic.
        reason: String,
    },
}

/// Why a file could not be read; every message names the file.
///
/// The cause is part of the message, and therefore not its [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system said no, or the file is gone.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        cause: io::Error,
    },
    /// The path is not that of a file with bytes in it.
    #[error("{}: not a file", path.display())]
    NotAFile {
        /// The folder, pipe, socket or device.
        path: PathBuf,
    },
    /// The bytes are not a picture that can be used.
    #[error("{}: {cause}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        cause: DecodeError,
    },
}

impl ReadError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::NotAFile { path } | Self::Decode { path, .. } => path,
        }
    }

    /// The message without the path.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Io { cause, .. } => cause.to_string(),
            Self::NotAFile { .. } => "not a file".to_owned(),
            Self::Decode { cause, .. } => cause.to_string(),
        }
    }
}

/// What a decoder of one format gives.
pub(super) struct Decoded {
    /// As stored, at full size or reduced.
    pub(super) pixels: Pixels,
    /// Width and height as stored, at full size.
    pub(super) size: (u32, u32),
    /// The power of two by which the pixels are reduced already: a part of the whole reduction.
    pub(super) reduced_by: u32,
    /// What its EXIF block says. `None`: read it from the file.
    pub(super) details: Option<Details>,
    /// How the picture is stored, where the format says it itself; EXIF has no say then.
    pub(super) orientation: Option<Orientation>,
}

/// Decodes a picture, in the format that its content shows.
///
/// The result is upright, by the file's orientation; transparent parts are white; of several
/// frames or pages the first counts. Colour profiles are not applied.
///
/// # Errors
/// If the bytes are no picture, a damaged or incomplete one, one of an unsupported kind, or one
/// over the limits of `options`. A broken EXIF block is no error: its facts are missing.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Picture, DecodeError> {
    options.check_bytes(bytes.len() as u64)?;
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = Format::detect(bytes).ok_or(DecodeError::NotAPicture)?;
    let decoded = quiet::catch(|| decode_as(format, bytes, options))
        .unwrap_or_else(|reason| Err(DecodeError::Crashed { format, reason }))?;
    let details = decoded.details.unwrap_or_else(|| exif::of_file(format, bytes));
    let orientation = decoded.orientation.unwrap_or(details.orientation);
    let factor = reduction(decoded.size.0, decoded.size.1, options.target);
    let pixels = orientation.apply(reduce(decoded.pixels, factor / decoded.reduced_by));
    let (width, height) = orientation.upright_size(decoded.size.0, decoded.size.1);
    let Details { taken, camera, place, .. } = details;
    let facts = Facts { width, height, taken, camera, place, format };
    Ok(Picture { id: ContentId::of(bytes), pixels, facts })
}

fn decode_as(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<Decoded, DecodeError> {
    match format {
        Format::Jpeg => jpeg::decode(bytes, options),
        Format::Jxl => jxl::decode(bytes, options),
        #[cfg(feature = "avif")]
        Format::Avif => super::isobmff::decode_avif(bytes, options),
        #[cfg(not(feature = "avif"))]
        Format::Avif => Err(DecodeError::NeedsFeature { format, feature: "avif" }),
        #[cfg(feature = "heic")]
        Format::Heic => super::heic::decode(bytes, options),
        #[cfg(not(feature = "heic"))]
        Format::Heic => Err(DecodeError::NeedsFeature { format, feature: "heic" }),
        Format::Png | Format::WebP | Format::Gif | Format::Bmp | Format::Tiff => {
            raster::decode(format, bytes, options)
        }
    }
}

/// Reads and decodes a file; its name plays no part.
///
/// # Errors
/// If the file cannot be read or [`decode`] refuses its bytes; the message names the file.
pub fn read(path: &Path, options: &DecodeOptions) -> Result<Picture, ReadError> {
    let refuse = |cause| ReadError::Decode { path: path.to_owned(), cause };
    let fail = |cause| ReadError::Io { path: path.to_owned(), cause };
    let (file, length) = open(path)?;
    options.check_bytes(length).map_err(refuse)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // A file that grows meanwhile is read up to one byte too many, which `decode` refuses.
    file.take(options.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    decode(&bytes, options).map_err(refuse)
}

/// The identity of a file, read piece by piece: its size does not matter.
///
/// # Errors
/// If the file cannot be read; the message names it.
pub fn hash_file(path: &Path) -> Result<ContentId, ReadError> {
    let (file, _) = open(path)?;
    let mut hasher = blake3::Hasher::new();
    // Not mapped: a file cut short while it is mapped would kill the process.
    match hasher.update_reader(file) {
        Ok(_) => Ok(ContentId::from_bytes(*hasher.finalize().as_bytes())),
        Err(cause) => Err(ReadError::Io { path: path.to_owned(), cause }),
    }
}

fn open(path: &Path) -> Result<(File, u64), ReadError> {
    let fail = |cause| ReadError::Io { path: path.to_owned(), cause };
    // Asked before opening, because opening a pipe waits for somebody to write into it.
    if !path.metadata().map_err(fail)?.is_file() {
        return Err(ReadError::NotAFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    Ok((file, length))
}
