//! Prepares the default model: a flat vocabulary, and the model's hash, so that neither costs time
//! when the program starts.

use std::path::Path;
use std::{env, error, fs};

#[path = "src/encode/flat.rs"]
mod flat;

fn main() -> Result<(), Box<dyn error::Error>> {
    let model = Path::new("models/default");
    let mut hash = blake3::Hasher::new();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let path = model.join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        hash.update(&bytes);
    }
    println!("cargo:rerun-if-changed=src/encode/flat.rs");
    println!("cargo:rustc-env=SIGHTWORD_MODEL_HASH={}", hash.finalize().to_hex());
    let tokens = flat::tokens_of(&fs::read(model.join("tokenizer.json"))?)?;
    let out = Path::new(&env::var("OUT_DIR")?).join("vocabulary.bin");
    fs::write(out, flat::pack(&tokens)?)?;
    Ok(())
}
