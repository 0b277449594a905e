//! What is searched for, from the command line's words to a parsed query and a picture to be like.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use sightword::collection::{Like, PictureRef};
use sightword::query::{self, ParsedQuery, QueryMode};

use super::place::has_picture_name;

/// What ids of pictures begin with.
pub(crate) const ID_PREFIX: &str = "b3:";

/// How words get their weights.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Mode {
    /// The text network: related words count too
    #[default]
    Tower,
    /// A table, one weight a word: faster, finds less
    Table,
}

impl From<Mode> for QueryMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Tower => Self::Tower,
            Mode::Table => Self::Table,
        }
    }
}

/// Options that belong to the query itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct Refinement {
    /// Leave out pictures that show this; may be repeated
    #[arg(long, value_name = "PHRASE")]
    not: Vec<String>,

    /// How words get their weights
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    query_mode: Mode,
}

/// A query as the collection takes it.
pub(crate) struct Asked {
    pub(crate) query: ParsedQuery,
    pub(crate) like: Option<Like>,
    pub(crate) mode: QueryMode,
    /// The words as typed, for messages.
    pub(crate) typed: String,
}

impl Asked {
    /// Reads `words`: text of the query language, and at most one picture file among them or as
    /// `like`.
    pub(crate) fn read(
        words: &[String],
        like: Option<&str>,
        refinement: &Refinement,
    ) -> anyhow::Result<Self> {
        let (pictures, texts): (Vec<&String>, Vec<&String>) =
            words.iter().partition(|word| names_a_picture(word));
        let mut likes = pictures.into_iter().map(String::as_str).chain(like);
        let like = likes.next();
        if let Some(second) = likes.next() {
            bail!("a search can be like one picture only, '{second}' would be the second");
        }
        let texts: Vec<&str> = texts.into_iter().map(String::as_str).collect();
        let asked = Self::read_text(&texts.join(" "), refinement)?;
        if asked.query.is_empty() && like.is_none() {
            bail!("nothing to search for\n  try: sightword search 'a cup of coffee'");
        }
        Ok(Self { like: like.map(picture_ref), ..asked })
    }

    /// Reads a text of the query language, whatever files there are.
    pub(crate) fn read_text(typed: &str, refinement: &Refinement) -> anyhow::Result<Self> {
        let mut query = query::parse(typed)?;
        for phrase in &refinement.not {
            let excluded = query.exclude(phrase);
            excluded.map_err(|_| anyhow!("--not '{phrase}' has no word to exclude"))?;
        }
        Ok(Self { query, like: None, mode: refinement.query_mode.into(), typed: typed.to_owned() })
    }
}

/// A word is a picture if it ends like one and there is such a file: "dog.jpg" may be a caption too.
fn names_a_picture(word: &str) -> bool {
    let path = Path::new(word);
    has_picture_name(path) && path.is_file()
}

/// A picture named by its id or its path.
pub(crate) fn picture_ref(word: &str) -> PictureRef {
    if word.starts_with(ID_PREFIX) {
        PictureRef::Id(word.to_owned())
    } else {
        PictureRef::Path(PathBuf::from(word))
    }
}
