//! Makes an 8-bit model from one in half precision:
//! `cargo run --release --example quantise_model -- FROM_FOLDER TO_FOLDER`.
//!
//! `models/default` was made so. Only `model.safetensors` changes; `config.json` and
//! `tokenizer.json` are copied.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = folders.as_slice() else {
        anyhow::bail!(
            "give two folders: the model in half precision, and where to put the new one"
        );
    };
    let weights = fs::read(from.join("model.safetensors"))?;
    let quantised =
        sightword::encode::quantise_model::quantise_weights(weights).map_err(anyhow::Error::msg)?;
    fs::create_dir_all(to)?;
    fs::write(to.join("model.safetensors"), quantised)?;
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(from.join(name), Path::new(to).join(name))?;
    }
    Ok(())
}
