//! Pixels at a model's input size.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use super::Pixels;

/// The whole picture at `width` x `height`, its shape not kept: RGB bytes, row by row.
///
/// An antialiased triangle filter, the one that Pillow calls `BILINEAR`: every output pixel is the
/// weighted mean of all input pixels under its triangle, which grows with the reduction. A picture
/// that has the size already is copied as it is. Empty if `width` or `height` is 0.
///
/// # Panics
/// Only if the memory for the result cannot be had.
#[must_use]
pub fn resize(pixels: &Pixels, width: u32, height: u32) -> Vec<u8> {
    if (pixels.width(), pixels.height()) == (width, height) {
        return pixels.rgb().to_vec();
    }
    if width == 0 || height == 0 {
        return Vec::new();
    }
    // `Pixels` cannot be made with another number of bytes.
    let source = ImageRef::new(pixels.width(), pixels.height(), pixels.rgb(), PixelType::U8x3)
        .expect("pixels hold exactly width * height * 3 bytes");
    let mut target = Image::new(width, height, PixelType::U8x3);
    let triangle = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // Fails for unlike or unknown kinds of pixels and for cropping, of which there is none here.
    Resizer::new()
        .resize(&source, &mut target, &triangle)
        .expect("both sides are RGB with 8 bits a channel");
    target.into_vec()
}
