//! Pixels at a model's size: the filter, and pictures that are decoded at reduced size.

use image::ImageFormat;
use proptest::prelude::*;
use sightword::ingest::{DecodeOptions, Picture, Pixels, decode, resize};

use super::pictures::{encode, fixture, jpeg, scene};

/// Every weight as the definition says, in `f64`.
fn slow_triangle(pixels: &Pixels, width: u32, height: u32) -> Vec<f64> {
    let taps = |input: u32, output: u32| -> Vec<Vec<f64>> {
        let scale = f64::from(input) / f64::from(output);
        let reach = scale.max(1.0);
        let weights = |out: u32| {
            let centre = (f64::from(out) + 0.5) * scale;
            let weight = |x: u32| (1.0 - (f64::from(x) + 0.5 - centre).abs() / reach).max(0.0);
            let weights: Vec<_> = (0..input).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / sum).collect()
        };
        (0..output).map(weights).collect()
    };
    let (across, down) = (taps(pixels.width(), width), taps(pixels.height(), height));
    let row = pixels.width() as usize * 3;
    let mut out = Vec::new();
    for y in &down {
        for x in &across {
            for channel in 0..3 {
                let mut sum = 0.0;
                for (line, v) in pixels.rgb().chunks_exact(row).zip(y) {
                    let values = line.iter().skip(channel).step_by(3);
                    sum += v * values.zip(x).map(|(value, h)| h * f64::from(*value)).sum::<f64>();
                }
                out.push(sum);
            }
        }
    }
    out
}

fn pixels() -> impl Strategy<Value = Pixels> {
    (1_u32..40, 1_u32..40).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), (width * height * 3) as usize)
            .prop_map(move |rgb| Pixels::new(width, height, rgb).unwrap())
    })
}

proptest! {
    #[test]
    fn resizing_is_the_antialiased_triangle(
        pixels in pixels(), width in 1_u32..30, height in 1_u32..30,
    ) {
        let found = resize(&pixels, width, height);
        let expected = slow_triangle(&pixels, width, height);
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            // Eight bits between the two passes and after them: one step of rounding each.
            prop_assert!((f64::from(*found) - expected).abs() <= 1.1, "{} {}", found, expected);
        }
    }
}

#[test]
fn a_picture_of_the_right_size_is_kept_as_it_is() {
    let pixels = Pixels::new(2, 1, vec![1, 2, 3, 250, 251, 252]).unwrap();
    assert_eq!(resize(&pixels, 2, 1), pixels.rgb());
    assert!(resize(&pixels, 0, 5).is_empty());
}

#[test]
fn pixels_have_exactly_the_bytes_of_their_size() {
    assert!(Pixels::new(2, 2, vec![0; 12]).is_ok());
    for (width, height, bytes) in [(2, 2, 11), (2, 2, 13), (0, 2, 0), (u32::MAX, u32::MAX, 3)] {
        let error = Pixels::new(width, height, vec![0; bytes]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{bytes} bytes")), "{error}");
    }
}

fn at(bytes: &[u8], target: u32) -> Picture {
    decode(bytes, &DecodeOptions { target, ..DecodeOptions::default() }).unwrap()
}

/// Mean and greatest difference of the model's input, from pixels at reduced and at full size.
fn drift(bytes: &[u8], target: u32) -> (f64, u8) {
    let reduced = resize(&at(bytes, target).pixels, target, target);
    let full = resize(&at(bytes, u32::MAX).pixels, target, target);
    let differences = reduced.iter().zip(&full).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = differences.clone().map(f64::from).sum();
    (sum / reduced.len() as f64, differences.max().unwrap())
}

#[test]
fn a_large_jpeg_is_decoded_at_reduced_size_with_nearly_the_same_result() {
    for (width, height, target, reduced, bound) in [
        (900, 1203, 224, (450, 602), 0.5),
        (2701, 1899, 224, (675, 475), 0.5),
        (1030, 799, 64, (258, 200), 1.0),
        (1801, 900, 56, (225, 113), 1.0),
    ] {
        let bytes = jpeg(&scene(width, height));
        let picture = at(&bytes, target);
        assert_eq!((picture.facts.width, picture.facts.height), (width, height));
        assert_eq!((picture.pixels.width(), picture.pixels.height()), reduced);
        let (mean, most) = drift(&bytes, target);
        assert!(mean <= bound && most <= 24, "{width} x {height}: mean {mean:.2}, most {most}");
    }
}

#[test]
fn other_formats_are_reduced_by_the_same_rule() {
    let bytes = encode(&scene(1030, 799), ImageFormat::Png);
    let picture = at(&bytes, 64);
    assert_eq!((picture.facts.width, picture.facts.height), (1030, 799));
    assert_eq!((picture.pixels.width(), picture.pixels.height()), (258, 200));
    let (mean, most) = drift(&bytes, 64);
    assert!(mean <= 1.0 && most <= 24, "mean {mean:.2}, most {most}");
}

#[test]
fn a_jpeg_may_be_reduced_further_than_its_decoder_can() {
    let picture = at(&jpeg(&scene(1030, 799)), 4);
    assert_eq!((picture.pixels.width(), picture.pixels.height()), (16, 13));
}

#[test]
fn rare_colours_survive_reduction() {
    for name in ["cmyk.jpg", "ycck.jpg", "stored-rgb.jpg", "progressive.jpg"] {
        let picture = at(&fixture(name), 4);
        assert_eq!((picture.facts.width, picture.facts.height), (48, 32));
        assert_eq!((picture.pixels.width(), picture.pixels.height()), (12, 8));
        super::pictures::assert_quarters(&picture, super::pictures::QUARTERS, 6);
    }
}

#[test]
fn pictures_below_four_times_the_target_keep_every_pixel() {
    let picture = at(&jpeg(&scene(895, 1400)), 224);
    assert_eq!((picture.pixels.width(), picture.pixels.height()), (895, 1400));
}
