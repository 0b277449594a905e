//! HEIC and HEIF, by the C library libheif.

use libheif_rs::{
    ColorSpace, HeifContext, HeifError, HeifErrorCode, HeifErrorSubCode, Image, LibHeif, RgbChroma,
};

use super::{
    DecodeError, DecodeOptions, Format, Pixels, colour::rgba_over_white, decode::Decoded,
    orient::Orientation,
};

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let library = LibHeif::new();
    let mut context = HeifContext::read_from_bytes(bytes).map_err(explain)?;
    // One file a thread is the caller's parallelism.
    context.set_max_decoding_threads(0);
    let handle = context.primary_image_handle().map_err(explain)?;
    options.check_size((handle.width(), handle.height()))?;
    let image = library.decode(&handle, ColorSpace::Rgb(RgbChroma::Rgba), None).map_err(explain)?;
    let size = (image.width(), image.height());
    let pixels = rgba(&image)
        .and_then(|rgba| Pixels::new(size.0, size.1, rgba_over_white(&rgba)).ok())
        .ok_or_else(|| damaged("its pixels are missing".to_owned()))?;
    // The library has turned the picture by what the format itself says; EXIF repeats that only.
    Ok(Decoded {
        pixels,
        size,
        reduced_by: 1,
        details: None,
        orientation: Some(Orientation::UPRIGHT),
    })
}

/// The pixels without the bytes that pad each row.
fn rgba(image: &Image) -> Option<Vec<[u8; 4]>> {
    let plane = image.planes().interleaved?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut pixels = Vec::with_capacity(width * height);
    for row in plane.data.chunks(plane.stride).take(height) {
        pixels.extend_from_slice(row.as_chunks::<4>().0.get(..width)?);
    }
    Some(pixels)
}

fn explain(error: HeifError) -> DecodeError {
    let format = Format::Heic;
    let is_end = matches!(error.sub_code, HeifErrorSubCode::EndOfData);
    match error.code {
        _ if is_end => DecodeError::CutOff { format },
        HeifErrorCode::UnsupportedFileType | HeifErrorCode::UnsupportedFeature => {
            DecodeError::Unsupported { format, reason: error.message }
        }
        _ => damaged(error.message),
    }
}

fn damaged(reason: String) -> DecodeError {
    DecodeError::Damaged { format: Format::Heic, reason }
}
