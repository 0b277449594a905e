//! The identity of a picture: the hash of its bytes, whatever its name and place.

use std::fmt;

/// The BLAKE3 hash of a file's bytes.
///
/// Two files with the same bytes are the same picture; a renamed file stays the same picture; an
/// edited one is another. Shown as `b3:` and the first twelve hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// The identity of a file with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The identity with this hash.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All 64 hexadecimal digits, in lower case.
    #[must_use]
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads what [`hex`](Self::hex) wrote; capital letters are read too.
    ///
    /// # Errors
    /// If the text is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, ParseIdError> {
        match blake3::Hash::from_hex(text) {
            Ok(hash) => Ok(Self(*hash.as_bytes())),
            Err(_) => Err(ParseIdError { text: text.to_owned() }),
        }
    }

    /// The first eight bytes as a big-endian number: orders ids as their hexadecimal digits do.
    #[must_use]
    pub const fn key(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "b3:{:012x}", self.key() >> 16)
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ContentId({})", self.hex())
    }
}

/// The text is not the hexadecimal form of a [`ContentId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a content id: 64 hexadecimal digits are expected")]
pub struct ParseIdError {
    /// The text as it was given.
    pub text: String,
}
