//! Several processes, dead processes, full disks.

use std::{
    env, fs,
    ops::ControlFlow,
    process::{self, Command, Output},
};

use sightword::collection::{CheckStatus, CollectionError};

use super::support::{Album, counts, id_of, options, refresh, try_refresh};

#[test]
fn a_second_writer_is_told_who_writes_and_readers_go_on() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1)]);
    album.draw("b.bmp", 2);
    let mut tried = false;
    collection
        .refresh(&options(), &mut |_| {
            let mut other = album.open().unwrap();
            let error = try_refresh(&mut other, &options()).unwrap_err();
            let pid = process::id().to_string();
            assert!(matches!(&error, CollectionError::Locked { pid: held, .. } if *held == pid));
            assert!(error.to_string().contains(&pid), "{error}");
            id_of(&other, &album.path("a.bmp"));
            tried = true;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(tried);
    // Given back: another run may write, and finds nothing stale.
    assert_eq!(refresh(&mut collection).notices, Vec::<String>::new());
}

#[test]
fn a_lock_of_a_dead_process_is_said_to_be_stale_and_taken_over() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1)]);
    fs::write(album.index().join("lock"), "4194305\nold-laptop\n").unwrap();
    let lock = |checks: &[sightword::collection::Check]| {
        checks.iter().find(|check| check.name == "lock").unwrap().status
    };
    assert_eq!(lock(&collection.check()), CheckStatus::Warn);
    let report = refresh(&mut collection);
    assert_eq!(report.notices.len(), 1);
    let notice = &report.notices[0];
    for part in ["stale", "4194305", "old-laptop"] {
        assert!(notice.contains(part), "{notice}");
    }
    assert_eq!(lock(&collection.check()), CheckStatus::Ok);
}

#[test]
fn a_reader_sees_a_commit_when_it_reloads() {
    let (album, mut writer) = Album::indexed(&[("a.bmp", 1)]);
    let mut reader = album.open().unwrap();
    album.draw("b.bmp", 2);
    refresh(&mut writer);
    assert_eq!(album.names(&reader), ["a.bmp"]);
    reader.reload().unwrap();
    assert_eq!(album.names(&reader), ["a.bmp", "b.bmp"]);
}

/// Runs one test again in a process of its own. `true`: this is not that process.
fn again(test: &str, command: &mut Command) -> Option<Output> {
    if env::var_os("SIGHTWORD_TEST_CHILD").is_some() {
        return None;
    }
    let arguments = ["--exact", test, "--nocapture", "--test-threads=1"];
    command.args(arguments).env("SIGHTWORD_TEST_CHILD", "1");
    Some(command.output().unwrap())
}

/// A disk that is full: files may only be this large, in blocks of 512 bytes.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_what_was_committed_stays() {
    // The shell ignores the signal that would kill, so that writing fails as on a full disk.
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 4 && exec \"$0\" \"$@\"")
        .arg(env::current_exe().unwrap());
    let name = "collection::writers::a_full_disk_is_named_and_what_was_committed_stays";
    // Indexed before the limit holds, by the parent, in a folder that the child is told.
    if let Some(folder) = env::var_os("SIGHTWORD_TEST_FOLDER") {
        return fill(std::path::Path::new(&folder));
    }
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    for seed in 2..8 {
        album.draw(&format!("{seed}.bmp"), seed);
    }
    let output = again(name, shell.env("SIGHTWORD_TEST_FOLDER", album.root())).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("no space left"), "{text}");
    drop(collection);
    let mut collection = album.open().unwrap();
    id_of(&collection, &album.path("a.bmp"));
    // With space again, the rest follows.
    let (files, encoded) = counts(&refresh(&mut collection));
    assert_eq!((files[0] + files[7], files[0]), (7, encoded));
    assert_eq!(collection.info().unwrap().images, 7);
}

#[cfg(unix)]
#[expect(clippy::print_stdout, reason = "the parent looks at it")]
fn fill(root: &std::path::Path) {
    use super::support::ENCODER;
    use sightword::collection::Collection;
    let index = root.join(".sightword");
    let mut collection = Collection::open(&index, ENCODER.clone()).unwrap();
    let error = try_refresh(&mut collection, &options()).unwrap_err();
    println!("the error: {error}");
    assert!(matches!(error, CollectionError::DiskFull { .. }), "{error:?}");
}

/// For tests that need missing permissions: where this process is root, runs the test again as
/// nobody and says `true`.
#[cfg(unix)]
pub(crate) fn as_nobody(test: &str) -> bool {
    use std::os::unix::{fs::MetadataExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let temp = tempfile::TempDir::new().unwrap();
    if fs::metadata(temp.path()).unwrap().uid() != 0 {
        return false;
    }
    std::os::unix::fs::chown(temp.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let program = temp.path().join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.uid(NOBODY).gid(NOBODY).current_dir(temp.path());
    command.env("TMPDIR", temp.path()).env("HOME", temp.path()).env("XDG_DATA_HOME", temp.path());
    let output = again(test, &mut command).expect("a child that is root again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    true
}
