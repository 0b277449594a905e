//! From what decoders give to RGB with 8 bits a channel.

/// RGB from pixels of `[R, G, B, alpha]`, over white.
pub(super) fn rgba_over_white(pixels: &[[u8; 4]]) -> Vec<u8> {
    pixels.iter().flat_map(|[r, g, b, alpha]| [r, g, b].map(|c| over_white(*c, *alpha))).collect()
}

/// RGB from grey.
pub(super) fn from_grey(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|value| [*value; 3]).collect()
}

/// RGB from grey with alpha, over white.
pub(super) fn from_grey_alpha(pixels: &[[u8; 2]]) -> Vec<u8> {
    pixels.iter().flat_map(|[grey, alpha]| [over_white(*grey, *alpha); 3]).collect()
}

/// RGB from pixels of `[C, M, Y, K]`, where 255 is the most light: the *inverted* inks that
/// printing programs write. No profile is applied.
pub(super) fn from_inverted_cmyk(pixels: &[[u8; 4]]) -> Vec<u8> {
    pixels.iter().flat_map(|[c, m, y, k]| [c, m, y].map(|light| times(*light, *k))).collect()
}

fn over_white(value: u8, alpha: u8) -> u8 {
    // The two products are parts of one mean, so the sum is at most 255 after the division.
    let sum = u16::from(value) * u16::from(alpha) + 255 * u16::from(255 - alpha);
    u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
}

fn times(a: u8, b: u8) -> u8 {
    u8::try_from((u16::from(a) * u16::from(b) + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_is_white_and_opaque_is_kept() {
        for value in [0, 1, 127, 254, 255] {
            assert_eq!(over_white(value, 255), value);
            assert_eq!(over_white(value, 0), 255);
        }
        assert_eq!(over_white(0, 128), 127);
    }
}
