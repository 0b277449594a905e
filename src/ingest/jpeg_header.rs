//! What a JPEG file says before its pixels: size, colours, and whether its end is there.
//!
//! Decoders fill the missing part of a file that was cut off with grey; an index must not learn
//! such a picture. So the end marker is looked for first.

/// The header of a JPEG file whose end is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) colours: Colours,
}

/// How the components of a JPEG file stand for colours, by the rules of libjpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Four inks.
    Cmyk,
    /// Four inks, the first three of them turned into luma and chroma.
    Ycck,
}

/// What stands against decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    CutOff,
    NoFrame,
    Components(u8),
}

mod marker {
    pub(super) const SOS: u8 = 0xda;
    pub(super) const EOI: u8 = 0xd9;
    pub(super) const APP0: u8 = 0xe0;
    pub(super) const APP14: u8 = 0xee;

    /// Start of a frame of any coding: C0 to CF without DHT, JPG and DAC.
    pub(super) fn is_frame(code: u8) -> bool {
        matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc)
    }

    /// Markers without a length: TEM, RST0 to RST7, SOI.
    pub(super) fn is_bare(code: u8) -> bool {
        matches!(code, 0x01 | 0xd0..=0xd8)
    }

    /// Markers that may follow a scan; others inside coded data are noise.
    pub(super) fn may_follow_scan(code: u8) -> bool {
        matches!(code, 0xc4 | 0xda..=0xdd | 0xe0..=0xef | 0xfe)
    }
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Defect> {
        let (frame, application, scan) = read_segments(bytes)?;
        if !has_end(bytes, scan) {
            return Err(Defect::CutOff);
        }
        let [_, h0, h1, w0, w1, components, rest @ ..] = frame else { return Err(Defect::NoFrame) };
        Ok(Self {
            width: u16::from_be_bytes([*w0, *w1]),
            height: u16::from_be_bytes([*h0, *h1]),
            colours: application.colours(*components, rest)?,
        })
    }
}

/// The segments that tell how colours are meant.
#[derive(Default)]
struct Application {
    jfif: bool,
    adobe: Option<u8>,
}

impl Application {
    fn note(&mut self, code: u8, content: &[u8]) {
        match (code, content) {
            (marker::APP0, [b'J', b'F', b'I', b'F', 0, ..]) => self.jfif = true,
            (marker::APP14, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => {
                self.adobe = Some(*transform);
            }
            _ => {}
        }
    }

    fn colours(&self, components: u8, specification: &[u8]) -> Result<Colours, Defect> {
        // Three bytes a component; the first is its name.
        let named_rgb = matches!(specification, [b'R', _, _, b'G', _, _, b'B', ..]);
        match components {
            1 => Ok(Colours::Grey),
            3 if self.jfif => Ok(Colours::YCbCr),
            3 => Ok(match self.adobe {
                Some(0) => Colours::Rgb,
                None if named_rgb => Colours::Rgb,
                _ => Colours::YCbCr,
            }),
            4 if self.adobe == Some(2) => Ok(Colours::Ycck),
            4 => Ok(Colours::Cmyk),
            other => Err(Defect::Components(other)),
        }
    }
}

/// The frame segment, the notes of the application segments, and where the first scan begins.
fn read_segments(bytes: &[u8]) -> Result<(&[u8], Application, usize), Defect> {
    let mut frame = None;
    let mut application = Application::default();
    let mut at = 2;
    loop {
        let (code, content) = segment(bytes, &mut at).ok_or(Defect::CutOff)?;
        match code {
            marker::SOS => return Ok((frame.ok_or(Defect::NoFrame)?, application, at)),
            marker::EOI => return Err(Defect::NoFrame),
            code if marker::is_frame(code) => frame = frame.or(Some(content)),
            code => application.note(code, content),
        }
    }
}

/// The next marker and the content of its segment; `at` moves behind it. Bytes that belong to no
/// segment are passed over, as decoders do.
fn segment<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(u8, &'a [u8])> {
    let code = next_marker(bytes, at)?;
    if marker::is_bare(code) || code == marker::EOI {
        return Some((code, &[]));
    }
    let length = usize::from(u16::from_be_bytes([*bytes.get(*at)?, *bytes.get(*at + 1)?]));
    let content = bytes.get(*at + 2..*at + length.max(2))?;
    *at += length.max(2);
    Some((code, content))
}

fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += bytes.get(*at..)?.iter().position(|byte| *byte == 0xff)? + 1;
        // Any number of FF may stand before a marker; FF 00 is a byte of data.
        match *bytes.get(*at)? {
            0xff => {}
            0 => *at += 1,
            code => {
                *at += 1;
                return Some(code);
            }
        }
    }
}

/// Whether the end marker of the picture whose first scan begins at `at` is there.
fn has_end(bytes: &[u8], mut at: usize) -> bool {
    // Coded data cannot hold FF D9, so a file that ends with it is whole. Others may carry more
    // behind the picture (a second one, a film): the marker is looked for.
    if bytes.ends_with(&[0xff, marker::EOI]) {
        return true;
    }
    loop {
        match next_marker(bytes, &mut at) {
            None => return false,
            Some(marker::EOI) => return true,
            Some(code) if marker::may_follow_scan(code) => {
                at -= 2;
                if segment(bytes, &mut at).is_none() {
                    return false;
                }
            }
            Some(_) => {}
        }
    }
}
