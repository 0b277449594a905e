//! Makes hostile file names and tokens harmless on a terminal.
//!
//! A name may hold escape sequences that move the cursor, write to the clipboard or forge another
//! line; bidirectional controls that turn text around; zero-width and tag characters that hide it.
//! On a terminal these are shown as `\xNN` (bytes) or `\u{…}` (characters). Pipes get the bytes as
//! they are: a program wants the real name.

use std::ffi::OsStr;
use std::fmt::Write;

/// `text` with everything that could steer or fool a terminal escaped.
pub(crate) fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    push_text(&mut safe, text);
    safe
}

/// A file name or path made safe; bytes that are no UTF-8 are shown as `\xNN`.
pub(crate) fn name(name: &OsStr) -> String {
    let mut safe = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        push_text(&mut safe, chunk.valid());
        for byte in chunk.invalid() {
            push_escaped(&mut safe, format_args!("\\x{byte:02X}"));
        }
    }
    safe
}

/// Like [`text`], but line breaks stay: for our own messages of several lines.
pub(crate) fn lines(message: &str) -> String {
    message.split('\n').map(text).collect::<Vec<_>>().join("\n")
}

fn push_text(safe: &mut String, text: &str) {
    for character in text.chars() {
        if !is_hostile(character) {
            safe.push(character);
        } else if character.is_ascii() {
            push_escaped(safe, format_args!("\\x{:02X}", u32::from(character)));
        } else {
            push_escaped(safe, format_args!("\\u{{{:x}}}", u32::from(character)));
        }
    }
}

fn push_escaped(safe: &mut String, escaped: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = safe.write_fmt(escaped);
}

fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Bidirectional marks, embeddings, overrides and isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Zero width: spaces, joiners, invisible operators, deprecated format controls.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Tags, and the variation selectors that can carry hidden text.
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_of_any_language_are_left_alone() {
        for plain in ["2021/IMG_2231.jpg", "été à Paris.jpg", "鳥 🐦.png", "שלום", r"a\b", ""] {
            assert_eq!(text(plain), plain);
            assert_eq!(name(OsStr::new(plain)), plain);
        }
    }

    #[test]
    fn a_clipboard_payload_is_shown_not_run() {
        let payload = "x\u{1b}]52;c;cm0gLXJmIH4=\u{7}.jpg";
        assert_eq!(text(payload), "x\\x1B]52;c;cm0gLXJmIH4=\\x07.jpg");
    }

    #[test]
    fn a_carriage_return_or_line_break_cannot_forge_a_line() {
        assert_eq!(text("evil\r1  9.99  good.jpg"), "evil\\x0D1  9.99  good.jpg");
        assert_eq!(text("a\nb\u{85}c\u{2028}d"), "a\\x0Ab\\u{85}c\\u{2028}d");
    }

    #[test]
    fn turned_and_hidden_text_is_shown() {
        assert_eq!(text("photo\u{202e}gpj.exe"), "photo\\u{202e}gpj.exe");
        assert_eq!(text("a\u{200b}b\u{e0041}"), "a\\u{200b}b\\u{e0041}");
    }

    #[test]
    fn our_own_line_breaks_may_stay() {
        assert_eq!(lines("one\n  two\t"), "one\n  two\\x09");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(name(OsStr::from_bytes(b"a\xff\x1b\xc3\xa9.jpg")), "a\\xFF\\x1Bé.jpg");
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left(input in ".*") {
            prop_assert!(!text(&input).chars().any(is_hostile));
        }

        #[test]
        fn making_safe_twice_changes_nothing(input in ".*") {
            let once = text(&input);
            prop_assert_eq!(text(&once), once);
        }

        #[test]
        fn any_bytes_become_a_safe_name(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            #[cfg(unix)]
            {
                use std::os::unix::ffi::OsStrExt;
                prop_assert!(!name(OsStr::from_bytes(&bytes)).chars().any(is_hostile));
            }
            #[cfg(not(unix))]
            let _ = bytes;
        }
    }
}
