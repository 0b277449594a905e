//! Which collection, which model and which re-ranker a verb works with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use sightword::collection::Collection;
use sightword::encode::Encoder;
use sightword::rerank::{LateInteraction, Reranker};

/// Where the collection is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The folder of pictures [default: the nearest index here or above]
    #[arg(long = "in", value_name = "DIR")]
    pub(crate) in_dir: Option<PathBuf>,

    /// Where the index stands, if not in DIR/.sightword
    #[arg(long, value_name = "DIR", env = "SIGHTWORD_INDEX", hide_env_values = true)]
    pub(crate) index: Option<PathBuf>,
}

/// Which model to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct Model {
    /// A model folder instead of the model inside the program
    #[arg(
        long = "model",
        value_name = "DIR",
        env = "SIGHTWORD_MODEL",
        hide_env_values = true,
        global = true,
        hide_short_help = true
    )]
    folder: Option<PathBuf>,
}

/// Which re-ranker to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct Second {
    /// A re-ranker folder instead of the re-ranker inside the program
    #[arg(
        id = "reranker",
        long = "reranker",
        value_name = "DIR",
        env = "SIGHTWORD_RERANKER",
        hide_env_values = true,
        hide_short_help = true
    )]
    folder: Option<PathBuf>,
}

impl Second {
    /// Whether one was named.
    pub(crate) fn is_named(&self) -> bool {
        self.folder.is_some()
    }

    /// The re-ranker named, else the one inside the program; none if there is neither.
    pub(crate) fn find(&self, encoder: &Encoder) -> anyhow::Result<Option<Arc<dyn Reranker>>> {
        let found = match &self.folder {
            Some(folder) => Some(
                LateInteraction::open(folder, encoder)
                    .with_context(|| format!("cannot use the re-ranker in {}", folder.display()))?,
            ),
            // One that was made for the model inside the program is of no use to another.
            None if encoder.is_embedded() => LateInteraction::embedded(encoder)
                .context("the re-ranker inside the program does not fit")?,
            None => None,
        };
        Ok(found.map(|found| Arc::new(found) as Arc<dyn Reranker>))
    }

    /// As [`Second::find`], where there must be one.
    pub(crate) fn load(&self, encoder: &Encoder) -> anyhow::Result<Arc<dyn Reranker>> {
        let missing =
            || anyhow!("no re-ranker for the model {}\n  try: --reranker DIR", encoder.name());
        self.find(encoder)?.ok_or_else(missing)
    }
}

impl Model {
    /// Makes the encoder ready; its networks are set up when first used.
    pub(crate) fn load(&self) -> anyhow::Result<Arc<Encoder>> {
        let encoder = match &self.folder {
            Some(folder) => Self::open(folder)?,
            None => Encoder::embedded().context("the model inside the program is damaged")?,
        };
        Ok(Arc::new(encoder))
    }

    /// The model in a folder.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Encoder> {
        Encoder::open(folder)
            .with_context(|| format!("cannot use the model in {}", folder.display()))
    }
}

impl Place {
    /// The index's folder, without opening it.
    pub(crate) fn find(&self) -> anyhow::Result<PathBuf> {
        Ok(Collection::find(self.in_dir.as_deref(), self.index.as_deref())?)
    }

    /// Opens the collection that stands there.
    pub(crate) fn open(&self, encoder: Arc<Encoder>) -> anyhow::Result<Collection> {
        Ok(Collection::open(&self.find()?, encoder)?)
    }
}

/// Whether a file's name says that it is a picture.
pub(crate) fn has_picture_name(path: &Path) -> bool {
    const ENDINGS: [&str; 14] = [
        "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "jxl", "avif",
        "heic", "heif",
    ];
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}
