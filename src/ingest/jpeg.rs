//! JPEG, by two decoders.
//!
//! A picture much larger than the model's input is decoded by `jpeg-decoder` at 1/2, 1/4 or 1/8 of
//! its size: several times faster than all its pixels, in a fraction of the memory. Others go
//! through `image`, whose decoder is the faster one at full size. Rare colours (inks, stored RGB)
//! always take the first way, where the rules for them are ours.

use jpeg_decoder::{ColorTransform, Decoder, Error, PixelFormat};

use super::{
    DecodeError, DecodeOptions, Format, Pixels,
    colour::{from_grey, from_inverted_cmyk},
    decode::Decoded,
    jpeg_header::{Colours, Defect, Header},
    raster,
    reduce::{crop, reduced, reduction},
};

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let header = Header::read(bytes).map_err(explain)?;
    let size = (u32::from(header.width), u32::from(header.height));
    options.check_size(size)?;
    let factor = reduction(size.0, size.1, options.target).min(8);
    let is_usual = matches!(header.colours, Colours::Grey | Colours::YCbCr);
    if factor == 1 && is_usual {
        return raster::decode(Format::Jpeg, bytes, options);
    }
    match decode_scaled(bytes, header, factor) {
        Ok(pixels) => {
            let pixels = crop(pixels, reduced(size.0, factor), reduced(size.1, factor));
            Ok(Decoded { pixels, size, reduced_by: factor, details: None, orientation: None })
        }
        Err(DecodeError::Unsupported { .. }) if is_usual => {
            raster::decode(Format::Jpeg, bytes, options)
        }
        Err(error) => Err(error),
    }
}

/// The picture at 1/`factor` of its size, rounded up; `factor` is 1, 2, 4 or 8.
fn decode_scaled(bytes: &[u8], header: Header, factor: u32) -> Result<Pixels, DecodeError> {
    let factor = u16::try_from(factor).unwrap_or(1);
    let mut decoder = Decoder::new(bytes);
    decoder.set_color_transform(match header.colours {
        Colours::Grey => ColorTransform::Grayscale,
        Colours::YCbCr => ColorTransform::YCbCr,
        Colours::Rgb => ColorTransform::RGB,
        Colours::Cmyk => ColorTransform::CMYK,
        Colours::Ycck => ColorTransform::YCCK,
    });
    let scaled = (header.width.div_ceil(factor), header.height.div_ceil(factor));
    let (width, height) = decoder.scale(scaled.0, scaled.1).map_err(|error| convert(&error))?;
    let samples = decoder.decode().map_err(|error| convert(&error))?;
    let pixels = match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::RGB24) => samples,
        Some(PixelFormat::L8) => from_grey(&samples),
        Some(PixelFormat::CMYK32) => from_cmyk(samples),
        // 16 bits a sample, in the machine's order of bytes: the first eight bits count.
        Some(PixelFormat::L16) => from_grey(&high_bytes(&samples)),
        None => Vec::new(),
    };
    Pixels::new(width.into(), height.into(), pixels).map_err(|error| damaged(error.to_string()))
}

/// `jpeg-decoder` turns stored inks over, so that 255 is full ink. Nearly all files store them
/// inverted; the few that do not cannot be told from them, and look like negatives everywhere.
fn from_cmyk(mut inks: Vec<u8>) -> Vec<u8> {
    inks.iter_mut().for_each(|ink| *ink = 255 - *ink);
    from_inverted_cmyk(inks.as_chunks::<4>().0)
}

fn high_bytes(samples: &[u8]) -> Vec<u8> {
    let (pairs, _) = samples.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_ne_bytes(*pair).to_be_bytes()[0]).collect()
}

fn explain(defect: Defect) -> DecodeError {
    let format = Format::Jpeg;
    match defect {
        Defect::CutOff => DecodeError::CutOff { format },
        Defect::NoFrame => damaged("it holds no picture".to_owned()),
        Defect::Components(count) => {
            DecodeError::Unsupported { format, reason: format!("{count} colour components") }
        }
    }
}

fn convert(error: &Error) -> DecodeError {
    let format = Format::Jpeg;
    match error {
        Error::Unsupported(feature) => {
            DecodeError::Unsupported { format, reason: format!("{feature:?}") }
        }
        Error::Io(_) => DecodeError::CutOff { format },
        Error::Format(reason) => damaged(reason.clone()),
        Error::Internal(cause) => damaged(cause.to_string()),
    }
}

fn damaged(reason: String) -> DecodeError {
    DecodeError::Damaged { format: Format::Jpeg, reason }
}
