//! Training as a user meets it: a run from config to model, stopped and resumed, and fed with bad input.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sightword::encode::Encoder;
use sightword::ingest::{DecodeOptions, Picture, read};

use support::{Trial, captions, stage};

/// STAIR's three stages, as small as can be.
fn three_stages(losses: &str) -> String {
    [
        stage("image", 6, &format!("train = \"both\"\ntext_mask = true\nlosses = {losses}")),
        stage("text", 4, "train = \"text\"\nlosses = { itc = 1, flops_text = 0.01 }"),
        stage("joint", 6, &format!("train = \"both\"\nprune = true\nlosses = {losses}")),
    ]
    .concat()
}

const ALL: &str = "{ itc = 1, grounding_image = 0.5, grounding_text = 0.3, flops_image = 0.01, \
                   flops_text = 0.01, df_flops = 0.01, mlm = 0.1, mvm = 0.1, itm = 0.1 }";
const CONTRAST: &str = "{ itc = 1, grounding_image = 0.5 }";

fn metrics(trial: &Trial, out: &str) -> Vec<Value> {
    let lines = trial.read(&format!("{out}/metrics.jsonl"));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_goes_through_its_stages_and_leaves_a_model_to_search_with() {
    let trial = Trial::new(8, &three_stages(ALL));
    let ran = trial.train("run", &[], 0);
    assert_eq!(ran.out, "run/model\n");
    assert!(ran.err.contains("12 photos to learn from, 4 to measure on"), "{}", ran.err);

    let lines = metrics(&trial, "run");
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let stages: Vec<_> = of("step").iter().map(|line| line["stage"].clone()).collect();
    assert_eq!(stages, [vec!["image"; 6], vec!["text"; 4], vec!["joint"; 6]].concat());
    assert_eq!(of("step")[0]["losses"].as_object().unwrap().len(), 10, "nine and the total");
    let steps: Vec<_> = of("dev").iter().map(|line| line["step"].clone()).collect();
    assert_eq!(steps, [6, 8, 10, 16], "every eight steps and at the end of a stage");
    for key in ["t2i", "i2t", "image_tokens", "text_tokens", "dead", "frequent"] {
        assert!(!of("dev")[0][key].is_null(), "{key}");
    }
    let page = trial.read("run/report.html");
    assert!(page.contains("R@10") && page.contains("dead tokens"), "{page}");

    let photos = example_photos();
    for (model, index) in [("run/model", "index"), ("run/model-8bit", "index-8bit")] {
        let photos = photos.to_str().unwrap();
        let search = ["search", "--in", photos, "--index", index, "--model", model, "a red flower"];
        let found = trial.run(&search);
        // So small a model may find nothing; that it says.
        assert!(matches!(found.code, 0 | 1), "{model}: {}", found.err);
        assert!(found.err.contains("indexed 17 new"), "{model}: {}", found.err);
    }
}

fn example_photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/photos")
}

fn example_photo(name: &str) -> Picture {
    read(&example_photos().join(name), &DecodeOptions::default()).unwrap()
}

#[test]
fn the_exported_model_sees_what_the_run_measured() {
    let trial =
        Trial::new(100, &stage("one", 30, &format!("train = \"both\"\nlosses = {CONTRAST}")));
    trial.train("run", &[], 0);
    let encoder = Encoder::open(&trial.path("run/model")).unwrap();
    assert_eq!((encoder.name(), encoder.config().keep.image), ("mine", 12));
    // The tokens of the dev photos, by the trained towers and by the model that they became.
    let last = metrics(&trial, "run").pop().unwrap();
    let dev = ["raccoon.jpg", "rocket.jpg", "stairs.jpg", "windmill.jpg"];
    let vectors = encoder.encode_images(&dev.map(example_photo)).unwrap();
    let frequent = last["frequent"].as_array().unwrap();
    assert!(frequent.len() >= 12, "{frequent:?}");
    for entry in frequent {
        let id = encoder.vocabulary().id(entry[0].as_str().unwrap()).unwrap();
        let having = vectors.iter().filter(|v| v.entries().any(|e| e.token == id)).count();
        // Of four photos: their share is exact in JSON.
        assert_eq!(serde_json::json!(having as f64 / 4.0), entry[1], "{entry}");
    }
    let mean = vectors.iter().map(sightword_index::SparseVector::len).sum::<usize>() as f64 / 4.0;
    assert_eq!(serde_json::json!(mean), last["image_tokens"]);
}

