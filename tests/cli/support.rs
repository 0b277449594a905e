//! Runs the program on copies of the example photos.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

use tempfile::TempDir;

/// How a run ended and what it printed.
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// Standard output; bytes that are no text are replaced.
    pub(crate) out: String,
    pub(super) out_bytes: Vec<u8>,
    pub(crate) err: String,
}

/// The program in a folder, unaffected by the settings of whoever runs the tests.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightword"));
    let ours = [
        "SIGHTWORD_INDEX",
        "SIGHTWORD_MODEL",
        "SIGHTWORD_RERANKER",
        "SIGHTWORD_TOKEN",
        "COLUMNS",
        "NO_COLOR",
        "CLICOLOR",
    ];
    for name in ours.into_iter().chain(["CLICOLOR_FORCE", "TERM"]) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(args).stdin(Stdio::null());
    command
}

pub(super) fn run(mut command: Command) -> Ran {
    let output = command.output().expect("the program starts");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        out_bytes: output.stdout,
    }
}

pub(crate) fn sightword_in(folder: &Path, args: &[&str]) -> Ran {
    run(command(folder, args))
}

/// The program where there is no index.
pub(crate) fn sightword(args: &[&str]) -> Ran {
    sightword_in(&env::temp_dir(), args)
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/photos").join(name)
}

/// Copies an example photo.
pub(super) fn copy_photo(name: &str, to: &Path) {
    fs::copy(example(name), to).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// A folder with the folder `photos`, and some of the example photos in it.
pub(crate) fn photos(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).expect("a new folder");
    for name in names {
        copy_photo(name, &photos.join(name));
    }
    folder
}

/// An indexed folder that no test may change.
pub(super) struct Indexed(TempDir);

impl Indexed {
    pub(super) fn folder(&self) -> PathBuf {
        self.0.path().join("photos")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(&self.folder(), args)
    }

    /// Runs the program inside the folder of photos.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        run(self.command(args))
    }

    pub(super) fn search(&self, args: &[&str]) -> Ran {
        self.run(&[&["search"], args].concat())
    }
}

/// Some example photos with their index, made once for all tests.
pub(super) fn indexed_photos() -> &'static Indexed {
    static PHOTOS: LazyLock<Indexed> = LazyLock::new(|| {
        let names = ["coffee-cup", "moose", "coins", "galaxies", "panda", "windmill", "flower"];
        let names = names.map(|name| format!("{name}.jpg"));
        let folder = photos(&names.each_ref().map(String::as_str));
        let ran = sightword_in(folder.path(), &["index", "photos"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        Indexed(folder)
    });
    &PHOTOS
}
