//! Every format that the program promises, and the format by content alone.

use image::{
    DynamicImage, Frame, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba, codecs::gif::GifEncoder,
};
use sightword::ingest::{DecodeError, DecodeOptions, Format, decode, read};

use super::pictures::{
    QUARTERS, WHITE, assert_card, assert_quarters, card, decoded, encode, fixture, jpeg,
};

#[test]
fn lossless_formats_give_the_very_pixels() {
    let card = card();
    for (format, known) in [
        (ImageFormat::Png, Format::Png),
        (ImageFormat::WebP, Format::WebP),
        (ImageFormat::Bmp, Format::Bmp),
        (ImageFormat::Tiff, Format::Tiff),
    ] {
        let picture = decoded(&encode(&card, format));
        assert_eq!(picture.facts.format, known);
        assert_eq!(picture.pixels.rgb(), card.as_bytes(), "{known}");
    }
}

#[test]
fn jpegs_of_every_kind_show_the_card() {
    assert_card(&decoded(&jpeg(&card())), 4);
    for name in ["progressive.jpg", "stored-rgb.jpg", "cmyk.jpg", "ycck.jpg"] {
        let picture = decoded(&fixture(name));
        assert_eq!(picture.facts.format, Format::Jpeg);
        assert_card(&picture, 4);
    }
}

#[test]
fn grey_becomes_equal_red_green_and_blue() {
    let grey = DynamicImage::from(card().to_luma8());
    let expected = QUARTERS.map(|[r, g, b]| {
        let light = 0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b);
        [light.round() as u8; 3]
    });
    for bytes in [jpeg(&grey), encode(&grey, ImageFormat::Png), encode(&grey, ImageFormat::Tiff)] {
        assert_quarters(&decoded(&bytes), expected, 2);
    }
}

#[test]
fn sixteen_bits_a_channel_become_eight() {
    let card = card();
    let rgb = DynamicImage::from(card.to_rgb16());
    let grey = DynamicImage::from(card.to_luma16());
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        assert_card(&decoded(&encode(&rgb, format)), 0);
        let grey = decoded(&encode(&grey, format));
        assert!(grey.pixels.rgb().as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
    }
}

#[test]
fn transparent_parts_are_white() {
    let rgba =
        ImageBuffer::from_fn(4, 4, |x, _| Rgba([10, 20, 30, if x < 2 { 0 } else { 255_u8 }]));
    let grey = ImageBuffer::from_fn(4, 4, |x, _| LumaA([40, if x < 2 { 0 } else { 255_u8 }]));
    let expected = |opaque| [WHITE, opaque, WHITE, opaque];
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let picture = decoded(&encode(&DynamicImage::from(rgba.clone()), format));
        assert_quarters(&picture, expected([10, 20, 30]), 0);
    }
    let picture = decoded(&encode(&DynamicImage::from(grey), ImageFormat::Png));
    assert_quarters(&picture, expected([40; 3]), 0);
}

#[test]
fn half_transparent_pixels_are_mixed_with_white() {
    let rgba = ImageBuffer::from_pixel(2, 2, Rgba([0_u8, 100, 200, 51]));
    let picture = decoded(&encode(&DynamicImage::from(rgba), ImageFormat::Png));
    assert_eq!(picture.pixels.rgb()[..3], [204, 224, 244]);
}

#[test]
fn a_transparent_entry_of_a_palette_is_white() {
    let picture = decoded(&fixture("palette-transparent.png"));
    assert_quarters(&picture, [WHITE, QUARTERS[1], QUARTERS[2], QUARTERS[3]], 0);
}

#[test]
fn the_first_frame_counts() {
    assert_card(&decoded(&fixture("animated.png")), 0);
    assert_card(&decoded(&fixture("animated.webp")), 0);
    let mut gif = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut gif);
        let white = ImageBuffer::from_pixel(48, 32, Rgba([255; 4]));
        encoder.encode_frames([card().to_rgba8(), white].map(Frame::new)).unwrap();
    }
    let picture = decoded(&gif);
    assert_eq!(picture.facts.format, Format::Gif);
    assert_card(&picture, 2);
}

#[test]
fn jpeg_xl_comes_in_colour_grey_and_with_alpha() {
    assert_card(&decoded(&fixture("lossless.jxl")), 0);
    assert_card(&decoded(&fixture("lossy.jxl")), 10);
    let picture = decoded(&fixture("alpha.jxl"));
    assert_quarters(&picture, [WHITE, QUARTERS[1], WHITE, QUARTERS[3]], 0);
    let [[r, g, b], ..] = super::pictures::quarters(&decoded(&fixture("grey.jxl")));
    assert!(r == g && g == b && r.abs_diff(87) <= 3, "{r}");
}

#[test]
fn a_format_that_was_not_built_in_names_the_feature_to_build_with() {
    for (name, format, feature, built) in [
        ("turned.avif", Format::Avif, "avif", cfg!(feature = "avif")),
        ("facts.heic", Format::Heic, "heic", cfg!(feature = "heic")),
    ] {
        if built {
            let picture = decoded(&fixture(name));
            assert_eq!(picture.facts.format, format);
            assert_card(&picture, 8);
        } else {
            let error = decode(&fixture(name), &DecodeOptions::default()).unwrap_err();
            assert_eq!(error, DecodeError::NeedsFeature { format, feature });
            assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
        }
    }
}

#[test]
fn the_name_of_a_file_says_nothing_about_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really-a-png.jpg");
    std::fs::write(&path, encode(&card(), ImageFormat::Png)).unwrap();
    let picture = read(&path, &DecodeOptions::default()).unwrap();
    assert_eq!(picture.facts.format, Format::Png);
    assert_card(&picture, 0);
}

#[test]
fn the_smallest_picture_is_one() {
    let dot = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgb([1_u8, 2, 3])));
    assert_eq!(decoded(&encode(&dot, ImageFormat::Png)).pixels.rgb(), [1, 2, 3]);
    let grey = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Luma([9_u8])));
    assert_eq!(decoded(&encode(&grey, ImageFormat::Bmp)).pixels.rgb(), [9, 9, 9]);
}
