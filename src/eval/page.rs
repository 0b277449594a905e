//! Failures as one HTML file that needs no other: styles and pictures are inside.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::failures::{Failure, Shown};
use super::measures::percent;

/// Words shown below a photo, of those matched and of those missed.
const WORDS: usize = 8;

const STYLE: &str = "\
body { font: 14px system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em }
h2 { font-size: 1.1em; margin: 2em 0 .4em }
.photos { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; width: 11em; font-size: .85em; overflow-wrap: anywhere }
figure.right img { outline: 3px solid #2a7d3f }
img { display: block; margin-bottom: .3em }
.matched { color: #2a7d3f } .missed { color: #a33 }
@media (prefers-color-scheme: dark) {
  body { background: #111; color: #ddd } .matched { color: #7c9 } .missed { color: #f88 }
}";

/// What the page says first.
pub(crate) struct Heading<'a> {
    pub(crate) model: &'a str,
    /// Queries asked.
    pub(crate) asked: usize,
    /// Queries that failed, shown or not.
    pub(crate) failed: usize,
}

/// Writes the page; `thumbnails` are JPEG files by photo.
pub(crate) fn write(
    heading: &Heading<'_>,
    failures: &[Failure<'_>],
    thumbnails: &HashMap<usize, Vec<u8>>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Heading { model, asked, failed } = heading;
    let (model, shown) = (Text(model), failures.len());
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    writeln!(out, "<title>Failures of {model}</title>\n<style>\n{STYLE}\n</style>")?;
    writeln!(out, "<h1>Failures of {model}</h1>")?;
    writeln!(
        out,
        "<p>{failed} of {asked} queries ({:.1} %) have no right photo among the first ten; the {shown} \
         worst are here. The right photo is outlined. Below each photo: the words of the query that \
         it has, with what each adds to the score, and those that it does not have, with their \
         weights.</p>",
        percent(*failed, *asked)
    )?;
    for failure in failures {
        writeln!(out, "<h2>{}</h2>\n<div class=\"photos\">", Text(failure.text))?;
        photo("right", &failure.right, thumbnails, out)?;
        for wrong in &failure.wrong {
            photo("wrong", wrong, thumbnails, out)?;
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</html>")
}

fn photo(
    class: &str,
    shown: &Shown<'_>,
    thumbnails: &HashMap<usize, Vec<u8>>,
    out: &mut impl Write,
) -> io::Result<()> {
    let jpeg = thumbnails.get(&shown.photo).map(Vec::as_slice).unwrap_or_default();
    let (id, data) = (Text(shown.id), BASE64.encode(jpeg));
    let rank = shown.rank.map_or_else(|| "not found".to_owned(), |rank| format!("rank {rank}"));
    writeln!(
        out,
        "<figure class=\"{class}\"><img alt=\"\" src=\"data:image/jpeg;base64,{data}\">"
    )?;
    writeln!(out, "<figcaption>{rank}, score {:.2}<br>{id}", shown.score)?;
    words("matched", &shown.matched, out)?;
    words("missed", &shown.missed, out)?;
    writeln!(out, "</figcaption></figure>")
}

fn words(class: &str, words: &[(String, f64)], out: &mut impl Write) -> io::Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    write!(out, "<br><span class=\"{class}\">{class}:")?;
    for (word, weight) in words.iter().take(WORDS) {
        write!(out, " {}&nbsp;{weight:.1}", Text(word))?;
    }
    writeln!(out, "{}</span>", if words.len() > WORDS { " …" } else { "" })
}

/// A text in HTML: what would be markup is shown as it is.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                _ => fmt::Write::write_char(out, c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let hostile = "<img src=x onerror=\"alert('&')\">";
        let shown = |rank| Shown {
            id: hostile,
            photo: 0,
            rank,
            score: 1.5,
            matched: vec![(hostile.into(), 1.5)],
            missed: vec![("cup".into(), 0.4)],
        };
        let failure = Failure {
            text: hostile,
            right: shown(None),
            wrong: vec![shown(Some(1)), shown(Some(2))],
        };
        let heading = Heading { model: hostile, asked: 4, failed: 1 };
        let mut page = Vec::new();
        let thumbnails = HashMap::from([(0, vec![0xff, 0xd8])]);
        write(&heading, &[failure], &thumbnails, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(!page.contains("onerror=\"") && !page.contains("<img src"), "{page}");
        assert!(page.contains("onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;"), "{page}");
        assert_eq!(page.matches("data:image/jpeg;base64,/9g=").count(), 3);
        assert!(page.contains("not found, score 1.50") && page.contains("rank 2"), "{page}");
        assert!(page.contains("1 of 4 queries (25.0 %)"), "{page}");
    }
}
