//! Makes an 8-bit model or re-ranker from one in half precision:
//! `cargo run --release --example quantise_model -- FROM_FOLDER TO_FOLDER`.
//!
//! `models/default` and `models/reranker` were made so. Only `model.safetensors` changes; the other files
//! of the folder are copied.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = folders.as_slice() else {
        anyhow::bail!(
            "give two folders: the model in half precision, and where to put the new one"
        );
    };
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        if name == "model.safetensors" {
            let quantised = sightword::encode::quantise_model::quantise_weights(fs::read(path)?)
                .map_err(anyhow::Error::msg)?;
            fs::write(to.join(name), quantised)?;
        } else if path.is_file() {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