#[test]
fn a_run_stopped_by_ctrl_c_goes_on_as_if_it_had_not_been() {
    let stages = stage("one", 150, &format!("train = \"both\"\nlosses = {ALL}"))
        + &stage("two", 30, "train = \"text\"\nlosses = { itc = 1 }");
    let trial = Trial::new(20, &stages);
    trial.train("whole", &[], 0);

    let mut command = trial.command(&["train", "train.toml", "--out", "stopped"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("one, step 20:")), "it measures");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(said.any(|line| line.contains("--resume goes on")), "it says how to go on");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(metrics(&trial, "stopped").len() < metrics(&trial, "whole").len());

    let again = trial.run(&["train", "train.toml", "--out", "stopped"]);
    assert!(again.code == 2 && again.err.contains("--resume"), "{}", again.err);
    trial.train("stopped", &["--resume"], 0);
    assert_eq!(trial.read("stopped/metrics.jsonl"), trial.read("whole/metrics.jsonl"));
    let model =
        |out: &str| fs::read(trial.path(&format!("{out}/model/model.safetensors"))).unwrap();
    assert!(model("stopped") == model("whole"), "the same weights, bit for bit");
}

#[test]
fn a_run_that_ended_after_a_stage_goes_on_with_the_next() {
    let trial = Trial::new(100, &three_stages(CONTRAST));
    trial.train("run", &["--until", "text"], 0);
    assert_eq!(metrics(&trial, "run").last().unwrap()["step"], 10);
    trial.train("run", &["--resume"], 0);
    trial.train("whole", &[], 0);
    assert_eq!(trial.read("run/metrics.jsonl"), trial.read("whole/metrics.jsonl"));
}

#[test]
fn a_frozen_image_tower_stays_as_it_is() {
    let text = stage("text", 5, "train = \"text\"\nlosses = { itc = 1, grounding_image = 1 }");
    let trial = Trial::new(100, &text);
    trial.train("run", &[], 0);
    let vectors = |model: &str| {
        let encoder = Encoder::open(&trial.path(model)).unwrap();
        let image = encoder.encode_images(&[example_photo("panda.jpg")]).unwrap().remove(0);
        let image: Vec<_> = image.entries().take(12).map(|entry| entry.token).collect();
        (image, encoder.encode_text("a red flower").unwrap())
    };
    // A bank of the first model's pictures would say nothing about the second's texts.
    let bank = |model: &str| trial.read(&format!("{model}/config.json")).contains("bank");
    assert!(bank("small") && !bank("run/model"));
    // Less is kept of a photo than before, so that the first model is read with the config of the second.
    fs::copy(trial.path("run/model/config.json"), trial.path("small/config.json")).unwrap();
    let (before, after) = (vectors("small"), vectors("run/model"));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
}

