//! Disks that are not mounted, folders that cannot be read, and where an index stands.

use std::{fs, path::PathBuf, sync::Arc};

use sightword::collection::{Collection, CollectionError};

use super::support::{Album, ENCODER, counts, likes, options, refresh, refresh_with, try_refresh};

/// An album and a second folder, both indexed.
fn with_second_root() -> (Album, Collection, PathBuf) {
    let album = Album::new();
    album.draw("a.bmp", 1);
    album.draw("c.bmp", 3);
    album.draw("../disk/b.bmp", 2);
    let disk = album.root().parent().unwrap().join("disk");
    let roots = [album.root(), disk.clone()];
    let mut collection = Collection::create(&roots, None, Arc::clone(&ENCODER)).unwrap();
    assert_eq!(refresh(&mut collection).new, 3);
    (album, collection, disk)
}

#[test]
fn an_unmounted_root_is_never_taken_for_a_deletion() {
    let (album, mut collection, disk) = with_second_root();
    let away = disk.with_file_name("away");
    fs::rename(&disk, &away).unwrap();
    album.remove("a.bmp");
    for prune in [false, true] {
        let mut options = options();
        options.prune = prune;
        let error = try_refresh(&mut collection, &options).unwrap_err();
        assert!(matches!(&error, CollectionError::RootNotAvailable { root, .. } if *root == disk));
        let text = error.to_string();
        assert!(text.contains("root not available") && text.contains("disk"), "{text}");
    }
    // Nothing was changed, not even in the other root, and searching goes on.
    assert_eq!(collection.info().unwrap().images, 3);
    assert!(!collection.info().unwrap().roots[1].available);
    fs::rename(&away, &disk).unwrap();
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 1, 0, 0, 2], 0));
}

#[test]
fn an_empty_mount_point_is_refused_unless_prune_is_asked() {
    let (_album, mut collection, disk) = with_second_root();
    fs::remove_file(disk.join("b.bmp")).unwrap();
    let error = try_refresh(&mut collection, &options()).unwrap_err();
    assert!(matches!(&error, CollectionError::RootEmpty { known: 1, .. }), "{error}");
    assert!(error.to_string().contains("--prune"), "{error}");
    assert_eq!(collection.info().unwrap().images, 3);
    let mut prune = options();
    prune.prune = true;
    assert_eq!(refresh_with(&mut collection, &prune).pruned, 1);
    // Nothing is known there any more: an empty folder is no surprise now.
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 0, 0, 0, 0, 0, 2], 0));
}

#[test]
fn a_renamed_folder_is_a_move_even_if_it_held_everything() {
    let (album, mut collection) = Album::indexed(&[("old/a.bmp", 1), ("old/b.bmp", 2)]);
    fs::rename(album.path("old"), album.path("new")).unwrap();
    assert_eq!(counts(&refresh(&mut collection)), ([0, 0, 2, 0, 0, 0, 0, 0], 0));
}

