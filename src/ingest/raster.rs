//! The formats that the `image` crate decodes.

use std::io::{Cursor, ErrorKind};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{
    DecodeError, DecodeOptions, Format, Pixels,
    colour::{from_grey, from_grey_alpha, rgba_over_white},
    decode::Decoded,
};

/// The widest pixels in use: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;
/// What a decoder may take beside the pixels: tables, metadata, a row of strips.
const SPARE_BYTES: u64 = 64 << 20;

pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<Decoded, DecodeError> {
    let known = match format {
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
        Format::Gif => ImageFormat::Gif,
        Format::Bmp => ImageFormat::Bmp,
        Format::Tiff => ImageFormat::Tiff,
        Format::Avif => ImageFormat::Avif,
        Format::Jpeg | Format::Jxl | Format::Heic => ImageFormat::Jpeg,
    };
    let fail = |error| explain(format, &error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), known);
    let mut limits = Limits::no_limits();
    limits.max_alloc =
        Some(options.max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(SPARE_BYTES));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(fail)?;
    let size = decoder.dimensions();
    options.check_size(size)?;
    let image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    let pixels = Pixels::new(size.0, size.1, to_rgb(image))
        .map_err(|error| DecodeError::Damaged { format, reason: error.to_string() })?;
    Ok(Decoded { pixels, size, reduced_by: 1, details: None, orientation: None })
}

fn to_rgb(image: DynamicImage) -> Vec<u8> {
    match image.color() {
        ColorType::L8 | ColorType::L16 => from_grey(&image.into_luma8()),
        ColorType::La8 | ColorType::La16 => {
            from_grey_alpha(image.into_luma_alpha8().as_chunks::<2>().0)
        }
        color if color.has_alpha() => rgba_over_white(image.into_rgba8().as_chunks::<4>().0),
        _ => image.into_rgb8().into_raw(),
    }
}

fn explain(format: Format, error: &ImageError) -> DecodeError {
    let reason = error.to_string();
    match error {
        ImageError::Unsupported(_) => DecodeError::Unsupported { format, reason },
        ImageError::IoError(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::CutOff { format }
        }
        _ => DecodeError::Damaged { format, reason },
    }
}
