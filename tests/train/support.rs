//! A model so small that a step takes milliseconds, and runs on the example photos.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Width of the hidden states, and of the layer between two of them.
const HIDDEN: usize = 16;
const INNER: usize = 32;
/// Channels of the stem, of the blocks, and of the backbone's output.
const CHANNELS: [usize; 3] = [8, 8, 12];
const HEAD: usize = 24;
const PATCHES: usize = 16;
const MAX_TOKENS: usize = 12;

/// The captions of the example photos.
pub(super) fn captions() -> String {
    let file = root().join("tests/fixtures/train/captions.jsonl");
    fs::read_to_string(file).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a small random model, the captions, and a config.
pub(super) struct Trial {
    folder: TempDir,
}

/// How a run ended.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Trial {
    /// `stages` stand at the end of the config; measurements are `every` so many steps.
    pub(super) fn new(every: usize, stages: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trial = Self { folder };
        write_model(&trial.path("small"));
        fs::write(trial.path("captions.jsonl"), captions()).unwrap();
        trial.configure(every, stages);
        trial
    }

    /// Writes another config.
    pub(super) fn configure(&self, every: usize, stages: &str) {
        let photos = root().join("examples/photos");
        let config = format!(
            "seed = 3\nevery = {every}\n[model]\nname = \"mine\"\nfrozen_blocks = 1\n\
             keep_image = 12\n[data]\nviews = 3\ncache = \"features\"\n\
             [[data.set]]\nfile = \"captions.jsonl\"\npictures = {photos:?}\n{stages}"
        );
        fs::write(self.path("train.toml"), config).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program, on the small model.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightword"));
        command.env_remove("SIGHTWORD_INDEX").env("SIGHTWORD_MODEL", self.path("small"));
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Ran { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// `sightword train train.toml --out OUT …`, which must end with this code.
    #[track_caller]
    pub(super) fn train(&self, out: &str, more: &[&str], code: i32) -> Ran {
        let ran = self.run(&[&["train", "train.toml", "--out", out], more].concat());
        assert_eq!(ran.code, code, "{}", ran.err);
        ran
    }
}

/// One stage of contrast and grounding, of so many steps.
pub(super) fn stage(name: &str, steps: usize, more: &str) -> String {
    format!(
        "[[stage]]\nname = {name:?}\nlength = {{ steps = {steps} }}\nbatch = 6\n\
         learning_rate = 3e-3\nkeep_patches = 0.6\nmask_words = 0.2\n{more}\n"
    )
}

/// Writes a model folder with random weights.
pub(super) fn write_model(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let words = words();
    let outputs: Vec<usize> = (0..words.len()).filter(|&id| words[id].len() > 2).skip(5).collect();
    let vocabulary: BTreeMap<&str, usize> =
        words.iter().enumerate().map(|(id, word)| (word.as_str(), id)).collect();
    let tokenizer = json!({"model": {"type": "WordPiece", "vocab": vocabulary}});
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("config.json"), config(words.len()).to_string()).unwrap();
    fs::write(folder.join("model.safetensors"), weights(words.len(), &outputs)).unwrap();
}

/// Every word of the captions behind the special tokens.
fn words() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let mut seen = BTreeSet::new();
    for line in captions().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        for text in ["captions", "labels"].iter().flat_map(|key| record[key].as_array()).flatten() {
            seen.extend(text.as_str().unwrap().split(' ').map(str::to_owned));
        }
    }
    special.into_iter().chain(seen).collect()
}

fn config(vocabulary: usize) -> Value {
    let block = |stride: usize, expand: usize, inputs: usize, outputs: usize| {
        json!({"kernel": 3, "stride": stride, "expand": expand, "inputs": inputs,
            "outputs": outputs, "residual": stride == 1 && inputs == outputs})
    };
    let [stem, first, second] = CHANNELS;
    json!({
        "format": "sightword-model/1", "name": "small", "vocabulary": vocabulary,
        "bank": {"best": 1, "usual": 1.0, "power": 0.5},
        "hidden": HIDDEN, "heads": 2, "intermediate": INNER, "layer_norm_eps": 1e-12,
        "text": {"layers": 1, "max_tokens": MAX_TOKENS},
        "image": {"layers": 1, "size": 32, "mean": 127.0, "std": 128.0, "grid": 4,
            "backbone": {"kind": "efficientnet-lite0", "stem": stem, "head": HEAD,
                "blocks": [block(2, 1, stem, first), block(2, 2, first, second),
                    block(1, 2, second, second)]}},
        "keep": {"image": 20, "text": 10}, "impact_scale": 64.0,
    })
}

