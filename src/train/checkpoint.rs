//! Everything that a run needs to go on, in one file that is replaced as a whole.
//!
//! A `safetensors` file; how far the run is stands in its metadata. A kill, a crash or a full disk
//! while it is written leaves the one before it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::error::TrainError;

const FORMAT: &str = "sightword-checkpoint/1";
/// Where the state stands in the metadata.
const KEY: &str = "sightword";

/// How far a run is, and what it is a run of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: String,
    /// The stage that is under way, by its place in the config.
    pub(crate) stage: usize,
    /// Steps of this stage that are done.
    pub(crate) step: usize,
    /// Steps done over all stages.
    pub(crate) total: usize,
    run: Run,
}

/// Fingerprints of what leads to the steps of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) config: String,
    pub(crate) records: String,
    /// Of the model that the run began with.
    pub(crate) model: String,
}

impl State {
    /// Before the first step.
    pub(crate) fn new(run: Run) -> Self {
        Self { format: FORMAT.to_owned(), stage: 0, step: 0, total: 0, run }
    }
}

/// A state and its tensors: groups of them by name, such as `weights`.
pub(crate) struct Checkpoint {
    path: PathBuf,
    pub(crate) state: State,
    tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    /// Where a run in `out` keeps it.
    pub(crate) fn path(out: &Path) -> PathBuf {
        out.join("checkpoint.safetensors")
    }

    /// Replaces the file.
    pub(crate) fn save(
        path: &Path,
        state: &State,
        groups: &[(&str, BTreeMap<String, Tensor>)],
    ) -> Result<(), TrainError> {
        // Numbers and texts: nothing that JSON could not hold.
        let json = serde_json::to_string(state).unwrap_or_default();
        let metadata = HashMap::from([(KEY.to_owned(), json)]);
        let tensors: Vec<(String, &Tensor)> = groups
            .iter()
            .flat_map(|(group, tensors)| {
                tensors.iter().map(move |(name, tensor)| (format!("{group}.{name}"), tensor))
            })
            .collect();
        let write = |path: &Path| {
            safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(io::Error::other)
        };
        replace(path, write).map_err(|source| TrainError::Io { path: path.to_owned(), source })
    }

    /// Reads the file and checks that it belongs to the run that `fresh` is the beginning of.
    pub(crate) fn open(path: &Path, fresh: &State) -> Result<Self, TrainError> {
        let wrong = |what: String| TrainError::Checkpoint { path: path.to_owned(), what };
        let bytes =
            fs::read(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| wrong(format!("damaged: {error}")))?;
        let json = header.metadata().as_ref().and_then(|entries| entries.get(KEY));
        let json = json.ok_or_else(|| wrong("not a checkpoint of a training run".to_owned()))?;
        let state: State =
            serde_json::from_str(json).map_err(|error| wrong(format!("damaged: {error}")))?;
        if state.format != fresh.format {
            return Err(wrong(format!("format {:?}, this program reads {FORMAT:?}", state.format)));
        }
        let others = [
            (&state.run.config, &fresh.run.config, "config"),
            (&state.run.records, &fresh.run.records, "set of photos and captions"),
            (&state.run.model, &fresh.run.model, "model to start from"),
        ];
        for (theirs, ours, what) in others {
            if theirs != ours {
                let remedy = "start in another folder, or go back to what it was";
                return Err(wrong(format!("made with another {what}\n  try: {remedy}")));
            }
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|error| wrong(format!("damaged: {error}")))?;
        Ok(Self { path: path.to_owned(), state, tensors })
    }

    /// The tensors of a group, each as large as that of the same name in `like`.
    pub(crate) fn group(
        &self,
        group: &str,
        like: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let wrong = |what: String| TrainError::Checkpoint { path: self.path.clone(), what };
        let mut found = BTreeMap::new();
        for (name, like) in like {
            let tensor = self.tensors.get(&format!("{group}.{name}"));
            let tensor = tensor.ok_or_else(|| {
                wrong(format!("has no {group} for {name}: made from another model"))
            })?;
            if tensor.dims() != like.dims() {
                let (theirs, ours) = (tensor.dims(), like.dims());
                let what = format!("{name} is {theirs:?} here and {ours:?} in the model");
                return Err(wrong(what));
            }
            found.insert(name.clone(), tensor.clone());
        }
        Ok(found)
    }
}

/// Replaces a file by what `write` writes, or leaves it as it is.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let new = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?.into_temp_path();
    write(&new)?;
    fs::File::open(&new)?.sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The rename itself is durable only when the folder is. Not every system can sync a folder.
    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(config: &str) -> State {
        let [config, records, model] = [config, "records", "model"].map(str::to_owned);
        State::new(Run { config, records, model })
    }

    fn weights(values: &[f32]) -> BTreeMap<String, Tensor> {
        let tensor = Tensor::new(values, &Device::Cpu).unwrap();
        BTreeMap::from([("a".to_owned(), tensor)])
    }

    fn saved(values: &[f32]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Checkpoint::path(folder.path());
        let mut done = state("config");
        done.total = 7;
        Checkpoint::save(&path, &done, &[("weights", weights(values))]).unwrap();
        (folder, path)
    }

    #[test]
    fn what_was_saved_is_read() {
        let (_folder, path) = saved(&[1.0, 0.1]);
        let checkpoint = Checkpoint::open(&path, &state("config")).unwrap();
        assert_eq!(checkpoint.state.total, 7);
        let read = checkpoint.group("weights", &weights(&[0.0, 0.0])).unwrap();
        assert_eq!(read["a"].to_vec1::<f32>().unwrap(), [1.0, 0.1]);
    }

    #[test]
    fn another_shape_config_or_file_is_refused_by_name() {
        let (folder, path) = saved(&[1.0, 0.1]);
        let checkpoint = Checkpoint::open(&path, &state("config")).unwrap();
        let told = checkpoint.group("weights", &weights(&[0.0])).unwrap_err().to_string();
        assert!(told.ends_with("a is [2] here and [1] in the model"), "{told}");
        let told = Checkpoint::open(&path, &state("other")).err().unwrap().to_string();
        assert!(told.contains("another config"), "{told}");
        let bytes = fs::read(&path).unwrap();
        for cut in [0, 5, bytes.len() - 1] {
            let damaged = folder.path().join("cut");
            fs::write(&damaged, &bytes[..cut]).unwrap();
            let told = Checkpoint::open(&damaged, &state("config")).err().unwrap().to_string();
            assert!(told.contains("damaged"), "{told}");
        }
    }

    #[test]
    fn a_full_disk_leaves_the_checkpoint_before() {
        let (folder, path) = saved(&[1.0]);
        let full = |new: &Path| {
            fs::write(new, b"half of it").unwrap();
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace(&path, full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(Checkpoint::open(&path, &state("config")).unwrap().state.total, 7);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }
}
