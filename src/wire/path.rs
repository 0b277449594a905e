//! Paths, which need not be text.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

/// A path: text where it is UTF-8, else its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JsonPath {
    /// The path.
    Text(String),
    /// Its bytes, in base64.
    Bytes(String),
}

impl JsonPath {
    /// The shape of a path.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(BASE64.encode(raw_bytes(path))),
        }
    }
}

/// The bytes of a path as the system has them (on Windows: UTF-8, what is none replaced).
#[must_use]
pub fn raw_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().to_vec()
    }
    #[cfg(not(unix))]
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_where_it_can_be() {
        let json = serde_json::to_string(&JsonPath::new(Path::new("a/é.jpg"))).unwrap();
        assert_eq!(json, r#"{"text":"a/é.jpg"}"#);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let path = JsonPath::new(Path::new(OsStr::from_bytes(b"\xff.jpg")));
        assert_eq!(serde_json::to_string(&path).unwrap(), r#"{"bytes":"/y5qcGc="}"#);
    }
}
