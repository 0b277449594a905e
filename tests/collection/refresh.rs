//! What a refresh sees, and what it does not read or encode again.

use std::{fs, ops::ControlFlow};

use sightword::collection::{Change, Collection};

use super::support::{
    Album, ENCODER, counts, id_of, likes, options, picture, refresh, refresh_with,
};

#[test]
fn new_pictures_are_encoded_once_and_then_left_alone() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    album.draw("trip/b.bmp", 2);
    let mut collection = album.create();
    assert_eq!(counts(&refresh(&mut collection)), ([2, 0, 0, 0, 0, 0, 0, 0], 2));
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 0, 0, 0, 2], 0));
    assert_eq!(album.names(&collection), ["a.bmp", "trip/b.bmp"]);
    let mut again = album.open().unwrap();
    assert_eq!(counts(&refresh(&mut again)), ([0, 0, 0, 0, 0, 0, 0, 2], 0));
}

#[test]
fn a_moved_or_renamed_picture_keeps_its_vector() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    let before = likes(&collection, &album.path("a.bmp"));
    album.rename("a.bmp", "deep/down/c.bmp");
    album.rename("b.bmp", "d.bmp");
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 2, 0, 0, 0, 0, 0], 0));
    assert_eq!(album.names(&collection), ["d.bmp", "deep/down/c.bmp"]);
    let after = likes(&collection, &album.path("deep/down/c.bmp"));
    assert_eq!(after.hits[0].score, before.hits[0].score);
    assert_eq!(after.hits[0].terms, before.hits[0].terms);
}

#[test]
fn a_picture_changed_in_place_is_replaced() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    let old = id_of(&collection, &album.path("a.bmp"));
    album.draw("a.bmp", 3);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 1, 0, 0, 0, 0, 0, 1], 1));
    let found = likes(&collection, &album.path("a.bmp"));
    assert!(found.hits.iter().any(|hit| hit.paths == [album.path("a.bmp")] && hit.id != old));
    assert!(found.hits.iter().all(|hit| hit.id != old), "the old content is still found");
}

#[test]
fn a_new_picture_under_the_name_of_a_deleted_one_is_seen() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.remove("a.bmp");
    assert_eq!(refresh(&mut collection).removed, 1);
    album.draw("a.bmp", 3);
    assert_eq!(counts(&refresh(&mut collection)), ([1, 0, 0, 0, 0, 0, 0, 1], 1));
    let [export_a, export_b] = album.names(&collection).try_into().unwrap();
    assert_eq!((export_a.as_str(), export_b.as_str()), ("a.bmp", "b.bmp"));
}

#[test]
fn a_deleted_picture_is_not_found_and_comes_back_without_being_encoded() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.remove("a.bmp");
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 1, 0, 0, 1], 0));
    assert_eq!(album.names(&collection), ["b.bmp"]);
    let found = likes(&collection, &album.path("b.bmp"));
    assert_eq!(found.hits.len(), 1);
    assert_eq!(found.matched, 1);
    album.draw("elsewhere/a.bmp", 1);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 0, 1, 0, 1], 0));
    assert_eq!(album.names(&collection), ["b.bmp", "elsewhere/a.bmp"]);
}

#[test]
fn a_pruned_picture_is_forgotten() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.remove("a.bmp");
    refresh(&mut collection);
    assert_eq!(collection.info().unwrap().gone, 1);
    let mut prune = options();
    prune.prune = true;
    assert_eq!(counts(&refresh_with(&mut collection, &prune)), ([0, 0, 0, 0, 0, 0, 1, 1], 0));
    let info = collection.info().unwrap();
    assert_eq!((info.images, info.gone), (1, 0));
    album.draw("a.bmp", 1);
    assert_eq!(refresh(&mut collection).encoded, 1);
}

#[test]
fn pruning_forgets_what_vanished_just_now_too() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.remove("a.bmp");
    let mut prune = options();
    prune.prune = true;
    let report = refresh_with(&mut collection, &prune);
    assert_eq!((report.removed, report.pruned), (1, 1));
    assert_eq!(collection.info().unwrap().gone, 0);
}