fn weights(vocabulary: usize, outputs: &[usize]) -> Vec<u8> {
    let mut made = Made::default();
    let [stem, first, second] = CHANNELS;
    made.layer("image.backbone.stem", &[stem, 3, 3, 3]);
    let blocks = [(1, stem, first), (2, first, second), (2, second, second)];
    for (number, (expand, inputs, outputs)) in blocks.into_iter().enumerate() {
        let name = format!("image.backbone.blocks.{number}");
        if expand > 1 {
            made.layer(&format!("{name}.expand"), &[inputs * expand, inputs, 1, 1]);
        }
        made.layer(&format!("{name}.depthwise"), &[inputs * expand, 1, 3, 3]);
        made.layer(&format!("{name}.project"), &[outputs, inputs * expand, 1, 1]);
    }
    made.layer("image.backbone.head", &[HEAD, second, 1, 1]);
    made.layer("image.projection", &[HIDDEN, HEAD]);
    made.random("image.positions", &[PATCHES, HIDDEN], 0.1);
    made.random("token_embeddings", &[vocabulary, HIDDEN], 0.5);
    made.random("text.positions", &[MAX_TOKENS, HIDDEN], 0.1);
    made.random("text.token_type", &[HIDDEN], 0.1);
    for tower in ["image", "text"] {
        made.norm(&format!("{tower}.embedding_norm"));
        made.transformer(&format!("{tower}.layers.0"));
        made.layer(&format!("{tower}.transform.dense"), &[HIDDEN, HIDDEN]);
        made.norm(&format!("{tower}.transform.norm"));
        made.random(&format!("{tower}.decoder_bias"), &[vocabulary], 0.1);
    }
    made.random("query_table", &[vocabulary], 1.0);
    let ids = outputs.iter().flat_map(|&id| i32::try_from(id).unwrap().to_le_bytes()).collect();
    made.tensors.push(("output_tokens".to_owned(), Dtype::I32, vec![outputs.len()], ids));
    let views = made.tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Tensors with numbers that are the same every time.
#[derive(Default)]
struct Made {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    state: u32,
}

impl Made {
    fn put(&mut self, name: &str, shape: &[usize], mut value: impl FnMut(&mut Self) -> f32) {
        let count = shape.iter().product();
        let bytes = (0..count).flat_map(|_| value(self).to_le_bytes()).collect();
        self.tensors.push((name.to_owned(), Dtype::F32, shape.to_vec(), bytes));
    }

    /// Evenly between −`size` and `size` (a linear congruential generator).
    #[expect(clippy::cast_precision_loss, reason = "24 bits")]
    fn random(&mut self, name: &str, shape: &[usize], size: f32) {
        self.put(name, shape, |made| {
            made.state = made.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((made.state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
        });
    }

    /// A weight and a bias: numbers of a size that keeps the size of what goes through.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let inputs = shape[1..].iter().product::<usize>() as f32;
        self.random(&format!("{name}.weight"), shape, (3.0 / inputs).sqrt());
        self.random(&format!("{name}.bias"), &shape[..1], 0.1);
    }

    fn norm(&mut self, name: &str) {
        self.put(&format!("{name}.weight"), &[HIDDEN], |_| 1.0);
        self.put(&format!("{name}.bias"), &[HIDDEN], |_| 0.0);
    }

    fn transformer(&mut self, name: &str) {
        for part in ["query", "key", "value", "attention_output"] {
            self.layer(&format!("{name}.{part}"), &[HIDDEN, HIDDEN]);
        }
        self.layer(&format!("{name}.intermediate"), &[INNER, HIDDEN]);
        self.layer(&format!("{name}.output"), &[HIDDEN, INNER]);
        self.norm(&format!("{name}.attention_norm"));
        self.norm(&format!("{name}.output_norm"));
    }
}
