//! Pictures for the tests: drawn and encoded here, or read from `tests/fixtures`.

use std::{fs, io::Cursor, path::PathBuf};

use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use sightword::ingest::{DecodeOptions, Picture, decode};

/// The quarters of the card that all fixtures show: red, green / blue, yellow.
pub(crate) const QUARTERS: [[u8; 3]; 4] =
    [[220, 30, 30], [30, 180, 40], [30, 40, 200], [240, 220, 60]];

pub(crate) const WHITE: [u8; 3] = [255; 3];

pub(crate) fn fixture_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixture_path(name)).unwrap()
}

/// The card of 48 x 32 pixels.
pub(crate) fn card() -> DynamicImage {
    let quarter = |x, y| QUARTERS[usize::from(x >= 24) + 2 * usize::from(y >= 16)];
    RgbImage::from_fn(48, 32, |x, y| Rgb(quarter(x, y))).into()
}

/// Something like a photo: soft light, edges and a little noise, the same every time.
pub(crate) fn scene(width: u32, height: u32) -> DynamicImage {
    let mut noise = 1_u32;
    let image = RgbImage::from_fn(width, height, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let disc = if (u - 0.4).hypot(v - 0.6) < 0.2 { 90.0 } else { 0.0 };
        let bars = if (u * 24.0).fract() < 0.5 && v < 0.3 { 60.0 } else { 0.0 };
        let grain = f64::from(noise >> 28);
        let channel = |phase: f64| {
            let light = 80.0 + 50.0 * (u * 5.0 + v * 3.0 + phase).sin();
            (light + disc * (1.0 + phase) / 2.0 + bars + grain).clamp(0.0, 255.0) as u8
        };
        Rgb([channel(0.0), channel(0.7), channel(1.4)])
    });
    image.into()
}

pub(crate) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
    bytes
}

/// RGB pixels as JPEG, PNG or lossless WebP with an EXIF block.
pub(crate) fn with_exif(image: &DynamicImage, format: ImageFormat, exif: Vec<u8>) -> Vec<u8> {
    fn write(mut encoder: impl ImageEncoder, image: &DynamicImage, exif: Vec<u8>) {
        encoder.set_exif_metadata(exif).unwrap();
        let (width, height) = (image.width(), image.height());
        encoder.write_image(image.as_bytes(), width, height, ExtendedColorType::Rgb8).unwrap();
    }
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Jpeg => {
            write(JpegEncoder::new_with_quality(&mut bytes, 95), image, exif);
        }
        ImageFormat::Png => write(PngEncoder::new(&mut bytes), image, exif),
        ImageFormat::WebP => write(WebPEncoder::new_lossless(&mut bytes), image, exif),
        other => panic!("no EXIF in {other:?}"),
    }
    bytes
}

/// Decoded with the usual options.
#[track_caller]
pub(crate) fn decoded(bytes: &[u8]) -> Picture {
    decode(bytes, &DecodeOptions::default()).unwrap()
}

/// The colours in the middle of the four quarters.
pub(crate) fn quarters(picture: &Picture) -> [[u8; 3]; 4] {
    let (width, height) = (picture.pixels.width() as usize, picture.pixels.height() as usize);
    let (rgb, _) = picture.pixels.rgb().as_chunks::<3>();
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| rgb[height * y / 4 * width + width * x / 4])
}

#[track_caller]
pub(crate) fn assert_quarters(picture: &Picture, expected: [[u8; 3]; 4], tolerance: u8) {
    let found = quarters(picture);
    let is_near = found
        .as_flattened()
        .iter()
        .zip(expected.as_flattened())
        .all(|(found, expected)| found.abs_diff(*expected) <= tolerance);
    assert!(is_near, "found {found:?}, expected {expected:?}");
}

/// That it shows the card, and facts and pixels say 48 x 32.
#[track_caller]
pub(crate) fn assert_card(picture: &Picture, tolerance: u8) {
    assert_eq!((picture.facts.width, picture.facts.height), (48, 32));
    assert_eq!((picture.pixels.width(), picture.pixels.height()), (48, 32));
    assert_quarters(picture, QUARTERS, tolerance);
}
