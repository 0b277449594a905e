//! Files that are cut off, empty, huge, mislabelled, gone or forbidden: each an error that says
//! so, and never a panic.

use std::{fs, path::Path};

use image::ImageFormat;
use proptest::prelude::*;
use sightword::ingest::{
    ContentId, DecodeError, DecodeOptions, Format, ReadError, decode, hash_file, read,
    silence_decoder_panics,
};

use super::pictures::{card, decoded, encode, fixture, fixture_path, jpeg, scene};

fn error_of(bytes: &[u8]) -> DecodeError {
    decode(bytes, &DecodeOptions::default()).unwrap_err()
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    assert_eq!(error_of(b""), DecodeError::Empty);
}

#[test]
fn a_text_named_like_a_picture_is_not_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.jpg");
    fs::write(&path, "BM is short for bitmap, but this is a text of some length.").unwrap();
    let error = read(&path, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error, ReadError::Decode { cause: DecodeError::NotAPicture, .. }));
    assert!(error.to_string().contains("notes.jpg: not a picture"), "{error}");
    assert!(error.reason().starts_with("not a picture"), "{}", error.reason());
    assert_eq!(error.path(), path);
}

#[test]
fn a_picture_of_a_hundred_thousand_pixels_a_side_is_refused_by_its_header() {
    let limit = 200_000_000;
    let error = error_of(&fixture("huge.png"));
    assert_eq!(error, DecodeError::TooManyPixels { width: 100_000, height: 100_000, limit });
    let message = error.to_string();
    assert!(message.contains("100000 x 100000") && message.contains("200000000"), "{message}");
}

#[test]
fn a_small_tiff_or_bitmap_that_claims_to_be_huge_is_refused() {
    let side = 100_000_u32.to_le_bytes();
    let mut tiff = b"II*\0\x08\0\0\0\x09\0".to_vec();
    let mut entry = |tag: u16, kind: u16, count: u32, value: u32| {
        tiff.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        tiff.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    };
    // Width, height, bits, no compression, RGB, strip, samples, rows of the strip, its length.
    entry(256, 4, 1, 100_000);
    entry(257, 4, 1, 100_000);
    entry(258, 3, 1, 8);
    entry(259, 3, 1, 1);
    entry(262, 3, 1, 1);
    entry(273, 4, 1, 8);
    entry(277, 3, 1, 1);
    entry(278, 4, 1, 100_000);
    entry(279, 4, 1, 100);
    tiff.extend([0; 4]);
    let (width, height, limit) = (100_000, 100_000, 200_000_000);
    assert_eq!(error_of(&tiff), DecodeError::TooManyPixels { width, height, limit });

    let mut bitmap = encode(&card(), ImageFormat::Bmp);
    bitmap[18..26].copy_from_slice(&[side, side].concat());
    let error = error_of(&bitmap).to_string();
    assert!(error.contains("100000") || error.contains("too large"), "{error}");
}

#[test]
fn every_format_is_held_to_the_limit_of_pixels() {
    let options = DecodeOptions { max_pixels: 48 * 32 - 1, ..DecodeOptions::default() };
    let mut files =
        ["lossless.jxl", "lossy.jxl", "cmyk.jpg", "progressive.jpg"].map(fixture).to_vec();
    files.push(jpeg(&card()));
    let formats = [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    files.extend(formats.map(|format| encode(&card(), format)));
    if cfg!(feature = "avif") {
        files.push(fixture("turned.avif"));
    }
    if cfg!(feature = "heic") {
        files.push(fixture("facts.heic"));
    }
    for bytes in files {
        let error = decode(&bytes, &options).unwrap_err();
        assert!(matches!(error, DecodeError::TooManyPixels { limit: 1535, .. }), "{error:?}");
    }
}

#[test]
fn a_jpeg_that_claims_to_be_huge_is_refused_by_its_header() {
    let mut bytes = jpeg(&card());
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    let (width, height, limit) = (65_500, 65_500, 200_000_000);
    assert_eq!(error_of(&bytes), DecodeError::TooManyPixels { width, height, limit });
}

#[test]
fn a_file_over_the_limit_of_bytes_is_refused() {
    let options = DecodeOptions { max_bytes: 100, ..DecodeOptions::default() };
    let error = read(&fixture_path("card.png"), &options).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("card.png: 134 bytes are over the limit of 100 bytes"), "{message}");
    assert_eq!(
        decode(&fixture("card.png"), &options),
        Err(DecodeError::TooManyBytes { bytes: 134, limit: 100 })
    );
}

