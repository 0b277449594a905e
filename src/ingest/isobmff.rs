//! AVIF: its boxes say how large the picture is and how it is turned, which the decoder of its
//! pixels neither checks nor does.

use super::{DecodeError, DecodeOptions, Format, decode::Decoded, orient::Orientation, raster};

pub(super) fn decode_avif(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, DecodeError> {
    let cut = DecodeError::CutOff { format: Format::Avif };
    let properties = Properties::read(bytes).ok_or(cut)?;
    // Before the decoder sees the file: it decodes all pixels before it tells their number.
    for size in properties.sizes {
        options.check_size(size)?;
    }
    let decoded = raster::decode(Format::Avif, bytes, options)?;
    Ok(Decoded { orientation: Some(properties.orientation), ..decoded })
}

/// Properties of the pictures in the file. Files of photos hold one, its parts and its alpha
/// channel, all turned alike.
struct Properties {
    sizes: Vec<(u32, u32)>,
    orientation: Orientation,
}

impl Properties {
    fn read(bytes: &[u8]) -> Option<Self> {
        // The box `meta` begins with four bytes of version and flags.
        let meta = child(bytes, b"meta")?.get(4..)?;
        let list = child(child(meta, b"iprp")?, b"ipco")?;
        let sizes = Boxes(list).filter(|(name, _)| *name == b"ispe");
        let byte = |name| child(list, name).and_then(|content| content.first().copied());
        let mut orientation = match byte(b"irot").map(|turns| turns & 3) {
            Some(1) => Orientation::from_exif(8),
            Some(2) => Orientation::from_exif(3),
            Some(3) => Orientation::from_exif(6),
            _ => Orientation::UPRIGHT,
        };
        match byte(b"imir").map(|axis| axis & 1) {
            Some(0) => orientation = orientation.then_flipped(),
            Some(_) => orientation = orientation.then_mirrored(),
            None => {}
        }
        let sizes: Option<_> = sizes.map(|(_, content)| size(content)).collect();
        Some(Self { sizes: sizes?, orientation })
    }
}

fn size(content: &[u8]) -> Option<(u32, u32)> {
    let (numbers, _) = content.as_chunks::<4>();
    // Version and flags, width, height.
    let [_, width, height, ..] = numbers else { return None };
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

fn child<'a>(content: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    Boxes(content).find(|(found, _)| *found == name).map(|(_, content)| content)
}

/// The boxes in some content: name and content of each.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (size, rest) = self.0.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (length, header, rest) = match u32::from_be_bytes(*size) {
            // To the end of the file.
            0 => (self.0.len(), 8, rest),
            1 => {
                let (size, rest) = rest.split_first_chunk::<8>()?;
                (usize::try_from(u64::from_be_bytes(*size)).ok()?, 16, rest)
            }
            size => (usize::try_from(size).ok()?, 8, rest),
        };
        let content = rest.get(..length.checked_sub(header)?)?;
        self.0 = rest.get(content.len()..)?;
        Some((name, content))
    }
}
