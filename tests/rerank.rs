//! Stored features survive a kill at any moment.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![allow(clippy::print_stdout, reason = "the child tells its parent how far it is")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use half::f16;
use sightword::ingest::{ContentId, Picture};
use sightword::rerank::{
    FeatureCache, FeatureWriter, Features, QueryInput, Question, RerankError, Reranker,
};

use crate::kill::Random;

const NAME: &str = "rerank::features_that_were_committed_survive_a_kill_at_any_moment";
const FOLDER: &str = "SIGHTWORD_TEST_FEATURES_FOLDER";
const KILLS: u32 = 12;
const PICTURES: u32 = 3000;
const COMMIT_EVERY: u32 = 7;
const LENGTH: u32 = 300;

struct Fake;

impl Reranker for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn hash(&self) -> &str {
        "fake"
    }

    fn feature_len(&self) -> usize {
        LENGTH as usize
    }

    fn prepare(&self, _: &[Picture]) -> Result<Vec<Features>, RerankError> {
        Ok(Vec::new())
    }

    fn read(&self, _: &QueryInput<'_>) -> Result<Question, RerankError> {
        Ok(Question(Vec::new()))
    }

    fn score(&self, _: &Question, _: &[Features]) -> Result<Vec<f32>, RerankError> {
        Ok(Vec::new())
    }
}

fn id(number: u32) -> ContentId {
    ContentId::of(&number.to_le_bytes())
}

fn features(number: u32) -> Features {
    let value = |at: u32| f16::from_bits(u16::try_from((number + at) % 30_000).unwrap());
    Features((0..LENGTH).map(value).collect())
}

#[test]
fn features_that_were_committed_survive_a_kill_at_any_moment() {
    if let Some(folder) = env::var_os(FOLDER) {
        return store_and_say_so(Path::new(&folder));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = env::var("SIGHTWORD_TEST_SEED")
        .map_or(u64::from(now.subsec_nanos()), |seed| seed.parse().unwrap());
    println!("SIGHTWORD_TEST_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut most = 0;
    for _ in 0..KILLS {
        let committed = killed_run(folder.path(), &mut random);
        most = most.max(committed);
        let cache = FeatureCache::open(folder.path(), &Fake).unwrap();
        let kept = cache.len();
        assert!(kept >= committed as usize, "{kept} of {committed} are there");
        let whole = (0..PICTURES).filter_map(|number| Some((number, cache.get(id(number))?)));
        let whole: Vec<_> = whole.collect();
        assert_eq!(whole.len(), kept, "a key without its value");
        assert!(whole.iter().all(|(number, found)| *found == features(*number)));
    }
    assert!(most > COMMIT_EVERY, "every child was killed before it had stored anything");
}

/// The child: goes on where the last one was killed, and says how much is committed.
fn store_and_say_so(folder: &Path) {
    let mut writer = FeatureWriter::open(folder, &Fake).unwrap();
    for number in 0..PICTURES {
        writer.put(id(number), &features(number)).unwrap();
        if number % COMMIT_EVERY == 0 {
            writer.commit().unwrap();
            println!("\ncommitted {}", number + 1);
        }
    }
}

/// Lets a child store, kills it at some moment, and returns how much it said to be committed.
fn killed_run(folder: &Path, random: &mut Random) -> u32 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut committed = 0;
    let last = random.below(60);
    let pause = Duration::from_micros(random.below(3_000));
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("committed ").and_then(|number| number.parse::<u32>().ok())
    });
    for _ in 0..=last {
        committed = said.next().unwrap_or(committed);
    }
    // The moment within a value or a commit.
    std::thread::sleep(pause);
    child.kill().unwrap();
    committed = said.last().unwrap_or(committed);
    child.wait().unwrap();
    committed
}
