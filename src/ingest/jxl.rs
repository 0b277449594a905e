//! JPEG XL.

use std::{error::Error, io};

use jxl_oxide::{
    AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, PixelFormat,
    RenderingIntent,
};

use super::{
    DecodeError, DecodeOptions, Format, Pixels,
    colour::{from_grey, from_grey_alpha, from_inverted_cmyk, rgba_over_white},
    decode::Decoded,
    exif::{self, Details},
    orient::Orientation,
};

/// The header is in the first bytes, unless a large colour profile or an EXIF block precedes it.
const PIECE: usize = 64 * 1024;
/// What the decoder may hold a pixel: four channels of `f32`, twice.
const BYTES_PER_PIXEL: u64 = 32;
const SPARE_BYTES: u64 = 64 << 20;
/// A cap on the same, for the sum of a hostile file: two gigabytes.
const MAX_MEMORY: u64 = 2 << 30;

pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let image = load(bytes, options)?;
    if image.num_loaded_keyframes() == 0 {
        return Err(DecodeError::CutOff { format: Format::Jxl });
    }
    let render = image.render_frame(0).map_err(|error| explain(&*error))?;
    let mut stream = render.stream();
    let (width, height, channels) = (stream.width(), stream.height(), stream.channels());
    let mut samples = vec![0; width as usize * height as usize * channels as usize];
    stream.write_to_buffer(&mut samples);
    let rgb = to_rgb(samples, image.pixel_format());
    let pixels = Pixels::new(width, height, rgb).map_err(|error| damaged(error.to_string()))?;
    let details = Some(details(&image));
    // The decoder has turned the picture by what the format itself says.
    let orientation = Some(Orientation::UPRIGHT);
    Ok(Decoded { pixels, size: (width, height), reduced_by: 1, details, orientation })
}

/// All frames loaded, none rendered.
fn load(bytes: &[u8], options: &DecodeOptions) -> Result<JxlImage, DecodeError> {
    let fail = |error: Box<dyn Error + Send + Sync>| explain(&*error);
    let (mut image, read) = open(bytes, options)?;
    options.check_size((image.width(), image.height()))?;
    if image.image_header().metadata.xyb_encoded {
        let intent = RenderingIntent::Relative;
        image.request_color_encoding(if image.image_header().metadata.grayscale() {
            EnumColourEncoding::gray_srgb(intent)
        } else {
            EnumColourEncoding::srgb(intent)
        });
    }
    image.feed_bytes(&bytes[read..]).map_err(fail)?;
    image.finalize().map_err(fail)?;
    Ok(image)
}

/// The image as far as its header, and the number of bytes read.
fn open(bytes: &[u8], options: &DecodeOptions) -> Result<(JxlImage, usize), DecodeError> {
    let fail = |error: Box<dyn Error + Send + Sync>| explain(&*error);
    let memory = options.max_pixels.saturating_mul(BYTES_PER_PIXEL).min(MAX_MEMORY) + SPARE_BYTES;
    let memory = AllocTracker::with_limit(usize::try_from(memory).unwrap_or(usize::MAX));
    // One file a thread is the caller's parallelism.
    let builder = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(memory);
    let mut image = builder.build_uninit();
    let (mut read, mut fed) = (0, 0);
    while fed < bytes.len() {
        fed = bytes.len().min(fed + PIECE);
        read += image.feed_bytes(&bytes[read..fed]).map_err(fail)?;
        match image.try_init().map_err(fail)? {
            InitializeResult::NeedMoreData(more) => image = more,
            InitializeResult::Initialized(image) => return Ok((image, read)),
        }
    }
    Err(DecodeError::CutOff { format: Format::Jxl })
}

fn to_rgb(samples: Vec<u8>, format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Rgb => samples,
        PixelFormat::Rgba => rgba_over_white(samples.as_chunks::<4>().0),
        PixelFormat::Gray => from_grey(&samples),
        PixelFormat::Graya => from_grey_alpha(samples.as_chunks::<2>().0),
        PixelFormat::Cmyk => from_inverted_cmyk(samples.as_chunks::<4>().0),
        PixelFormat::Cmyka => {
            let inks: Vec<_> =
                samples.as_chunks::<5>().0.iter().map(|[c, m, y, k, _]| [*c, *m, *y, *k]).collect();
            from_inverted_cmyk(&inks)
        }
    }
}

fn details(image: &JxlImage) -> Details {
    let Ok(found) = image.aux_boxes().first_exif() else { return Details::default() };
    let block = found.map(|block| {
        let offset = usize::try_from(block.tiff_header_offset()).unwrap_or(usize::MAX);
        block.payload().get(offset..).unwrap_or_default()
    });
    exif::of_block(block.unwrap_or(&[]))
}

fn explain(error: &(dyn Error + Send + Sync + 'static)) -> DecodeError {
    let cut = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if cut { DecodeError::CutOff { format: Format::Jxl } } else { damaged(error.to_string()) }
}

fn damaged(reason: String) -> DecodeError {
    DecodeError::Damaged { format: Format::Jxl, reason }
}
