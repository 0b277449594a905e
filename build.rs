//! Prepares what is compiled into the program: the default model's vocabulary, flat, and its hash, so
//! that neither costs time when the program starts; and the re-ranker, where there is one.

use std::path::Path;
use std::{env, error, fs};

#[path = "src/encode/flat.rs"]
mod flat;

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=models");
    println!("cargo:rerun-if-changed=src/encode/flat.rs");
    let model = Path::new("models/default");
    let hash = hash(model, &["config.json", "model.safetensors", "tokenizer.json"])?;
    println!("cargo:rustc-env=SIGHTWORD_MODEL_HASH={hash}");
    let tokens = flat::tokens_of(&fs::read(model.join("tokenizer.json"))?)?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("vocabulary.bin"), flat::pack(&tokens)?)?;
    fs::write(Path::new(&out).join("reranker.rs"), reranker()?)?;
    Ok(())
}

/// BLAKE3 of the files, one after the other.
fn hash(folder: &Path, names: &[&str]) -> Result<blake3::Hash, Box<dyn error::Error>> {
    let mut hash = blake3::Hasher::new();
    for name in names {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        hash.update(&bytes);
    }
    Ok(hash.finalize())
}

/// Source code of the constant that holds the re-ranker of `models/reranker`, if it is there.
fn reranker() -> Result<String, Box<dyn error::Error>> {
    let folder = env::current_dir()?.join("models/reranker");
    let names = ["config.json", "model.safetensors"];
    let embedded = if folder.is_dir() {
        let [config, weights] = names.map(|name| folder.join(name));
        let hash = hash(&folder, &names)?;
        format!("Some((include_bytes!({config:?}), include_bytes!({weights:?}), \"{hash}\"))")
    } else {
        String::from("None")
    };
    Ok(format!("const EMBEDDED: Option<(&[u8], &[u8], &str)> = {embedded};\n"))
}
