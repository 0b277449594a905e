//! Which format a file is in: by its first bytes. Its extension only says whether to look at all.

use std::{fmt, path::Path};

/// A format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG, whatever its coding and colours.
    Jpeg,
    /// PNG; of an animated one, the still picture.
    Png,
    /// WebP, lossy or lossless; of an animated one, the first frame.
    WebP,
    /// GIF, the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF, the first page.
    Tiff,
    /// JPEG XL, the first frame.
    Jxl,
    /// AVIF; decoded by builds with the feature `avif`.
    Avif,
    /// HEIC and HEIF; decoded by builds with the feature `heic`.
    Heic,
}

/// Extensions, in lower case, and whether this build reads the format behind them.
const EXTENSIONS: [(&str, bool); 14] = [
    ("jpg", true),
    ("jpeg", true),
    ("jpe", true),
    ("jfif", true),
    ("png", true),
    ("webp", true),
    ("gif", true),
    ("bmp", true),
    ("tif", true),
    ("tiff", true),
    ("jxl", true),
    ("avif", cfg!(feature = "avif")),
    ("heic", cfg!(feature = "heic")),
    ("heif", cfg!(feature = "heic")),
];

impl Format {
    /// The format that these bytes, the start of a file, announce.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [0xff, 0x0a, ..]
            | [0, 0, 0, 12, b'J', b'X', b'L', b' ', b'\r', b'\n', 0x87, b'\n', ..] => {
                Some(Self::Jxl)
            }
            [b'B', b'M', ..] => is_bitmap(bytes).then_some(Self::Bmp),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => by_brand(bytes),
            _ => None,
        }
    }

    /// Whether a file of this name is worth a look: its extension is that of a format that this
    /// build reads. The decision what it is comes from [`detect`](Self::detect).
    #[must_use]
    pub fn may_be_picture(path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|found| {
            EXTENSIONS
                .iter()
                .any(|(known, readable)| *readable && known.eq_ignore_ascii_case(found))
        })
    }

    /// The usual name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Jxl => "JPEG XL",
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Two letters are little evidence: the size of the second header has to be a known one too.
fn is_bitmap(bytes: &[u8]) -> bool {
    matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// The brands of a file that begins with an `ftyp` box: AVIF and HEIC differ in them alone.
fn by_brand(bytes: &[u8]) -> Option<Format> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let end = bytes.len().min(usize::try_from(size).ok()?);
    let (brands, _) = bytes.get(8..end)?.as_chunks::<4>();
    // Four bytes of version stand between the main brand and the compatible ones.
    let has = |known: &[&[u8; 4]]| brands.iter().any(|brand| known.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        Some(Format::Avif)
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        Some(Format::Heic)
    } else {
        None
    }
}
