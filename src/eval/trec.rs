//! Run and qrels files, for `trec_eval`, `ir_measures`, `pytrec_eval` and their kin.
//!
//! For each kind of query three files: `NAME.run` (`query Q0 document rank score tag`), `NAME.qrels`
//! (`query 0 document 1`) and `NAME.queries.tsv` (`query`, tab, its text). Scores are whole numbers
//! that a 32-bit float holds; equal ones are in falling order of ids, which is how these tools break
//! ties whatever the rank column says.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::dataset::Dataset;
use super::error::EvalError;

/// Places written of the rankings of captions and photos, of which no figure reads more than ten.
pub(crate) const PLACES: usize = 100;

/// The last column of a run file.
const TAG: &str = "sightword";

/// Makes the folder, after a look at the ids: run files cannot hold white space.
pub(crate) fn prepare(folder: &Path, dataset: &Dataset) -> Result<(), EvalError> {
    let unfit = |id: &&str| id.is_empty() || id.contains(char::is_whitespace);
    if let Some(id) = dataset.photos.iter().map(|photo| photo.id.as_str()).find(unfit) {
        return Err(EvalError::TrecId { id: id.to_owned() });
    }
    create_dir_all(folder).map_err(|source| EvalError::Write { path: folder.to_owned(), source })
}

/// Where rankings of one kind of query go, if anywhere.
pub(crate) struct Trec(Option<Files>);

struct Files {
    places: usize,
    stem: PathBuf,
    run: BufWriter<File>,
    qrels: BufWriter<File>,
    queries: BufWriter<File>,
}

impl Trec {
    /// Starts the three files of one kind of query in a folder, with so many places a ranking.
    /// Without a folder, nothing is ever written.
    pub(crate) fn start(
        folder: Option<&Path>,
        name: &str,
        places: usize,
    ) -> Result<Self, EvalError> {
        let Some(folder) = folder else { return Ok(Self(None)) };
        let create = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            let file = File::create(&path).map(BufWriter::new);
            file.map_err(|source| EvalError::Write { path, source })
        };
        let (run, qrels, queries) = (create("run")?, create("qrels")?, create("queries.tsv")?);
        Ok(Self(Some(Files { places, stem: folder.join(name), run, qrels, queries })))
    }

    /// Writes one query: its ranking, with scores, and its right answers.
    pub(crate) fn write<'a>(
        &mut self,
        (id, text): (&str, &str),
        ranking: impl Iterator<Item = (&'a str, u32)>,
        right: impl Iterator<Item = &'a str>,
    ) -> Result<(), EvalError> {
        let Some(files) = &mut self.0 else { return Ok(()) };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let write = || {
            writeln!(files.queries, "{id}\t{text}")?;
            for (rank, (document, score)) in (1..=files.places).zip(ranking) {
                writeln!(files.run, "{id} Q0 {document} {rank} {score} {TAG}")?;
            }
            right.into_iter().try_for_each(|document| writeln!(files.qrels, "{id} 0 {document} 1"))
        };
        write().map_err(|source| EvalError::Write { path: files.stem.clone(), source })
    }

    /// Writes what is left in memory.
    pub(crate) fn finish(self) -> Result<(), EvalError> {
        let Some(Files { stem, run, qrels, queries, .. }) = self.0 else { return Ok(()) };
        for mut file in [run, qrels, queries] {
            file.flush().map_err(|source| EvalError::Write { path: stem.clone(), source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_files_say_what_was_asked_found_and_right() {
        let folder = tempfile::tempdir().unwrap();
        let mut trec = Trec::start(Some(folder.path()), "captions", 3).unwrap();
        let ranking = [("b", 90), ("a", 90), ("c", 7), ("d", 1)];
        trec.write(("a#0", "a red\tcup"), ranking.into_iter(), ["a"].into_iter()).unwrap();
        trec.write(("c#0", "nothing"), [].into_iter(), ["c"].into_iter()).unwrap();
        trec.finish().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let run = "a#0 Q0 b 1 90 sightword\na#0 Q0 a 2 90 sightword\na#0 Q0 c 3 7 sightword\n";
        assert_eq!(read("captions.run"), run);
        assert_eq!(read("captions.qrels"), "a#0 0 a 1\nc#0 0 c 1\n");
        assert_eq!(read("captions.queries.tsv"), "a#0\ta red cup\nc#0\tnothing\n");
    }
}
