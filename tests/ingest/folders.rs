//! Which files a folder of pictures has.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sightword::ingest::{Walk, WalkError, WalkOptions, walk};
use tempfile::TempDir;

/// A folder with these files; each holds its own name.
fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in files {
        write(root.path(), name, name);
    }
    root
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn found(root: &TempDir) -> Walk {
    walk(root.path(), &WalkOptions::default()).unwrap()
}

fn names(walk: &Walk) -> Vec<&str> {
    walk.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

#[test]
fn pictures_are_found_by_extension_at_any_depth_in_order() {
    let root = folder(&["b.JPG", "a/b/c/d.tiff", "a.webp", "z.gif", "a/x.Jpeg", "n.jxl"]);
    write(root.path(), "notes.txt", "");
    write(root.path(), "raw.nef", "");
    write(root.path(), "jpg", "");
    let walk = found(&root);
    assert_eq!(names(&walk), ["a/b/c/d.tiff", "a/x.Jpeg", "a.webp", "b.JPG", "n.jxl", "z.gif"]);
    assert_eq!(walk.problems, []);
    assert_eq!(walk.files[0].bytes, 12);
    assert!(walk.files[0].modified > 1_600_000_000_000_000_000);
}

#[test]
fn only_formats_that_can_be_read_are_looked_for() {
    let root = folder(&["a.avif", "b.heic", "c.heif", "d.png"]);
    let walk = found(&root);
    let has = |name: &str| walk.files.iter().any(|file| file.path == Path::new(name));
    assert!(has("d.png"));
    assert_eq!(has("a.avif"), cfg!(feature = "avif"));
    assert_eq!((has("b.heic"), has("c.heif")), (cfg!(feature = "heic"), cfg!(feature = "heic")));
}

#[test]
fn the_time_of_a_change_is_in_nanoseconds_and_may_be_before_1970() {
    let root = folder(&["old.jpg"]);
    let file = fs::File::options().write(true).open(root.path().join("old.jpg")).unwrap();
    let time = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    file.set_modified(time).unwrap();
    assert_eq!(found(&root).files[0].modified, -1_500_000_000);
}

#[test]
fn litter_and_hidden_files_are_skipped() {
    let root = folder(&[
        "kept.jpg",
        "@eaDir/kept.jpg/thumb.jpg",
        "a/.thumbnails/x.png",
        "#recycle/x.jpg",
        "$RECYCLE.BIN/x.jpg",
        "System Volume Information/x.jpg",
        ".sightword/x.jpg",
        "._kept.jpg",
        "a/lost+found/x.jpg",
    ]);
    assert_eq!(names(&found(&root)), ["kept.jpg"]);
    let all = walk(root.path(), &WalkOptions { use_ignore_files: false }).unwrap();
    assert_eq!(names(&all), ["kept.jpg"]);
}

#[test]
fn ignore_files_are_honoured_outside_of_repositories_and_can_be_turned_off() {
    let root = folder(&["a.jpg", "b.jpg", "c.jpg", "d.jpg", "sub/e.jpg", "sub/f.jpg", "sub/g.jpg"]);
    write(root.path(), ".gitignore", "b.jpg\n");
    write(root.path(), ".ignore", "c.jpg\n");
    write(root.path(), ".sightwordignore", "d.jpg\nsub/*\n!sub/g.jpg\n");
    assert_eq!(names(&found(&root)), ["a.jpg", "sub/g.jpg"]);
    let all = walk(root.path(), &WalkOptions { use_ignore_files: false }).unwrap();
    assert_eq!(all.files.len(), 7);
}

#[test]
fn an_ignore_file_above_the_root_has_no_say() {
    let outer = folder(&["inner/a.jpg"]);
    write(outer.path(), ".gitignore", "*\n");
    let walk = walk(&outer.path().join("inner"), &WalkOptions::default()).unwrap();
    assert_eq!(names(&walk), ["a.jpg"]);
}

#[test]
fn a_faulty_line_of_an_ignore_file_is_a_problem_and_the_rest_counts() {
    let root = folder(&["a.jpg", "b.jpg"]);
    write(root.path(), ".sightwordignore", "b.jpg\n[z-a]\n");
    let walk = found(&root);
    assert_eq!(names(&walk), ["a.jpg"]);
    assert_eq!(walk.problems.len(), 1);
    assert_eq!(walk.problems[0].path, Path::new(".sightwordignore"));
}

#[test]
fn a_missing_root_is_an_error_and_not_an_empty_folder() {
    let root = folder(&[]);
    let missing = root.path().join("disk");
    let error = walk(&missing, &WalkOptions::default()).unwrap_err();
    assert!(matches!(&error, WalkError::Missing { path } if *path == missing));
    assert!(error.to_string().contains("is the disk mounted?"), "{error}");
}

#[test]
fn a_root_that_is_a_file_is_an_error() {
    let root = folder(&["a.jpg"]);
    let error = walk(&root.path().join("a.jpg"), &WalkOptions::default()).unwrap_err();
    assert!(matches!(error, WalkError::NotADirectory { .. }), "{error}");
}

#[test]
fn an_empty_folder_has_no_files_and_no_problems() {
    assert_eq!(found(&folder(&[])), Walk::default());
}

#[cfg(unix)]
mod unix {
    use std::{
        ffi::OsStr,
        os::unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
        },
    };

    use super::*;

    #[test]
    fn names_are_kept_byte_for_byte() {
        let root = folder(&["\u{e9}.jpg", "鳥.jpg", "new\nline.jpg"]);
        let strange = OsStr::from_bytes(b"lone-\xed\xa0\x80-\xff.jpg");
        if fs::write(root.path().join(strange), "").is_err() {
            return eprintln!("skipped: this file system wants names in UTF-8");
        }
        let paths: Vec<_> = found(&root).files.into_iter().map(|file| file.path).collect();
        let expected = [
            PathBuf::from(strange),
            PathBuf::from("new\nline.jpg"),
            PathBuf::from("\u{e9}.jpg"),
            PathBuf::from("鳥.jpg"),
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn links_to_files_and_folders_are_followed() {
        let outside = folder(&["album/one.jpg", "two.jpg"]);
        let root = folder(&["here.jpg"]);
        symlink(outside.path().join("album"), root.path().join("linked")).unwrap();
        symlink(outside.path().join("two.jpg"), root.path().join("three.jpg")).unwrap();
        let walk = found(&root);
        assert_eq!(names(&walk), ["here.jpg", "linked/one.jpg", "three.jpg"]);
        assert_eq!((walk.files[2].bytes, &walk.problems[..]), (7, &[][..]));
    }

    #[test]
    fn a_link_back_up_is_a_problem_and_not_an_endless_walk() {
        let root = folder(&["a/b/c.jpg"]);
        symlink(root.path().join("a"), root.path().join("a/b/loop")).unwrap();
        symlink(root.path(), root.path().join("a/top")).unwrap();
        let walk = found(&root);
        assert_eq!(names(&walk), ["a/b/c.jpg"]);
        let problems: Vec<_> =
            walk.problems.iter().map(|problem| problem.path.to_str().unwrap()).collect();
        assert_eq!(problems, ["a/b/loop", "a/top"]);
        assert_eq!(walk.problems[0].reason, "a link back to a, not followed");
    }

    #[test]
    fn folders_that_link_to_each_other_are_walked_a_few_times_at_most() {
        let root = folder(&[]);
        let names: Vec<_> = (0..9).map(|number| format!("d{number}")).collect();
        for name in &names {
            write(root.path(), &format!("{name}/picture.jpg"), name);
            for other in names.iter().filter(|other| *other != name) {
                let link = root.path().join(name).join(format!("to-{other}"));
                symlink(root.path().join(other), link).unwrap();
            }
        }
        let walk = found(&root);
        assert!((9..=18).contains(&walk.files.len()), "{} files", walk.files.len());
    }

    #[test]
    fn a_link_to_nothing_is_a_problem_since_it_may_be_a_folder_that_is_away() {
        let root = folder(&["a.jpg"]);
        symlink("/no/such/place", root.path().join("album")).unwrap();
        let walk = found(&root);
        assert_eq!(names(&walk), ["a.jpg"]);
        assert_eq!(walk.problems[0].path, Path::new("album"));
        assert!(walk.problems[0].reason.contains("a link to nothing"));
    }

    #[test]
    fn a_forbidden_folder_is_a_problem_with_its_path() {
        let root = folder(&["a.jpg", "secret/b.jpg"]);
        let secret = root.path().join("secret");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
        let may_read = fs::read_dir(&secret).is_ok();
        let walk = found(&root);
        let at_root = super::walk(&secret, &WalkOptions::default());
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
        if may_read {
            return eprintln!("skipped: this user may list every folder");
        }
        assert_eq!(names(&walk), ["a.jpg"]);
        assert_eq!(walk.problems[0].path, Path::new("secret"));
        assert!(walk.problems[0].reason.contains("Permission denied"), "{:?}", walk.problems);
        assert!(matches!(at_root.unwrap_err(), WalkError::Unreadable { .. }));
    }
}