#[test]
fn two_files_with_one_content_share_one_vector() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    album.draw("copy/a.bmp", 1);
    let mut collection = album.create();
    assert_eq!(counts(&refresh(&mut collection)), ([1, 0, 0, 1, 0, 0, 0, 0], 1));
    let found = likes(&collection, &album.path("copy/a.bmp"));
    assert_eq!(found.hits.len(), 1);
    assert_eq!(found.hits[0].paths, [album.path("a.bmp"), album.path("copy/a.bmp")]);
    // One of them goes: the picture stays.
    album.remove("a.bmp");
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 1, 0, 0, 1], 0));
    assert_eq!(album.names(&collection), ["copy/a.bmp"]);
    assert_eq!(collection.info().unwrap().gone, 0);
    // A third one comes.
    album.draw("third.bmp", 1);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 1, 0, 0, 0, 1], 0));
}

#[test]
fn names_that_were_swapped_are_two_changes_and_nothing_is_encoded() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    let a = id_of(&collection, &album.path("a.bmp"));
    // Written anew, so that their times of change differ whatever the file system's clock does.
    album.write("a.bmp", &[picture(2), vec![0]].concat());
    album.write("b.bmp", &[picture(1), vec![0]].concat());
    refresh(&mut collection);
    album.draw("a.bmp", 2);
    album.draw("b.bmp", 1);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 2, 0, 0, 0, 0, 0, 0], 0));
    assert_eq!(id_of(&collection, &album.path("b.bmp")), a);
}

#[test]
fn a_touched_file_is_read_but_not_encoded() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1)]);
    let file = fs::File::options().append(true).open(album.path("a.bmp")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 0, 0, 0, 1], 0));
    // The new time was noted: nothing is written now.
    let before = fs::metadata(album.index().join("index/meta.json")).unwrap().modified().unwrap();
    refresh(&mut collection);
    let after = fs::metadata(album.index().join("index/meta.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_dry_run_lists_everything_and_changes_nothing() {
    let (album, mut collection) =
        Album::indexed(&[("a.bmp", 1), ("b.bmp", 2), ("c.bmp", 3), ("d.bmp", 4)]);
    album.rename("a.bmp", "moved.bmp");
    album.draw("b.bmp", 5);
    album.remove("c.bmp");
    album.draw("new.bmp", 6);
    album.draw("twin.bmp", 4);
    let mut dry = options();
    dry.dry_run = true;
    let report = refresh_with(&mut collection, &dry);
    assert_eq!(counts(&report), ([1, 1, 1, 1, 1, 0, 0, 1], 0));
    let listing: Vec<(Change, String)> = report
        .listing
        .iter()
        .map(|(change, path)| (*change, path.file_name().unwrap().to_str().unwrap().to_owned()))
        .collect();
    let expected = [
        (Change::Changed, "b.bmp"),
        (Change::Removed, "c.bmp"),
        (Change::Moved, "moved.bmp"),
        (Change::New, "new.bmp"),
        (Change::Copied, "twin.bmp"),
    ];
    assert_eq!(listing, expected.map(|(change, name)| (change, name.to_owned())));
    assert_eq!(album.names(&album.open().unwrap()), ["a.bmp", "b.bmp", "c.bmp", "d.bmp"]);
    // And it said the truth.
    assert_eq!(counts(&refresh(&mut collection)), ([1, 1, 1, 1, 1, 0, 0, 1], 2));
}

#[test]
fn a_bad_file_is_skipped_with_its_reason_and_not_decoded_again() {
    let album = Album::new();
    album.draw("good.bmp", 1);
    album.write("empty.jpg", b"");
    album.write("text.png", b"not a picture");
    album.write("cut.bmp", &picture(2)[..500]);
    let mut collection = album.create();
    let report = refresh(&mut collection);
    assert_eq!(counts(&report), ([1, 0, 0, 0, 0, 0, 0, 0], 1));
    let names = |report: &sightword::collection::RefreshReport| -> Vec<String> {
        let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        report.skipped.iter().map(|skipped| name(&skipped.path)).collect()
    };
    assert_eq!(names(&report), ["cut.bmp", "empty.jpg", "text.png"]);
    assert!(report.skipped.iter().all(|skipped| !skipped.reason.is_empty()));
    let mut looked_into = 0;
    let again = collection
        .refresh(&options(), &mut |progress| {
            looked_into = progress.total;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(looked_into, 0, "files that are as bad as they were are read again");
    assert_eq!(again.skipped, report.skipped);
    assert_eq!(collection.skipped().len(), 3);
    // A good picture takes the place of a bad one.
    album.draw("empty.jpg", 3);
    let report = refresh(&mut collection);
    assert_eq!((report.new, report.skipped.len()), (1, 2));
}

#[test]
fn a_picture_that_is_damaged_in_place_is_no_longer_found() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.write("a.bmp", b"oops");
    let report = refresh(&mut collection);
    assert_eq!((report.removed, report.skipped.len()), (1, 1));
    assert_eq!(album.names(&collection), ["b.bmp"]);
}

#[test]
fn an_interrupted_run_keeps_what_it_did_and_goes_on_from_there() {
    let album = Album::new();
    for seed in 0..8 {
        album.draw(&format!("{seed}.bmp"), seed);
    }
    let mut collection = album.create();
    let mut one_by_one = options();
    one_by_one.jobs = std::num::NonZeroUsize::MIN;
    let report = collection
        .refresh(&one_by_one, &mut |progress| match progress.done {
            0..4 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
        .unwrap();
    assert!(report.interrupted);
    assert_eq!(report.encoded, 4);
    assert_eq!(album.names(&album.open().unwrap()).len(), 4);
    let rest = refresh(&mut collection);
    assert_eq!(counts(&rest), ([4, 0, 0, 0, 0, 0, 0, 4], 4));
    assert!(!rest.interrupted);
}

#[test]
fn an_interrupted_run_takes_nothing_for_gone() {
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.rename("a.bmp", "z/moved.bmp");
    let report = collection.refresh(&options(), &mut |_| ControlFlow::Break(())).unwrap();
    assert!(report.interrupted);
    assert_eq!(report.removed, 0);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 1, 0, 0, 0, 0, 1], 0));
}

#[test]
fn a_run_leaves_one_small_segment_however_often_it_commits() {
    let album = Album::new();
    for seed in 0..6 {
        album.draw(&format!("{seed}.bmp"), seed);
    }
    let mut collection = album.create();
    let mut often = options();
    often.commit_every = 1;
    refresh_with(&mut collection, &often);
    assert_eq!(collection.info().unwrap().segments, 1);
}

#[test]
fn ignore_files_are_honoured_unless_told_otherwise() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    album.draw("private/b.bmp", 2);
    album.write(".sightwordignore", b"private/\n");
    let mut collection = album.create();
    refresh(&mut collection);
    assert_eq!(album.names(&collection), ["a.bmp"]);
    let mut all = options();
    all.use_ignore_files = false;
    refresh_with(&mut collection, &all);
    assert_eq!(album.names(&collection), ["a.bmp", "private/b.bmp"]);
}

