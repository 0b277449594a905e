//! Paths as they open from the current directory.

use std::path::{Component, Path, PathBuf};

/// The directory from which the program was started; paths below it are shown relative to it.
#[derive(Debug, Clone)]
pub(crate) struct Viewpoint(Option<PathBuf>);

impl Viewpoint {
    pub(crate) fn here() -> Self {
        Self(std::env::current_dir().ok())
    }

    /// `path` (absolute) relative to here when it lies below or that is shorter, else as it is.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        let Some(relative) = self.0.as_deref().and_then(|here| relative(path, here)) else {
            return path.to_owned();
        };
        let below = !relative.starts_with("..");
        let shorter = relative.as_os_str().len() < path.as_os_str().len();
        if below || shorter { relative } else { path.to_owned() }
    }
}

/// The way from `here` to `path`, both absolute. `None` if there is none (other drive, or `..` in
/// either, which may lead through a link).
fn relative(path: &Path, here: &Path) -> Option<PathBuf> {
    let parts = |path: &Path| -> Option<Vec<_>> {
        let plain = |part: &Component<'_>| !matches!(part, Component::ParentDir);
        path.is_absolute().then(|| path.components().map(|part| (part.as_os_str().to_owned(), plain(&part))))?
            .map(|(part, plain)| plain.then_some(part))
            .collect()
    };
    let (path, here) = (parts(path)?, parts(here)?);
    let common = path.iter().zip(&here).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return None;
    }
    let up = std::iter::repeat_n("..".into(), here.len() - common);
    let way: PathBuf = up.chain(path[common..].iter().cloned()).collect();
    Some(if way.as_os_str().is_empty() { PathBuf::from(".") } else { way })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shown(path: &str, here: &str) -> String {
        Viewpoint(Some(here.into())).shown(Path::new(path)).display().to_string()
    }

    #[test]
    fn a_path_below_is_relative() {
        assert_eq!(shown("/home/ann/photos/a.jpg", "/home/ann/photos"), "a.jpg");
        assert_eq!(shown("/home/ann/photos/a.jpg", "/home/ann"), "photos/a.jpg");
        assert_eq!(shown("/home/ann", "/home/ann"), ".");
    }

    #[test]
    fn a_path_beside_is_relative_if_that_is_shorter() {
        assert_eq!(shown("/home/ann/photos/a.jpg", "/home/ann/mail"), "../photos/a.jpg");
        assert_eq!(shown("/mnt/a.jpg", "/home/ann/mail/2021"), "/mnt/a.jpg");
    }

    #[test]
    fn without_a_current_directory_paths_stay_absolute() {
        let nowhere = Viewpoint(None);
        assert_eq!(nowhere.shown(Path::new("/a/b.jpg")), Path::new("/a/b.jpg"));
    }
}