#[test]
fn broken_records_are_left_out_counted_and_said() {
    let trial = Trial::new(100, &stage("one", 2, "train = \"both\"\nlosses = { itc = 1 }"));
    let long = "a very old red building in front of many dark green trees and a wall";
    let broken = format!(
        "{}{}\n{}\n{}\n{}\n{}\n",
        captions(),
        r#"{"id": "gone", "image": "gone.jpg", "captions": ["a cat"]}"#,
        r#"{"id": "moose", "image": "moose.jpg", "captions": ["a second moose"]}"#,
        r#"{"id": "empty", "image": "moose.jpg", "captions": [" "]}"#,
        format_args!(r#"{{"id": "long", "image": "moose.jpg", "captions": ["{long}"]}}"#),
        r#"{"id": "text", "image": "LICENSES.md", "captions": ["no photo"]}"#,
    );
    fs::write(trial.path("captions.jsonl"), broken).unwrap();
    let told = trial.train("run", &["--check"], 0).err;
    for line in [
        "left out 1 record without its picture",
        "left out 1 record with the id of another",
        "left out 1 empty caption",
        "left out 1 caption longer than the model reads",
        "left out 2 records without captions or labels",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    assert!(!trial.path("run").exists(), "a check writes nothing");
    let told = trial.train("run", &[], 0).err;
    assert!(told.contains("left out 1 unreadable picture"), "{told}");
}

#[test]
fn a_config_that_cannot_be_is_refused_by_its_key() {
    let trial = Trial::new(100, "");
    let told = |stages: &str| {
        trial.configure(100, stages);
        trial.train("run", &["--check"], 2).err
    };
    let with = |more: &str| stage("one", 2, &format!("train = \"both\"\n{more}"));
    let cases = [
        (with("losses = { itc = 1, magic = 2 }"), "`magic`"),
        (with("colour = 3\nlosses = { itc = 1 }"), "`colour`"),
        (with("ramp = 2.0\nlosses = { itc = 1 }"), "stage \"one\": ramp: 2 is not from 0 to 1"),
        (with("losses = { itc = 1 }\n[stage.rates]\n\"imgae\" = 1"), "rates.imgae"),
        (with("losses = { classes = 1 }"), "losses.classes: needs data.classes"),
    ];
    for (stages, complaint) in cases {
        let told = told(&stages);
        assert!(told.contains("train.toml") && told.contains(complaint), "{complaint}: {told}");
    }
    trial.configure(100, &stage("one", 2, "train = \"both\"\nlosses = { itc = 1 }"));
    let config = trial.read("train.toml");
    fs::write(trial.path("train.toml"), config.replace("batch = 6", "batch = 60")).unwrap();
    let told = trial.train("run", &[], 2).err;
    assert!(told.contains("batch: 60 photos, more than an epoch has"), "{told}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let stages = |steps| stage("one", steps, "train = \"both\"\nlosses = { itc = 1 }");
    let trial = Trial::new(100, &stages(2));
    trial.train("run", &[], 0);
    trial.configure(100, &stages(3));
    let told = trial.train("run", &["--resume"], 2).err;
    assert!(told.contains("checkpoint.safetensors: made with another config"), "{told}");
    let told = trial.train("new", &["--resume"], 2).err;
    assert!(told.contains("no run to go on with"), "{told}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint() {
    // Every parameter is moved by a thousand at each step.
    let wild = stage("wild", 40, "train = \"both\"\nrates = { \"\" = 1000 }\nlosses = { itc = 1 }")
        .replace("learning_rate = 3e-3", "learning_rate = 1.0");
    let calm = stage("calm", 3, "train = \"both\"\nlosses = { itc = 1 }");
    let trial = Trial::new(100, &(calm + &wild));
    let told = trial.train("run", &[], 2).err;
    assert!(told.contains("of stage \"wild\"") && told.contains("step "), "{told}");
    assert!(told.contains("the checkpoint of step 3 stays"), "{told}");
    assert!(told.contains("itc is ") || told.contains("gradient is "), "{told}");
    assert!(trial.path("run/checkpoint.safetensors").is_file());
    let finite = metrics(&trial, "run");
    assert!(finite.iter().all(|line| line["type"] == "dev" || line["losses"]["itc"].is_number()));
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_processor_that_the_program_was_not_built_for_is_said_with_what_to_do() {
    let trial = Trial::new(8, &three_stages(CONTRAST));
    let ran = trial.train("run", &["--device", "cuda"], 2);
    assert!(ran.err.contains("cannot compute on cuda"), "{}", ran.err);
    assert!(ran.err.contains("--features cuda, or --device cpu"), "{}", ran.err);
    assert!(!trial.path("run").exists(), "nothing is begun");
}