#[test]
fn the_whole_folder_can_be_moved_with_its_index() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    let elsewhere = album.temp.path().canonicalize().unwrap().join("elsewhere");
    fs::rename(album.root(), &elsewhere).unwrap();
    let mut moved = Collection::open(&elsewhere.join(".sightword"), ENCODER.clone()).unwrap();
    assert_eq!(moved.roots(), std::slice::from_ref(&elsewhere));
    assert_eq!(counts(&refresh(&mut moved)), ([0, 0, 0, 0, 0, 0, 0, 1], 0));
    assert_eq!(likes(&moved, &elsewhere.join("a.bmp")).hits[0].paths, [elsewhere.join("a.bmp")]);
}

#[cfg(unix)]
#[test]
fn odd_file_names_come_back_byte_for_byte() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let names = [&b"\xff\xfe.bmp"[..], "é 鳥.bmp".as_bytes(), b"line\nbreak\x1b[31m.bmp"];
    let album = Album::new();
    for (seed, name) in (1..).zip(names) {
        fs::write(album.root().join(OsStr::from_bytes(name)), picture(seed)).unwrap();
    }
    let mut collection = album.create();
    assert_eq!(refresh(&mut collection).new, 3);
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 0, 0, 0, 3], 0));
    for name in names {
        let path = album.root().join(OsStr::from_bytes(name));
        let found = likes(&collection, &path);
        assert!(found.hits.iter().any(|hit| hit.paths == [path.clone()]), "{}", path.display());
    }
}
