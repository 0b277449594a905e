//! Tables of one caption a row: `Flickr8k.token.txt` (`name#n<TAB>caption`), `captions.txt`
//! (`image,caption`), Flickr30k's `results.csv` (`image_name| comment_number| comment`).

use std::collections::HashMap;

use csv::{ReaderBuilder, Trim};

use super::{Raw, Reason, Skipped};

/// The layouts differ in what separates columns, and in their heading.
#[derive(Clone, Copy)]
enum Layout {
    Tabs,
    Commas,
    Bars,
}

impl Layout {
    fn of(first_line: &str) -> Option<Self> {
        let heading = first_line.trim().trim_start_matches('\u{feff}').to_lowercase();
        if heading == "image,caption" {
            Some(Self::Commas)
        } else if heading.starts_with("image_name|") {
            Some(Self::Bars)
        } else {
            first_line.contains('\t').then_some(Self::Tabs)
        }
    }

    fn reader(self, bytes: &[u8]) -> csv::Reader<&[u8]> {
        let mut builder = ReaderBuilder::new();
        builder.flexible(true).trim(Trim::All);
        match self {
            Self::Commas => &mut builder,
            Self::Tabs => builder.delimiter(b'\t').quoting(false).has_headers(false),
            Self::Bars => builder.delimiter(b'|').quoting(false),
        }
        .from_reader(bytes)
    }
}

/// One record for each picture, with its captions in the table's order.
pub(super) fn captions(bytes: &[u8], skipped: &mut Skipped) -> Result<Vec<Raw>, String> {
    let first_line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let layout = Layout::of(&String::from_utf8_lossy(first_line)).ok_or(
        "the first line should be `image,caption`, `image_name| comment_number| comment` or \
         `name#number`, a tab and a caption",
    )?;
    let mut records: Vec<Raw> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in layout.reader(bytes).byte_records() {
        let Some((image, caption)) = row.ok().and_then(|row| columns(&row)) else {
            *skipped.entry(Reason::NoRecord).or_default() += 1;
            continue;
        };
        let at = *places.entry(image.clone()).or_insert_with(|| {
            records.push(Raw { id: image.clone(), image, ..Raw::default() });
            records.len() - 1
        });
        records[at].captions.push(caption);
    }
    Ok(records)
}

/// The picture's name, without the caption's number, and the caption: the first and last columns.
fn columns(row: &csv::ByteRecord) -> Option<(String, String)> {
    let text = |at| row.get(at).map(|bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned());
    let caption = row.len().checked_sub(1).filter(|&last| last > 0).and_then(text)?;
    let name = text(0)?;
    let name = name.split('#').next().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), caption))
}