#[cfg(unix)]
#[test]
fn pictures_below_an_unreadable_folder_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    if super::writers::as_nobody("collection::roots::pictures_below_an_unreadable_folder_are_kept")
    {
        return;
    }
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("closed/b.bmp", 2)]);
    let closed = album.path("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let report = refresh(&mut collection);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(counts(&report), ([0, 0, 0, 0, 0, 0, 0, 1], 0));
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].path, closed);
    assert_eq!(album.names(&collection), ["a.bmp", "closed/b.bmp"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_stays_what_it_was() {
    use std::os::unix::fs::PermissionsExt;
    if super::writers::as_nobody("collection::roots::a_file_that_may_not_be_read_stays_what_it_was")
    {
        return;
    }
    let (album, mut collection) = Album::indexed(&[("a.bmp", 1), ("b.bmp", 2)]);
    album.write("a.bmp", &super::support::picture(3));
    fs::set_permissions(album.path("a.bmp"), fs::Permissions::from_mode(0o000)).unwrap();
    let report = refresh(&mut collection);
    assert_eq!(report.skipped[0].path, album.path("a.bmp"));
    assert_eq!(album.names(&collection), ["a.bmp", "b.bmp"]);
    fs::set_permissions(album.path("a.bmp"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(refresh(&mut collection).changed, 1);
}

#[cfg(unix)]
#[test]
fn the_index_of_a_read_only_folder_stands_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    if super::writers::as_nobody(
        "collection::roots::the_index_of_a_read_only_folder_stands_elsewhere",
    ) {
        return;
    }
    let album = Album::new();
    album.draw("a.bmp", 1);
    fs::set_permissions(album.root(), fs::Permissions::from_mode(0o555)).unwrap();
    let mut collection = album.create();
    let dir = collection.dir().to_owned();
    assert!(!dir.starts_with(album.root()), "{}", dir.display());
    assert_eq!(refresh(&mut collection).new, 1);
    assert_eq!(Collection::find(Some(&album.root()), None).unwrap(), dir);
    fs::remove_dir_all(dir).unwrap();
    fs::set_permissions(album.root(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn an_index_can_be_searched_where_nothing_may_be_written() {
    use std::os::unix::fs::PermissionsExt;
    if super::writers::as_nobody(
        "collection::roots::an_index_can_be_searched_where_nothing_may_be_written",
    ) {
        return;
    }
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    let folders = [album.index().join("index"), album.index()];
    let allow = |mode: u32| {
        for folder in &folders {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.metadata().unwrap().is_file() {
                    let mode = fs::Permissions::from_mode(mode & 0o666);
                    fs::set_permissions(entry.path(), mode).unwrap();
                }
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o555);
    let mut collection = album.open().unwrap();
    assert_eq!(likes(&collection, &album.path("a.bmp")).hits.len(), 1);
    assert!(try_refresh(&mut collection, &options()).is_err());
    allow(0o755);
    assert_eq!(refresh(&mut collection).unchanged, 1);
}

#[test]
fn a_root_inside_another_is_indexed_once() {
    let album = Album::new();
    album.draw("trip/a.bmp", 1);
    let roots = [album.root(), album.path("trip")];
    let mut collection = Collection::create(&roots, None, Arc::clone(&ENCODER)).unwrap();
    assert_eq!(collection.roots(), [album.root()]);
    assert_eq!(counts(&refresh(&mut collection)), ([1, 0, 0, 0, 0, 0, 0, 0], 1));
}

#[test]
fn roots_can_be_added_later() {
    let (album, collection) = Album::indexed(&[("a.bmp", 1)]);
    drop(collection);
    album.draw("../disk/b.bmp", 2);
    let disk = album.root().parent().unwrap().join("disk");
    let roots = [album.root(), disk.clone()];
    let mut both = Collection::open_or_create(&roots, None, Arc::clone(&ENCODER)).unwrap();
    assert_eq!(both.roots(), roots);
    assert_eq!(counts(&refresh(&mut both)), ([1, 0, 0, 0, 0, 0, 0, 1], 1));
    assert_eq!(album.open().unwrap().roots(), roots);
}

#[test]
fn an_index_is_found_by_its_folder_its_pictures_or_its_place() {
    let (album, collection) = Album::indexed(&[("trip/a.bmp", 1)]);
    assert_eq!(collection.dir(), album.index());
    assert_eq!(Collection::find(Some(&album.root()), None).unwrap(), album.index());
    assert_eq!(Collection::find(None, Some(&album.index())).unwrap(), album.index());
    let error = Collection::find(Some(&album.path("trip")), None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no index") && text.contains("try: sightword index"), "{text}");
}

#[test]
fn an_index_can_stand_anywhere_but_among_other_files() {
    let album = Album::new();
    album.draw("a.bmp", 1);
    let place = album.temp.path().join("index");
    let create = || Collection::create(&[album.root()], Some(&place), Arc::clone(&ENCODER));
    fs::create_dir(&place).unwrap();
    fs::write(place.join("thesis.txt"), "my only copy").unwrap();
    let error = create().err().unwrap();
    assert!(matches!(&error, CollectionError::NotAnIndex { found, .. } if found == "thesis.txt"));
    fs::remove_file(place.join("thesis.txt")).unwrap();
    let mut collection = create().unwrap();
    assert_eq!(refresh(&mut collection).new, 1);
    assert!(!album.index().exists());
    assert_eq!(likes(&collection, &album.path("a.bmp")).hits.len(), 1);
}

#[test]
fn an_index_says_that_it_can_be_deleted_and_hides_from_git() {
    let (album, _collection) = Album::indexed(&[("a.bmp", 1)]);
    let read = |name: &str| fs::read_to_string(album.index().join(name)).unwrap();
    assert_eq!(read(".gitignore"), "*\n");
    assert!(read("README.md").contains("deleting it is safe"));
    assert!(read("CACHEDIR.TAG").starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

#[test]
fn a_missing_root_cannot_be_indexed() {
    let album = Album::new();
    let roots = [album.path("nowhere")];
    let error = Collection::create(&roots, None, Arc::clone(&ENCODER)).err().unwrap();
    assert!(matches!(error, CollectionError::RootNotAvailable { .. }));
}
