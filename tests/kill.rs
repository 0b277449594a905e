//! A process that is killed at any moment of indexing loses only what was after its last commit.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![allow(clippy::print_stdout, reason = "the child tells its parent how far it is")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use sightword::{
    collection::{CheckStatus, Collection, Like, Phase, RefreshOptions, SearchRequest},
    encode::Encoder,
};

use crate::collection::support::picture;

const PICTURES: u8 = 40;
const KILLS: u32 = 20;
const NAME: &str = "kill::what_was_committed_survives_a_kill_at_any_moment";
const FOLDER: &str = "SIGHTWORD_TEST_KILL_FOLDER";

#[test]
fn what_was_committed_survives_a_kill_at_any_moment() {
    if let Some(folder) = env::var_os(FOLDER) {
        return index_and_say_so(Path::new(&folder));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = env::var("SIGHTWORD_TEST_SEED")
        .map_or(u64::from(now.subsec_nanos()), |s| s.parse().unwrap());
    println!("SIGHTWORD_TEST_SEED={seed}");
    let mut random = Random(seed);
    let encoder = Arc::new(Encoder::embedded().unwrap());
    let temp = tempfile::TempDir::new().unwrap();
    let root = temp.path().join("photos");
    fs::create_dir(&root).unwrap();
    for seed in 0..PICTURES {
        fs::write(root.join(format!("{seed}.bmp")), picture(seed)).unwrap();
    }
    drop(Collection::create(std::slice::from_ref(&root), None, Arc::clone(&encoder)).unwrap());

    let (mut kept, mut kills) = (0, 0);
    while kills < KILLS {
        let run = killed_run(&root, &mut random);
        assert_eq!(run.total, u64::from(PICTURES) - kept, "a committed picture is encoded again");
        let committed = kept + run.acknowledged;
        kept = check(&root, &encoder, committed);
        if !run.was_killed {
            // Done before the kill: begin anew, so that there is something to interrupt.
            fs::remove_dir_all(root.join(".sightword")).unwrap();
            drop(
                Collection::create(std::slice::from_ref(&root), None, Arc::clone(&encoder))
                    .unwrap(),
            );
            kept = 0;
        }
        kills += u32::from(run.was_killed);
    }
    let mut collection = Collection::open(&root.join(".sightword"), Arc::clone(&encoder)).unwrap();
    let report = collection.refresh(&options(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.encoded, report.unchanged), (u64::from(PICTURES) - kept, kept));
    assert_eq!(check(&root, &encoder, u64::from(PICTURES)), u64::from(PICTURES));
    assert_eq!(collection.info().unwrap().segments, 1);
}

fn options() -> RefreshOptions {
    let mut options = RefreshOptions::default();
    options.commit_every = 2;
    options
}

/// The child: says how much is committed, as soon as it is.
fn index_and_say_so(root: &Path) {
    let encoder = Arc::new(Encoder::embedded().unwrap());
    let mut collection = Collection::open(&root.join(".sightword"), encoder).unwrap();
    let say = &mut |progress: sightword::collection::Progress| {
        let phase = if progress.phase == Phase::Merge { "merge" } else { "encode" };
        println!("\n{phase} {} {}", progress.committed, progress.total);
        ControlFlow::Continue(())
    };
    collection.refresh(&options(), say).unwrap();
}

struct Outcome {
    /// Pictures that were said to be committed.
    acknowledged: u64,
    /// Pictures that the run had before it.
    total: u64,
    was_killed: bool,
}

/// Lets a child index, and kills it at some moment.
fn killed_run(root: &Path, random: &mut Random) -> Outcome {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reports = random.below(10);
    let pause = Duration::from_micros(random.below(20_000));
    let mut outcome = Outcome { acknowledged: 0, total: 0, was_killed: false };
    let mut read = |outcome: &mut Outcome| {
        let line = lines.next()?.ok()?;
        let mut words = line.split(' ');
        if matches!(words.next(), Some("encode" | "merge")) {
            outcome.acknowledged = words.next()?.parse().unwrap();
            outcome.total = words.next()?.parse().unwrap();
            return Some(1);
        }
        Some(0)
    };
    let mut seen = 0;
    while seen <= reports {
        let Some(count) = read(&mut outcome) else { break };
        seen += count;
    }
    // The moment within a picture or a commit; the signal is sent whatever the child is doing.
    thread::sleep(pause);
    child.kill().unwrap();
    // What it had said by then was said.
    while read(&mut outcome).is_some() {}
    outcome.was_killed = !child.wait().unwrap().success();
    outcome
}

/// Every picture in the index is whole and found, and there are at least as many as were said to be
/// committed. How many there are.
fn check(root: &Path, encoder: &Arc<Encoder>, committed: u64) -> u64 {
    let collection = Collection::open(&root.join(".sightword"), Arc::clone(encoder)).unwrap();
    let checks = collection.check();
    assert!(checks.iter().all(|check| check.status != CheckStatus::Fail), "{checks:?}");
    let pictures: Vec<_> = collection.export().unwrap().map(Result::unwrap).collect();
    assert!(pictures.len() as u64 >= committed, "{} of {committed} are there", pictures.len());
    for picture in &pictures {
        let mut request = SearchRequest::default();
        (request.like, request.k, request.all) = (Some(Like::Id(picture.id.hex())), 0, true);
        let reply = collection.search(&request).unwrap();
        let hit = reply.hits.iter().find(|hit| hit.id == picture.id).expect("it is found");
        assert_eq!(hit.paths, picture.paths);
    }
    pictures.len() as u64
}

/// Numbers from a seed (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