#[test]
fn a_cut_off_jpeg_is_an_error_and_not_half_grey() {
    let cut = DecodeError::CutOff { format: Format::Jpeg };
    for bytes in
        [jpeg(&card()), fixture("progressive.jpg"), fixture("cmyk.jpg"), fixture("facts.jpg")]
    {
        for length in 3..bytes.len() {
            assert_eq!(error_of(&bytes[..length]), cut, "{length} of {}", bytes.len());
        }
    }
    let large = jpeg(&scene(1200, 900));
    assert_eq!(error_of(&large[..large.len() / 2]), cut);
    assert!(cut.to_string().contains("copy it again"));
}

#[test]
fn a_jpeg_may_carry_more_behind_its_end() {
    let plain = jpeg(&card());
    let more = [&plain[..], b"a film, a second picture, zeros \0\0\0"].concat();
    assert_eq!(decoded(&more).pixels, decoded(&plain).pixels);
}

#[test]
fn the_start_of_a_file_gives_an_error_or_the_whole_picture() {
    let formats = [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let mut files: Vec<_> = formats.map(|format| encode(&card(), format)).to_vec();
    let names = ["lossless.jxl", "lossy.jxl", "turned.jxl", "turned.tif", "animated.webp"];
    files.extend(names.map(fixture));
    files.push(fixture("palette-transparent.png"));
    for bytes in files {
        let whole = decoded(&bytes);
        for length in 0..bytes.len() {
            if let Ok(part) = decode(&bytes[..length], &DecodeOptions::default()) {
                let format = whole.facts.format;
                assert_eq!(part.pixels.rgb(), whole.pixels.rgb(), "{format}, {length} bytes");
            }
        }
    }
}

#[test]
fn a_file_that_is_gone_is_named() {
    let path = Path::new("no-such-folder/gone.jpg");
    for error in [read(path, &DecodeOptions::default()).unwrap_err(), hash_file(path).unwrap_err()]
    {
        assert!(matches!(error, ReadError::Io { .. }));
        assert!(error.to_string().contains("gone.jpg"), "{error}");
    }
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = hash_file(folder.path()).unwrap_err();
    assert!(matches!(error, ReadError::NotAFile { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: this system makes no pipes");
    }
    let error = read(&path, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error, ReadError::NotAFile { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_forbidden_file_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.png");
    fs::write(&path, fixture("card.png")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        return eprintln!("skipped: this user may read every file");
    }
    let error = read(&path, &DecodeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("secret.png: Permission denied"), "{error}");
}

#[test]
fn the_identity_of_a_picture_is_that_of_its_bytes() {
    let bytes = fixture("card.png");
    let id = hash_file(&fixture_path("card.png")).unwrap();
    assert_eq!(id, ContentId::of(&bytes));
    assert_eq!(id, decoded(&bytes).id);
    assert_eq!(id.to_string(), format!("b3:{}", &id.hex()[..12]));
    assert_eq!(format!("{:016x}", id.key()), id.hex()[..16]);
    assert_eq!(ContentId::from_hex(&id.hex().to_uppercase()), Ok(id));
    for wrong in ["", "b3:00", &id.hex()[1..], &id.hex().replace(|_| true, "g")] {
        assert!(ContentId::from_hex(wrong).unwrap_err().to_string().contains("64 hexadecimal"));
    }
}

const FIXTURES: [&str; 15] = [
    "alpha.jxl",
    "animated.png",
    "animated.webp",
    "card.png",
    "cmyk.jpg",
    "facts.heic",
    "facts.jpg",
    "grey.jxl",
    "lossy.jxl",
    "palette-transparent.png",
    "progressive.jpg",
    "turned.avif",
    "turned.jxl",
    "turned.tif",
    "ycck.jpg",
];

const STARTS: [&[u8]; 9] = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"RIFF\x40\0\0\0WEBPVP8",
    b"GIF89a",
    b"II*\0\x08\0\0\0",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"\0\0\0\x1cftypavif",
];

/// Small limits: what a damaged header asks for is not the matter here.
const SMALL: DecodeOptions = DecodeOptions { max_pixels: 100_000, max_bytes: 100_000, target: 8 };

proptest! {
    #[test]
    fn random_bytes_never_panic(
        start in 0..STARTS.len(), bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        silence_decoder_panics();
        let _ = decode(&bytes, &SMALL);
        let _ = decode(&[STARTS[start], &bytes].concat(), &SMALL);
    }

    #[test]
    fn damaged_pictures_never_panic(
        name in 0..FIXTURES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        silence_decoder_panics();
        let mut bytes = fixture(FIXTURES[name]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Err(error) = decode(&bytes, &SMALL) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
